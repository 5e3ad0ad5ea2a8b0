"""The experiment engine: a study becomes a plan, a plan becomes results; what is done stays done.

plan = open_plan("bali-betawi-celup")
results = run_plan(plan)
"""

# ruff: noqa: F401  (what other rooms need)
from batik_utils.experiment.plan import Plan, make_plan, open_plan
from batik_utils.experiment.run import clean_features, final_weights, run_plan
from batik_utils.experiment.store import Store
from batik_utils.models.work import Task
