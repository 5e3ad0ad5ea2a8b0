"""Networks trained on from ImageNet weights, heads that are not trained, and test pictures that are mirrored."""

import numpy as np

from batik_utils.experiment.run import work
from batik_utils.models.backbones import BACKBONES
from batik_utils.models.kinds import KINDS
from batik_utils.models.work import Task
from batik_utils.study_models import FinetunedModel, PretrainedModel, ScratchModel
from batik_utils.values import Fit, Hyper, Split
from tests import tiny

DATA = tiny.dataset()
SPLIT = Split("published", 0, 0, tuple(range(16)), (), tuple(range(16, 24)))


def fitted(model, **hyper):
    """The result and weights of one fit of a model on the tiny pictures."""
    own = {"epochs": model.epochs, "learning_rate": model.learning_rate, "dropout": model.dropout} | hyper
    fit = Fit("tiny", "m", "published", 0, 0, 0, Hyper(**own))
    task = Task(model=model, fits=(fit,), splits=(SPLIT,), labels=tuple(DATA.labels.tolist()), classes=2)
    ((result, weights),) = work(task, DATA.paths, DATA.sha256, DATA.images, keep_weights=True)
    return result, weights


def test_every_weight_of_a_finetuned_network_learns_from_the_backbones(monkeypatch):
    monkeypatch.setitem(BACKBONES, "tiny", tiny.TinyBackbone())
    model = FinetunedModel(kind="finetuned", title="F", backbone="tiny", epochs=2, batch_size=8, dropout=0.0)
    first = BACKBONES["tiny"].build(tiny.SIZE).get_weights()[0]
    still, started = fitted(model, learning_rate=1e-30)
    result, weights = fitted(model)
    np.testing.assert_array_equal(started[0], first)
    assert (weights[0] != first).any() and not np.array_equal(result.y_prob, still.y_prob)
    whole = KINDS["finetuned"].assemble(model, weights, tiny.SIZE, tiny.MOTIFS, 0.0)
    said = whole.predict(DATA.images[16:].astype(np.float32), verbose=0)
    np.testing.assert_allclose(said, result.y_prob, atol=1e-6)
    assert KINDS["finetuned"].weights_sha256(model) == "tiny"


def test_an_untrained_head_says_what_it_was_drawn_with():
    features = np.random.default_rng(0).normal(size=(24, 1, 6)).astype(np.float32)
    spec = tiny.plan().tasks[-1].features or next(t.features for t in tiny.plan().tasks if t.features)
    spec = spec.__class__(spec.backbone, spec.image, spec.augmentation, 0, ())

    def head(untrained, epochs):
        model = PretrainedModel(
            kind="pretrained", title="H", backbone="tiny", epochs=epochs, untrained=untrained, hidden=4
        )
        fit = Fit("tiny", "m", "published", 0, 0, 0, Hyper(epochs, 0.01, 0.0))
        what = {"labels": tuple(DATA.labels.tolist()), "classes": 2, "features": spec}
        task = Task(model=model, fits=(fit,), splits=(SPLIT,), **what)
        return work(task, DATA.paths, DATA.sha256, features)[0][0].y_prob

    np.testing.assert_array_equal(head(True, 1), head(True, 5))
    assert not np.array_equal(head(False, 1), head(False, 5))


def test_mirrored_test_pictures_are_some_of_them_and_change_no_training():
    plain, mirrored = (
        ScratchModel(
            kind="scratch", title="S", architecture="dense512_cnn", epochs=1, pixels="imagenet", flipped_tests=flipped
        )
        for flipped in (False, True)
    )
    (straight, weights), (turned, same) = fitted(plain), fitted(mirrored)
    assert all(map(np.array_equal, weights, same))
    differ = (straight.y_prob != turned.y_prob).any(axis=1)
    assert 0 < differ.sum() < len(differ)
    network = KINDS["scratch"].assemble(plain, weights, tiny.SIZE, tiny.MOTIFS, 0.0)
    rows = np.array(SPLIT.test)
    said = network.predict(DATA.images[rows[differ], :, ::-1].astype(np.float32), verbose=0)
    np.testing.assert_allclose(said, turned.y_prob[differ], atol=1e-6)
