"""classifier.html beside a study's report: one file that opens anywhere, of a classifier, a runtime and page/."""

import base64
import gzip
import hashlib
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pypandoc
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from batik_utils.app.node import packages, place_of
from batik_utils.cache import digest_file, digest_json, digest_source, write_bytes
from batik_utils.deploy.bundle import Bundle, read_bundle
from batik_utils.errors import BatikError
from batik_utils.sample import SAMPLE_MOTIFS, draw
from batik_utils.study import Study
from batik_utils.study_file import PLATES, load_plates
from batik_utils.wording import motif_names

PAGE = "classifier.html"
FOLDER = Path(__file__).parent
PARTS = FOLDER / "page"
REFERENCES = FOLDER.parent / "report" / "templates" / "refs.bib"
SCRIPTS = (
    *("resize.js", "header.js", "picture.js", "runtime.js", "model.js"),
    *("words.js", "dom.js", "evidence.js", "card.js", "about.js", "csv.js", "main.js"),
)
"""The page's scripts, each after those that it imports."""
_HEAD = 4096  # bytes of a page, at most, in which its stamp stands
EXAMPLE = 10_000  # index of the drawings to try: no study draws so many, so none was learnt from
EXAMPLE_SIDE, EXAMPLE_COLOURS = 224, 64
THUMBNAIL = 96  # pixels a side


def make_page(study: Study, model: Path, page: Path, data: Path | None = None, photographs: bool = False) -> None:
    """Build the page of a study's classifier, of the file `model`; with the training pictures in it where wished.

    Raises BatikError where there is no classifier, no runtime, or the pictures have not the names of those that it
    learnt from.
    """
    if not model.is_file():
        raise BatikError(f"{study.name} has no classifier yet; make it with `make report STUDY={study.name}`.")
    bundle = read_bundle(model)
    pictures: list[NDArray[np.uint8]] | None = None
    if photographs:
        from batik_utils.dataset import load_dataset

        dataset = load_dataset(study, data)
        images = dict(zip(dataset.paths, dataset.images, strict=True))
        names = [row.name for row in bundle.about.training.rows]
        if not images.keys() >= {*names}:
            raise BatikError(f"These are not the pictures that the classifier of {study.name} learnt from.")
        pictures = [images[name] for name in names]
    write_bytes(page, build_page(bundle, _stamp(model), pictures))


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


def build_page(bundle: Bundle, stamp: str = "", pictures: Sequence[NDArray[np.uint8]] | None = None) -> bytes:
    """The page of a classifier, which says that it is made of `stamp`; with training pictures, or with palettes alone.

    pictures are uint8 [s, s, 3], in the order of the training rows. The same classifier gives the same bytes. Raises
    BatikError where the runtime cannot be had.
    """
    facts = bundle.about.model_dump()
    facts |= facts.pop("image")
    for row, pixels in zip(facts["training"]["rows"], pictures or (), strict=False):
        row["picture"] = _data_uri(Image.fromarray(pixels).resize((THUMBNAIL, THUMBNAIL)), "WEBP", quality=80)
    motifs = bundle.about.motifs
    facts |= {"names": motif_names(motifs), "plates": plates_told(motifs), "pictures": pictures is not None}
    facts["examples"] = _examples(motifs if bundle.about.drawn else SAMPLE_MOTIFS)
    runtime = packages(FOLDER) / "@litertjs" / "core"
    facts["runtime"] = json.loads(_text(runtime / "package.json"))["version"]
    code, style, words = script(runtime), _text(PARTS / "page.css"), json.loads(_text(PARTS / "words.json"))
    # Nothing but these two texts may run or style, and nothing may be fetched.
    policy = f"default-src 'none'; script-src '{_sha256(code)}' 'wasm-unsafe-eval'; style-src '{_sha256(style)}'"
    page = Environment(loader=FileSystemLoader(PARTS), autoescape=True, undefined=StrictUndefined)
    text = page.get_template("page.html").render(
        policy=Markup(policy + "; img-src data: blob:; base-uri 'none'; form-action 'none'"),
        stamp=stamp,
        title=facts["study"]["title"],
        title_word="title" if facts["batik"] else "title.other",
        drawn=facts["drawn"],
        noscript=[said["noscript"] for said in words.values()],
        words=_json(words),
        facts=_json(facts),
        style=Markup(style),
        script=Markup(code),
        runtime=_packed((runtime / "wasm" / "litert_wasm_compat_internal.wasm").read_bytes()),
        model=_packed(bundle.model),
        training=_packed(bundle.training.astype("<f2").tobytes()),
    )
    return text.encode()


