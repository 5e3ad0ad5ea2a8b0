"""What the report says of the classifier in use; every sentence on both sides of its line."""

import re

import pytest
from paper import DEPLOYED

from batik_utils.report import in_use

GATE, UNSEEN, SETS, DELETION = (DEPLOYED[name] for name in ("gate", "unseen", "sets", "deletion"))
CHOSE = DEPLOYED | {"variant": "GeM", "judged": "GeM"}


def precisions(**changes):
    *most, rough = DEPLOYED["precisions"]
    return DEPLOYED | {"precisions": [*most, rough | changes]}


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (in_use.given_out(DEPLOYED), "^Its network has 2,422,339 parameters[.]$"),
        (in_use.given_out(CHOSE), "2,422,339 parameters: of its candidates, inner folds .* chose [*]GeM[*][.]$"),
        (in_use.given_out(CHOSE | {"judged": "pooled"}), "GeM[*][.] On .* alone they chose [*]pooled[*]: what"),
        (in_use.gate(DEPLOYED), "turns away 85.0\u00a0% of the ordinary pictures"),
        (in_use.gate(DEPLOYED), "2.7\u00a0% of the study's own pictures are turned away, within the 5\u00a0%"),
        (in_use.gate(DEPLOYED | {"gate": GATE | {"own_turned_away": 0.051}}), "5.1\u00a0% .* more than the 5\u00a0%"),
        (in_use.gate(DEPLOYED | {"gate": None, "auroc": 0.8}), "no gate: an ordinary .* in 80.0\u00a0% of cases only"),
        (in_use.gate(DEPLOYED | {"gate": None, "auroc": None}), "no gate: the features were trained on these very"),
        (in_use.unseen(UNSEEN), "2 other motifs .* cannot be told from those"),
        (in_use.unseen(UNSEEN | {"auroc": 0.7}), "somewhat stranger"),
        (in_use.unseen(UNSEEN | {"auroc_confidence": 0.9}), "are told from those"),
        (in_use.unseen(UNSEEN | {"auroc_confidence": None}), "0.60 by distance; 0.5 is chance"),
        (in_use.sets(SETS), "on unseen folds they do: 88.0\u00a0%, with 1.20 motifs"),
        (in_use.sets(SETS | {"measured_coverage": 0.879}), "hold it less often: 87.9\u00a0%"),
        (
            in_use.deletion(DELETION, "exact"),
            "the map of evidence marks hurts more .* 50.0\u00a0%, against 60.0\u00a0%",
        ),
        (
            in_use.deletion(DELETION | {"gap": [-0.01, 0.2]}, "occlusion"),
            "marks .found by covering each field in turn. is not shown to hurt more",
        ),
        (in_use.deletion(DELETION | {"gap": [-0.2, -0.01]}, "exact"), r"hurts \*less\* than"),
        (in_use.deletion(DELETION | {"gap": None}, "exact"), "not shown to hurt more"),
        (in_use.precision(DEPLOYED), "Float16 makes the file 2.0 times smaller and changes no answer here; int8"),
        (in_use.precision(DEPLOYED), "3.2 times smaller and loses 3.3\u00a0points of accuracy on 30 pictures"),
        (
            in_use.precision(DEPLOYED | {"precision": "float16"}),
            "in float16: in float16 it keeps 99\u00a0% of its answers",
        ),
        (
            in_use.precision(DEPLOYED | {"precision": "float32"}),
            "in float32: in float16 it would change more than 1\u00a0%",
        ),
        (in_use.precision(precisions(accuracy=0.8)), "another motif for 4.0\u00a0% of the pictures, without losing"),
    ],
)
def test_a_sentence_follows_its_number(said, words):
    assert re.search(words, said), said


def test_the_tables_hold_what_was_measured_and_nothing_more():
    table = in_use.precision_table(DEPLOYED)
    assert table["MB"].tolist() == ["9.0", "4.6", "2.8"] and table["accuracy"].iloc[-1] == "76.7\u00a0%"
    assert len(in_use.gate_table(DEPLOYED)) == 3
    assert in_use.gate_table(DEPLOYED | {"gate": None, "unseen": None}).empty
