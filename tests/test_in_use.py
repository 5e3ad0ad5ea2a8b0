"""What the report says of the classifier in use; every sentence on both sides of its line."""

import re

import pytest
from paper import DEPLOYED

from batik_utils.report import in_use

GATE, UNSEEN, SETS = (DEPLOYED[name] for name in ("gate", "unseen", "sets"))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (in_use.given_out(DEPLOYED), "^Its network has 2,422,339 parameters[.]$"),
        (
            in_use.given_out(DEPLOYED | {"variant": "GeM"}),
            "2,422,339 parameters: of its candidates, inner folds .* chose [*]GeM[*][.]$",
        ),
        (in_use.gate(DEPLOYED), "turns away 85.0\u00a0% of the ordinary pictures"),
        (in_use.gate(DEPLOYED), "2.7\u00a0% of the study's own pictures are turned away, within the 5\u00a0%"),
        (in_use.gate(DEPLOYED | {"gate": GATE | {"own_turned_away": 0.051}}), "5.1\u00a0% .* more than the 5\u00a0%"),
        (in_use.gate(DEPLOYED | {"gate": None, "auroc": 0.8}), "no gate: an ordinary .* in 80.0\u00a0% of cases only"),
        (in_use.gate(DEPLOYED | {"gate": None, "auroc": None}), "no gate: the features were trained on these very"),
        (in_use.unseen(UNSEEN), "2 other motifs .* cannot be told from those"),
        (in_use.unseen(UNSEEN | {"auroc": 0.7}), "somewhat stranger"),
        (in_use.unseen(UNSEEN | {"auroc_confidence": 0.9}), "are told from those"),
        (in_use.unseen(UNSEEN | {"auroc_confidence": None}), "0.60 by distance; 0.5 is chance"),
        (
            in_use.sets(SETS),
            "on unseen folds they do: 88.0\u00a0% of 20 pictures .95\u00a0% interval 80.0–95.0.*, with 1.20 motifs",
        ),
        (in_use.sets(SETS | {"measured": SETS["measured"] | {"value": 0.879}}), "hold it less often: 87.9\u00a0%"),
        (
            in_use.apart(DEPLOYED),
            "with all pictures of one source on one side; .* 5.0\u00a0points apart .* .20 pictures",
        ),
        (in_use.apart(DEPLOYED | {"protocol": "grouped", "calibration": None}), "with near-duplicates on one side[.]$"),
        (
            in_use.precision(DEPLOYED),
            "In float16 it names the same .* all of 100 training pictures.* .4.6 MB. is in float16[.]$",
        ),
        (
            in_use.precision(DEPLOYED | {"agreement": 0.96, "precision": "float32"}),
            "another motif than in float32 for 4.0\u00a0% of 100 training pictures; .* is in float32[.]$",
        ),
    ],
)
def test_a_sentence_follows_its_number(said, words):
    assert re.search(words, said), said


def test_the_table_holds_what_was_measured_and_nothing_more():
    assert in_use.gate_table(DEPLOYED)["turned away"].tolist() == ["85.0\u00a0%", "2.7\u00a0%", "10.0\u00a0%"]
    assert in_use.coverage_table(SETS).to_numpy().tolist() == [["Alder", 20, "88.0\u00a0%", "80.0–95.0\u00a0%"]]
    assert in_use.gate_table(DEPLOYED | {"gate": None, "unseen": None}).empty
