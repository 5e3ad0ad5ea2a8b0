"""A backbone and its head, put together."""

import os

import numpy as np
import pytest

from batik_utils.errors import BatikError
from batik_utils.models.backbones import BACKBONES
from batik_utils.models.saved import assemble

needs_index = pytest.mark.skipif(os.environ.get("BATIK_OFFLINE") == "1", reason="BATIK_OFFLINE=1")
MOTIFS = ("kawung", "parang", "céplok ☁")


@needs_index
@pytest.mark.parametrize("hidden", [0, 128])
def test_a_pretrained_model_is_its_backbone_and_its_head(hidden):
    rng = np.random.default_rng(3)
    head = {"kernel": rng.normal(0, 0.1, (hidden or 1280, 3)), "bias": rng.normal(0, 0.1, 3)}
    if hidden:
        head |= {"hidden_kernel": rng.normal(0, 0.1, (1280, hidden)), "hidden_bias": rng.normal(0, 0.1, hidden)}
    model = assemble("mobilenet_v2", head, 96, MOTIFS, dropout=0.5)
    assert model.count_params() == (2_422_339 if hidden else 2_261_827)
    x = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3)).astype(np.float32)
    features = BACKBONES["mobilenet_v2"].build(96).predict_on_batch(x)
    if hidden:
        features = np.maximum(features @ head["hidden_kernel"] + head["hidden_bias"], 0)
    logits = features @ head["kernel"] + head["bias"]
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_on_batch(x), expected, atol=1e-4)


@needs_index
def test_a_head_that_does_not_fit_is_refused():
    with pytest.raises(BatikError, match="This head does not fit MobileNetV2"):
        assemble("mobilenet_v2", {"kernel": np.zeros((1280, 4)), "bias": np.zeros(4)}, 96, MOTIFS)
