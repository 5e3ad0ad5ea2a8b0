"""Whole models on disk: what is saved is what is loaded, and nothing else is loaded."""

import io
import os
import pickle
import zipfile

import h5py
import numpy as np
import pytest
from PIL import Image

import batik_utils.backend  # noqa: F401

# isort: split
import keras

from batik_utils.data.decode import read_image
from batik_utils.errors import BatikError
from batik_utils.models.backbones import BACKBONES
from batik_utils.models.saved import assemble, load_model, newest_model, predict, save_model

needs_index = pytest.mark.skipif(os.environ.get("BATIK_OFFLINE") == "1", reason="BATIK_OFFLINE=1")
MOTIFS = ("kawung", "parang", "céplok ☁")
INFO = {"study": "tiny", "size": 32, "accuracy": 0.9, "resize": "nearest"}


def pixels(n: int, size: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, size, size, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A network of the project's kind, RGB 0-255 in and probabilities out, trained a little; its file and itself."""
    keras.utils.set_random_seed(5)
    inputs = keras.Input((32, 32, 3), name="image")
    x = keras.layers.Rescaling(1 / 255, name="preprocessing")(inputs)
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(x)
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name="motif")(x), name="tiny")
    model.compile("adam", "sparse_categorical_crossentropy")
    model.train_on_batch(pixels(4, 32), np.array([0, 1, 0, 1]))
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    save_model(path, model, MOTIFS, INFO)
    return path, model


def test_a_model_comes_back_with_its_motifs_and_facts_and_plain_keras_loads_it_too(saved):
    path, model = saved
    loaded, motifs, info = load_model(path)
    assert (motifs, info) == (MOTIFS, INFO)
    x = pixels(3, 32)
    np.testing.assert_array_equal(loaded.predict_on_batch(x), model.predict_on_batch(x))
    np.testing.assert_array_equal(keras.saving.load_model(path).predict_on_batch(x), model.predict_on_batch(x))
    assert getattr(loaded, "optimizer", None) is None
    assert [p.name for p in path.parent.iterdir()] == ["model.keras"]


def test_the_same_model_gives_the_same_bytes_without_pickle_or_date(saved, tmp_path):
    path, model = saved
    save_model(tmp_path / "again.keras", model, MOTIFS, INFO)
    assert (tmp_path / "again.keras").read_bytes() == path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        assert sorted(archive.namelist()) == ["config.json", "metadata.json", "model.weights.h5"]
        assert b"date" not in archive.read("metadata.json")


def test_predict_ranks_the_motifs_of_each_picture(saved, tmp_path):
    path, model = saved
    files = []
    for i, size in enumerate([(40, 30), (32, 32)]):
        files.append(tmp_path / f"picture {i}.jpg")
        noise = np.random.default_rng(i).integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(noise).save(files[-1], format="PNG")
    answers = predict(path, files)
    assert [a["path"] for a in answers] == [str(f) for f in files]
    for file, answer in zip(files, answers, strict=True):
        picture, _ = read_image(file, 32, "nearest")
        expected = model.predict_on_batch(picture[None].astype(np.float32))[0]
        values = [p for _, p in answer["probabilities"]]
        assert values == sorted(values, reverse=True) and sum(values) == pytest.approx(1, abs=1e-5)
        assert dict(answer["probabilities"])["kawung"] == pytest.approx(expected[0], abs=1e-6)


def test_predict_names_every_file_that_is_no_picture(saved, tmp_path):
    files = [tmp_path / "page.jpg", tmp_path / "empty.jpg"]
    for file, content in zip(files, (b"<html>", b""), strict=True):
        file.write_bytes(content)
    with pytest.raises(BatikError) as error:
        predict(saved[0], files)
    assert [line.split(":")[0].split()[0] for line in str(error.value).splitlines()] == ["page.jpg", "empty.jpg"]


