"""`batik export`: every form says what Keras says, or is not written."""

import importlib.util

import numpy as np
import pytest
from classifiers import TEMPERATURE, network, pictures

from batik_utils.deploy import convert, export
from batik_utils.deploy.graph import with_three_outputs
from batik_utils.errors import BatikError

HAS_ONNX = all(map(importlib.util.find_spec, ("tf2onnx", "onnxruntime")))


@pytest.fixture(scope="module")
def model():
    return with_three_outputs(network(), TEMPERATURE)


@pytest.mark.parametrize(
    ("form", "precision"), [("litert", "float16"), ("litert", "int8"), ("saved_model", "float32"), ("onnx", "float32")]
)
def test_a_form_is_written_with_its_size_and_distance_from_keras(model, tmp_path, form, precision):
    if form == "onnx" and not HAS_ONNX:
        with pytest.raises(BatikError, match=r"install batik-utils\[onnx\]"):
            export.export(model, pictures(), form, precision, tmp_path / "m")
        pytest.skip("tf2onnx and onnxruntime are not installed")
    line = export.export(model, pictures(), form, precision, tmp_path / "m")
    assert " MB; on 12 pictures its probabilities are at most " in line and (tmp_path / "m").exists()
    with pytest.raises(BatikError, match="is there already"):
        export.export(model, pictures(), form, precision, tmp_path / "m")


def test_what_says_something_else_is_not_written(model, tmp_path, monkeypatch):
    other = {"probabilities": np.full((12, 3), 1 / 3, np.float32)}
    monkeypatch.setattr(export, "ask_litert", lambda *given: other)
    with pytest.raises(BatikError, match="The converted model is not the network"):
        export.export(model, pictures(), "litert", "float32", tmp_path / "m")
    assert not list(tmp_path.iterdir())
    with pytest.raises(BatikError, match="onnx is written in float32 only"):
        export.export(model, pictures(), "onnx", "int8", tmp_path / "m")
    assert convert.PRECISIONS == ("float32", "float16", "int8")
