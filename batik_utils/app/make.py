"""A study's page beside its report: made of the study's classifier, and made anew when any part has changed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from batik_utils.app.build import FOLDER, REFERENCES, build_page
from batik_utils.app.node import place_of
from batik_utils.cache import digest_file, digest_json, digest_source, write_bytes
from batik_utils.deploy.bundle import Bundle, read_bundle
from batik_utils.errors import BatikError
from batik_utils.study import Study
from batik_utils.study_file import PLATES

PAGE = "classifier.html"
_HEAD = 4096  # bytes of a page, at most, in which its stamp stands


def make_page(study: Study, model: Path, page: Path, data: Path | None = None, photographs: bool = False) -> None:
    """Build the page of a study's classifier, of the file `model`; with the training pictures in it where wished.

    Raises BatikError where there is no classifier, no runtime, or the pictures have not the names of those that it
    learnt from.
    """
    if not model.is_file():
        raise BatikError(f"{study.name} has no classifier yet; make it with `make report STUDY={study.name}`.")
    bundle = read_bundle(model)
    write_bytes(page, build_page(bundle, _stamp(model), _pictures(study, bundle, data) if photographs else None))


def renew_page(study: Study, model: Path, page: Path) -> bool:
    """Build the page where classifier and runtime are there and the page is not of them; whether it was built.

    No runtime is fetched for it.
    """
    if not model.is_file() or not place_of(FOLDER).is_dir():
        return False
    if page.is_file():
        with page.open("rb") as file:
            if _stamp(model).encode() in file.read(_HEAD):
                return False
    make_page(study, model, page)
    return True


def _stamp(model: Path) -> str:
    """Names all that a page is made of."""
    parts = [path for path in FOLDER.rglob("*") if path.suffix in {".py", ".js", ".css", ".html", ".json"}]
    library = FOLDER.parent  # its examples are drawn, its names and plates told by these
    parts += [*(library / "sample").glob("*.py"), library / "wording.py", library / "study_file.py"]
    return digest_json([digest_file(model), *map(digest_source, (*sorted(parts), PLATES, REFERENCES))])


def _pictures(study: Study, bundle: Bundle, data: Path | None) -> Callable[[int], NDArray[np.uint8]]:
    from batik_utils.dataset import load_dataset

    dataset = load_dataset(study, data)
    places = {path: i for i, path in enumerate(dataset.paths)}
    rows = [places.get(row.name, -1) for row in bundle.about.training.rows]
    if min(rows) < 0:
        raise BatikError(f"These are not the pictures that the classifier of {study.name} learnt from.")
    return lambda row: dataset.images[rows[row]]
