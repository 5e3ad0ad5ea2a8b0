"""How this project sets up the numerical backend: quiet, deterministic, one thread per fit.

Import this before keras or tensorflow. A fit always runs on one thread, and fits run side by side in
processes: a sum split over two threads rounds differently from one, and results must not depend on how many
cores a machine has or on where a fit happened to run.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_DETERMINISTIC_OPS", "1")