def test_the_newest_model_is_found(tmp_path):
    with pytest.raises(BatikError, match="make one with `make report`"):
        newest_model(tmp_path)
    for seconds, name in ((2, "new"), (1, "old")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.keras").touch()
        os.utime(tmp_path / name / "model.keras", (seconds, seconds))
    assert newest_model(tmp_path).parent.name == "new"


def rewritten(path, target, compression=zipfile.ZIP_STORED, **members) -> None:
    """Copy a .keras file with some members' bytes replaced."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, members.get(name.split(".")[0], old.read(name)))


def test_anything_but_a_saved_model_is_refused_in_one_line(saved, tmp_path):
    path = saved[0]
    (tmp_path / "text.keras").write_text("hello")
    (tmp_path / "pickle.keras").write_bytes(pickle.dumps({"a": 1}))
    (tmp_path / "model.pkl").write_bytes(path.read_bytes())
    (tmp_path / "cut.keras").write_bytes(path.read_bytes()[:-200])
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "foreign.keras")
    rewritten(path, tmp_path / "broken.keras", model=b"not HDF5")
    rewritten(path, tmp_path / "config.keras", config=b'{"class_name": "Nonsense", "config": {}}')
    rewritten(path, tmp_path / "motifs.keras", metadata=b'{"batik": {"format": 1, "motifs": ["a"], "info": {}}}')
    rewritten(path, tmp_path / "future.keras", metadata=b'{"batik": {"format": 2}}')
    rewritten(path, tmp_path / "huge.keras", metadata=b"{}" + b" " * (1 << 20))
    files = sorted(tmp_path.iterdir())
    assert len(files) == 10
    for file in [*files, tmp_path / "absent.keras"]:
        with pytest.raises(BatikError) as error:
            load_model(file)
        assert "\n" not in str(error.value) and file.name in str(error.value)


def weights(**options):
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        file.create_dataset("layers/conv/vars/0", (20_000, 20_000), "f4", **options)
    return memory.getvalue()


def wide(path):
    """The config of the saved model with a layer of 4·10¹² weights, and with pictures of 100,000 pixels a side."""
    with zipfile.ZipFile(path) as archive:
        config = archive.read("config.json").replace(b'"units": 3', b'"units": 2000000000000')
        return config.replace(b"32, 32, 3]", b"100000, 100000, 3]")


@pytest.mark.parametrize(
    ("compression", "members", "says"),
    [
        (zipfile.ZIP_DEFLATED, {"config": bytes(10_000_000)}, "config.json is compressed"),
        (zipfile.ZIP_STORED, {"config": bytes(20_000_000)}, "config.json is said to have 20,000,000 bytes"),
        (zipfile.ZIP_STORED, {"model": weights()}, "take 1,600,000,000 bytes, which it does not hold"),
        (zipfile.ZIP_STORED, {"model": weights(compression="gzip", fillvalue=1)}, "take 1,600,000,000 bytes"),
        (zipfile.ZIP_STORED, {"config": b"[" * 100_000}, "recursion"),
        (zipfile.ZIP_STORED, {"config": wide}, "its layers want"),
    ],
)
def test_a_file_that_would_cost_more_than_it_holds_is_refused_before_it_is_loaded(
    saved, tmp_path, monkeypatch, compression, members, says
):
    monkeypatch.setattr(keras.saving, "load_model", lambda *a, **k: pytest.fail("it was loaded"))
    content = {name: value(saved[0]) if callable(value) else value for name, value in members.items()}
    rewritten(saved[0], tmp_path / "bomb.keras", compression, **content)
    with pytest.raises(BatikError, match=rf"^bomb\.keras .*{says}"):
        load_model(tmp_path / "bomb.keras")


def test_code_in_a_model_file_is_not_run(saved, tmp_path):
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Lambda(lambda t: t[:, 0, 0, :], output_shape=(3,))(inputs)
    keras.Model(inputs, x).save(tmp_path / "lambda.keras")
    with zipfile.ZipFile(saved[0]) as archive:
        rewritten(tmp_path / "lambda.keras", tmp_path / "evil.keras", metadata=archive.read("metadata.json"))
    with pytest.raises(BatikError, match=r"evil\.keras cannot be loaded: .*[Ll]ambda"):
        load_model(tmp_path / "evil.keras")


def test_a_model_is_written_whole_or_not_at_all(saved, tmp_path):
    path = tmp_path / "model.keras"
    save_model(path, saved[1], MOTIFS, INFO)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        save_model(path, saved[1], MOTIFS, {"not": object()})
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["model.keras"]
    with pytest.raises(BatikError, match="not 2 motifs"):
        save_model(path, saved[1], MOTIFS[:2], INFO)
    with pytest.raises(BatikError, match=r"ends in \.keras"):
        save_model(tmp_path / "model.h5", saved[1], MOTIFS, INFO)


@needs_index
@pytest.mark.parametrize("hidden", [0, 128])
def test_a_pretrained_model_is_its_backbone_and_its_head(hidden, tmp_path):
    rng = np.random.default_rng(3)
    head = {"kernel": rng.normal(0, 0.1, (hidden or 1280, 3)), "bias": rng.normal(0, 0.1, 3)}
    if hidden:
        head |= {"hidden_kernel": rng.normal(0, 0.1, (1280, hidden)), "hidden_bias": rng.normal(0, 0.1, hidden)}
    model = assemble("mobilenet_v2", head, 96, MOTIFS, dropout=0.5)
    assert model.count_params() == (2_422_339 if hidden else 2_261_827)
    x = pixels(2, 96)
    features = BACKBONES["mobilenet_v2"].build(96).predict_on_batch(x)
    if hidden:
        features = np.maximum(features @ head["hidden_kernel"] + head["hidden_bias"], 0)
    logits = features @ head["kernel"] + head["bias"]
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    save_model(tmp_path / "whole.keras", model, MOTIFS, INFO)
    np.testing.assert_allclose(load_model(tmp_path / "whole.keras")[0].predict_on_batch(x), expected, atol=1e-4)


@needs_index
def test_a_head_that_does_not_fit_is_refused():
    with pytest.raises(BatikError, match="This head does not fit MobileNetV2"):
        assemble("mobilenet_v2", {"kernel": np.zeros((1280, 4)), "bias": np.zeros(4)}, 96, MOTIFS)
