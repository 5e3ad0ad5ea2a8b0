"""`%%say`: the report's prose, Markdown that stands in a notebook's cell and in which Jinja fills in the numbers.

A name in it is one of the notebook's own; one that is not there is an error. Text that comes from somebody's disk or
study (names of folders, files, models) is escaped where it enters; `| safe` marks what is Markdown already. Model card,
checklist and the README's table are filled in alike.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import IPython
import jinja2
from markupsafe import Markup

from batik_utils import wording
from batik_utils.errors import BatikError
from batik_utils.report.display import text
from batik_utils.stats.compare import Comparison
from batik_utils.stats.intervals import Interval


def of_numbers(words: Callable[..., str]) -> Callable[..., Markup]:
    """A filter whose words are of numbers, and so are Markdown already."""
    return lambda *given, **options: Markup(words(*given, **options))


def percent_range(band: Any) -> str:
    """As wording.percent_range, of what has a low and a high end as attributes or, as in metrics.json, as keys."""
    return wording.percent_range(wording.Band(band["low"], band["high"]) if isinstance(band, Mapping) else band)


def reached(interval: Interval) -> str:
    """A share with its interval, as "77.4 % (71.0–83.8 %)"."""
    return f"{wording.percent(interval.value)} ({wording.percent_range(interval)})"


def gap(c: Comparison) -> str:
    """A difference with its interval and p, as "+12.3 points (+1.2 to +23.4 points; p = 0.03)"."""
    holm = "" if c.p_adjusted is None else ", Holm"
    difference = wording.signed_points(c.difference.value)
    return f"{difference} ({wording.points_range(c.difference)}; {wording.p_value(c.p)}{holm})"


def points_interval(interval: Interval) -> str:
    """A difference with its interval, as "+12.3 points (+1.2 to +23.4 points)"."""
    return f"{wording.signed_points(interval.value)} ({wording.points_range(interval)})"


def width(interval: Interval) -> str:
    """How far an interval reaches to either side, as "±6.4 points"."""
    return f"±{wording.points((interval.high - interval.low) / 2)}"


def indonesian(markdown: str) -> Markup:
    """Numbers with a comma for the decimals and a point for the thousands, and *poin* for points."""
    swapped = re.sub(r"(?<![\w.])\d[\d.,]*\d", lambda found: found[0].translate({44: ".", 46: ","}), markdown)
    return Markup(re.sub(r"(?<=\d) to (?=[+−\d])", " sampai ", re.sub(r"(?<=\d\u00a0)points", "poin", swapped)))


def terdaftar(names: list[str]) -> str:
    """ "A", "A dan B", "A, B, dan C"."""
    head = ", ".join(names[:-1]) + ("," if len(names) > 2 else "")
    return f"{head} dan {names[-1]}" if len(names) > 1 else "".join(names)


JINJA = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    finalize=wording.markdown,
    comment_start_string="{%-#",  # as {#sec-x} is a heading's anchor
    comment_end_string="#-%}",
)
NUMBERS: dict[str, Callable[..., str]] = {
    **{"percent": wording.percent, "percent_range": percent_range, "points": wording.points, "width": width},
    **{"points_range": wording.points_range, "number": wording.count, "p_value": wording.p_value},
    **{"decimal": wording.number, "of_images": wording.of_images, "probability": wording.probability},
    **{"reached": reached, "gap": gap, "points_interval": points_interval, "signed_points": wording.signed_points},
    "band": lambda ends: wording.percent_range(wording.Band(*ends)),
    "points_band": lambda ends: wording.points_range(wording.Band(*ends)),
}
JINJA.filters |= {name: of_numbers(words) for name, words in NUMBERS.items()}
JINJA.filters |= {
    **{"listed": wording.listed, "few": wording.few, "upper_first": wording.upper_first, "safe": Markup},
    **{"indonesian": indonesian, "terdaftar": terdaftar, "motif_names": wording.motif_names},
}


def filled(markdown: str, names: Mapping[str, Any]) -> str:
    """Prose with its numbers, without blank lines at its ends; raises BatikError naming the line that cannot be."""
    try:
        return JINJA.from_string(markdown).render(names).strip()
    except jinja2.TemplateError as error:
        place = f" (line {error.lineno})" if isinstance(error, jinja2.TemplateSyntaxError) else ""
        raise BatikError(f"%%say: {error}{place}") from None


def register() -> None:
    """Give the running IPython its cell magic `%%say`; nothing outside IPython."""
    if shell := IPython.get_ipython():

        def say(line: str, cell: str) -> None:
            if words := filled(cell, shell.user_ns):
                text(words)

        shell.register_magic_function(say, "cell")
