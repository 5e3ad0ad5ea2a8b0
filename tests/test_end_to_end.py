"""One tiny study, from picture files to HTML and PDF, twice: everything is there, and the bytes are the same."""

import contextlib
import hashlib
import re
import shutil

import pypdfium2
import pytest
import yaml
from PIL import Image

from batik_utils.errors import BatikError
from batik_utils.experiment import Store, open_plan
from batik_utils.models import weights
from batik_utils.report.build import build_report
from batik_utils.report.metrics import read_metrics, scores_of
from batik_utils.sample import draw

EACH = 12
TINY = yaml.safe_load("""
name: tiny
title: A tiny study
question: Does the whole pipeline hold together?
motifs: [batik-kawung, batik-parang]
seed_study:
  {title: A study that never was, authors: [A. Nobody], institution: Nowhere, year: 2024, language: English,
   framework: TensorFlow, summary: It compared two models.}
image: {size: 48, resize: bilinear}
models:
  scratch:
    {kind: scratch, title: Scratch CNN, architecture: pooled_cnn, epochs: 2, augmentation: {horizontal_flip: true},
     runs: {epochs: [1, 2], dropout: [0.0, 0.5], seeds: 1}}
  mobilenet_v2:
    {kind: pretrained, title: MobileNetV2, backbone: mobilenet_v2, epochs: 3, augmentation: {horizontal_flip: true}}
compare: [mobilenet_v2, scratch]
published: {split: stratified-80-10-10, seeds: 2}
grouped: {folds: 3, pretrained: {repeats: 2, seeds: 2}, scratch: {repeats: 1, seeds: 1}, curve: [2, 4]}
""")
CLAIM = {"id": "scratch", "what": "accuracy of the scratch CNN", "model": "scratch", "value": 0.5, "n": 4}
CLAIM["where"] = "section 1"
TINY["claims"] = [CLAIM | {"metric": metric} for metric in ("accuracy", "paired_wrong_accuracy", "ten_images")]
TINY["claims"] += [CLAIM | {"metric": "accuracy", "epochs": epochs, "dropout": 0.5} for epochs in (1, 2)]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    """A study file, and a folder of pictures in which one file is a copy and one is no picture."""
    folder = tmp_path_factory.mktemp("workshop")
    for motif in TINY["motifs"]:
        (folder / "data" / motif).mkdir(parents=True)
        for index in range(EACH):
            picture = draw(motif.replace("batik", "sample"), index, 96)
            Image.fromarray(picture).save(folder / "data" / motif / f"{index}.png")
    first = folder / "data" / "batik-kawung"
    (first / "copy.png").write_bytes((first / "0.png").read_bytes())
    (first / "page.jpg").write_text("<html>not a picture</html>", encoding="utf-8")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(TINY, sort_keys=False), encoding="utf-8")
    return folder


def build(workshop, progress=False):
    return build_report(workshop / "tiny.yaml", workshop / "data", out=workshop / "reports", progress=progress)


def stamps(*folders):
    """Every file with its digest and the time at which it was written."""
    files = [p for folder in folders for p in sorted(folder.rglob("*")) if p.is_file() and p.name != "digests.json"]
    return {p: (hashlib.sha256(p.read_bytes()).hexdigest(), p.stat().st_mtime_ns) for p in files}


@pytest.fixture(scope="module")
def report(workshop):
    """The first report on a new machine: there are no weights until the build fetches them."""
    there = weights.weights_file("mobilenet_v2").read_bytes()

    def fetched(wanted):
        if wanted != weights.WEIGHTS["mobilenet_v2"]:
            raise BatikError("there is no network")
        return there

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BATIK_CACHE", str(workshop / "cache"))
        patch.setenv("BATIK_OFFLINE", "1")
        patch.setenv("KERAS_HOME", str(workshop / "keras"))
        patch.setattr(weights, "ROOT", workshop / "checkout")
        patch.setattr(weights, "_downloaded", fetched)
        yield build(workshop)


@pytest.fixture(scope="module")
def page(report):
    return (report / "report.html").read_text(encoding="utf-8")


def test_what_is_written_and_the_metrics_have_their_form_and_name_every_model(report):
    public = ["metrics.json", "model-card.md", "reforms.md", "report.html", "report.pdf", "verdict.svg"]
    private = report.parent / "photographs" / "tiny"
    assert sorted(p.name for p in report.iterdir()) == public
    assert sorted(p.name for p in private.iterdir()) == ["classifier.tflite", "report.html", "report.pdf"]
    metrics = read_metrics(report / "metrics.json")
    assert set(metrics["models"]) >= {"scratch", "mobilenet_v2"}
    assert scores_of(metrics)["scratch", "grouped"]["n"] == 2 * EACH + 1
    own, tracked = (report.parent / place for place in ("photographs/index.html", "index.html"))
    assert "../tiny/report.html" in own.read_text(encoding="utf-8")
    assert "tiny/report.html" not in tracked.read_text(encoding="utf-8")


def test_the_page_is_whole_and_says_what_the_audit_found(page):
    for heading in ("Introduction", "Copies", "Models and protocols", "Every run of the original", "Conclusion"):
        assert len(re.findall(rf"<h[1-3][^>]*>(?:<[^>]*>|[\d.\s])*{heading}", page)) == 1, heading
    assert "copy.png" in page and "page.jpg" in page and "??" not in page
    assert not re.search(r"<(?:script|link|img)[^>]+(?:src|href)=[\"']?https?:", page)
    text = re.sub(r'<details class="code">.*?</details>', "", page, flags=re.DOTALL)  # code is shown as it is typed
    assert not re.search(r"@(?:fig|tbl|sec)-", text)
    text = re.sub(r"<(script|style|svg).*?</\1>|<[^>]+>|data:[^\"']*", " ", page, flags=re.DOTALL)
    assert not re.search(r"\b(?:nan|inf)\b", text) and not re.search(r">\s*None\s*<", page)


def test_the_pdf_has_pages_with_text(report):
    with contextlib.closing(pypdfium2.PdfDocument(report / "report.pdf")) as pdf:
        texts = [page.get_textpage().get_text_range() for page in pdf]
    assert len(texts) >= 8 and all(len(text.strip()) > 40 for text in texts) and "A tiny study" in texts[0]


def test_only_the_edition_that_is_not_committed_shows_photographs(report, page):
    private = report.parent / "photographs" / "tiny"
    assert (private / "report.html").read_text(encoding="utf-8").count("data:image/jpeg") >= 4
    assert "data:image/jpeg" not in page and "data:image/png" not in page
    assert [b"DCTDecode" in (folder / "report.pdf").read_bytes() for folder in (report, private)] == [False, True]


def test_a_second_build_touches_nothing_and_says_so(report, workshop, capsys):
    plan = open_plan(workshop / "tiny.yaml", workshop / "data")
    assert len(Store("tiny").load(plan.tasks)) > 20
    before = stamps(workshop / "cache", workshop / "reports")
    build(workshop, progress=True)
    assert "Nothing has changed since reports/tiny/ was made." in capsys.readouterr().err
    assert stamps(workshop / "cache", workshop / "reports") == before


def test_made_anew_from_the_same_fits_it_is_the_same_bytes(report, workshop):
    def made():
        fits = {p: stamp for p, stamp in stamps(workshop / "cache/results").items() if "timings" not in p.parts}
        return {p: sha for p, (sha, _) in stamps(workshop / "reports").items()}, fits

    before = made()
    shutil.rmtree(workshop / "cache" / "builds")
    shutil.rmtree(workshop / "reports")
    build(workshop)
    assert made() == before
