"""classifier.html: one file that opens anywhere, made of a classifier, a runtime and the page's own parts."""

import base64
import gzip
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pypandoc
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from batik_utils.app.node import packages
from batik_utils.deploy.bundle import Bundle
from batik_utils.sample import SAMPLE_MOTIFS, draw
from batik_utils.study_file import load_plates
from batik_utils.wording import motif_names

FOLDER = Path(__file__).parent
PAGE = FOLDER / "page"
REFERENCES = FOLDER.parent / "report" / "templates" / "refs.bib"
SCRIPTS = (
    *("resize.js", "header.js", "picture.js", "runtime.js", "model.js"),
    *("words.js", "dom.js", "evidence.js", "card.js", "about.js", "csv.js", "main.js"),
)
"""The page's scripts, each after those that it imports."""
EXAMPLE = 10_000  # index of the drawings to try: no study draws so many, so none was learnt from
EXAMPLE_SIDE, EXAMPLE_COLOURS = 224, 64
THUMBNAIL = 96  # pixels a side

Picture = Callable[[int], NDArray[np.uint8]]
"""From a row of the training pictures to its pixels, uint8 [s, s, 3]."""


def build_page(bundle: Bundle, stamp: str = "", picture: Picture | None = None) -> bytes:
    """The page of a classifier, which says that it is made of `stamp`; with training pictures, or with palettes alone.

    The same classifier gives the same bytes. Raises BatikError where the runtime cannot be had.
    """
    facts = bundle.about.model_dump()
    facts |= facts.pop("image")
    if picture is not None:
        for i, row in enumerate(facts["training"]["rows"]):
            row["picture"] = _data_uri(Image.fromarray(picture(i)).resize((THUMBNAIL, THUMBNAIL)), "WEBP", quality=80)
    motifs = bundle.about.motifs
    facts |= {"names": motif_names(motifs), "plates": plates_told(motifs), "pictures": picture is not None}
    facts["examples"] = _examples(motifs if bundle.about.drawn else SAMPLE_MOTIFS)
    runtime = packages(FOLDER) / "@litertjs" / "core"
    facts["runtime"] = json.loads(_text(runtime / "package.json"))["version"]
    code, style, words = script(runtime), _text(PAGE / "page.css"), json.loads(_text(PAGE / "words.json"))
    # Nothing but these two texts may run or style, and nothing may be fetched.
    policy = f"default-src 'none'; script-src '{_sha256(code)}' 'wasm-unsafe-eval'; style-src '{_sha256(style)}'"
    page = Environment(loader=FileSystemLoader(PAGE), autoescape=True, undefined=StrictUndefined)
    return (
        page.get_template("page.html")
        .render(
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
        .encode()
    )


def script(runtime: Path) -> str:
    """All of the page's scripts as one, with the two of LiteRT (the folder of @litertjs/core) in functions."""
    started = _text(runtime / "wasm" / "litert_wasm_compat_internal.js")
    library = re.sub(r"^export \{[^}]*\};$", "", unlinked(_text(runtime / "dist" / "index.js")), flags=re.MULTILINE)
    parts = [
        f"const loader = () => {{\n{started}\nreturn ModuleFactory;\n}};",
        f"const library = (createWasmLib) => {{\n{library}\nreturn {{ loadLiteRt, loadAndCompile, Tensor }};\n}};",
        *(unlinked(_text(PAGE / name)) for name in SCRIPTS),
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