def script(runtime: Path) -> str:
    """All of the page's scripts as one, with the two of LiteRT (the folder of @litertjs/core) in functions."""
    started = _text(runtime / "wasm" / "litert_wasm_compat_internal.js")
    library = re.sub(r"^export \{[^}]*\};$", "", unlinked(_text(runtime / "dist" / "index.js")), flags=re.MULTILINE)
    parts = [
        f"const loader = () => {{\n{started}\nreturn ModuleFactory;\n}};",
        f"const library = (createWasmLib) => {{\n{library}\nreturn {{ loadLiteRt, loadAndCompile, Tensor }};\n}};",
        *(unlinked(_text(PARTS / name)) for name in SCRIPTS),
    ]
    # What would end a script, or begin a comment, in HTML.
    return "\n".join(parts).replace("</script", "<\\/script").replace("<!--", "<\\!--")


def unlinked(code: str) -> str:
    """A module's code without its imports, export marks and source map: all modules share one scope."""
    code = re.sub(r"^import [^;]*;$|^//# sourceMappingURL=.*$", "", code, flags=re.MULTILINE)
    return re.sub(r"^export (?=async function|function|class|const|let)", "", code, flags=re.MULTILINE)


def plates_told(motifs: Iterable[str]) -> dict[str, dict[str, Any]]:
    """{motif: title and short text by language, sources as text} for those motifs that have a plate."""
    plates = load_plates()
    known = {motif: plates[motif] for motif in motifs if motif in plates}
    entries = json.loads(pypandoc.convert_file(REFERENCES, "csljson", format="biblatex")) if known else []
    cited = {entry["id"]: _reference(entry) for entry in entries}
    return {
        motif: {
            "title": plate.title.model_dump(),
            "short": {"en": plate.en.short.strip(), "id": plate.id.short.strip()},
            "sources": [cited[key] for key in plate.sources],
        }
        for motif, plate in known.items()
    }


def _reference(entry: Mapping[str, Any]) -> str:
    """An entry of the bibliography as "Author (year), title"."""
    people = [person.get("family") or person["literal"] for person in entry.get("author") or entry.get("editor") or ()]
    year = entry.get("issued", {}).get("date-parts", [[""]])[0][0]
    who = " & ".join(people) if len(people) < 3 else f"{people[0]} et al."
    return ", ".join(part for part in (f"{who} ({year})" if who and year else who, entry["title"]) if part)


def _examples(motifs: Sequence[str]) -> list[dict[str, str]]:
    """Drawings to try the page with; few colours, so that they are small."""
    names = motif_names(motifs)
    drawn = [Image.fromarray(draw(motif, EXAMPLE, EXAMPLE_SIDE)).quantize(EXAMPLE_COLOURS) for motif in motifs]
    return [{"name": n, "picture": _data_uri(d, "PNG", optimize=True)} for n, d in zip(names, drawn, strict=True)]


def _data_uri(image: Image.Image, format_: str, **options: Any) -> str:
    stream = io.BytesIO()
    image.save(stream, format_, **options)
    return f"data:image/{format_.lower()};base64,{base64.b64encode(stream.getvalue()).decode()}"


def _packed(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, mtime=0)).decode()


def _json(value: Any) -> Markup:
    return Markup(json.dumps(value, ensure_ascii=False).replace("<", "\\u003c"))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _sha256(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
