"""The abstract in Indonesian, by rule from the numbers of the English one, and captions in Indonesian."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from batik_utils import wording as say
from batik_utils.report.verdicts import TOO_FEW, Verdict
from batik_utils.stats.claims import NOT_REPRODUCED, REPRODUCED, ClaimRow
from batik_utils.stats.compare import Comparison, sorted_out
from batik_utils.stats.intervals import Interval

OPENINGS = {
    "better": "{a} lebih baik daripada {b}",
    "worse": "{a} lebih buruk daripada {b}",
    "same": "{a} dan {b} praktis sama",
    "open": "Perbedaan antara {a} dan {b} tidak dapat ditunjukkan",
    TOO_FEW: "Hasil untuk membandingkan {a} dan {b} belum cukup",
}
"""By the word of the verdict."""
PICTURES = {
    "published": "foto dari himpunan *Indonesian Batik Motifs*",
    "folder": "gambar dari sebuah folder",
    "drawn": "gambar yang dibuat program ini, bukan foto batik",
}
"""By where the pictures are from."""
SIMPLE = {
    "file facts (picture unopened)": "fakta berkas saja",
    "colour histogram": "warna saja",
    "frozen features (logistic regression)": "regresi logistik pada fitur beku",
}
"""Baselines, as within a sentence."""


def in_indonesian(text: str) -> str:
    """A caption, free of emphasis, in italics and marked as Indonesian."""
    return f'<span lang="id">*{text}*</span>'


def pictures(n: int, kind: str, motifs: Sequence[str], chance: float) -> str:
    """How many pictures (kind is a key of PICTURES) of which motifs there are, and what guessing gives."""
    what = f"Digunakan {n:,} {PICTURES[kind]}: {_listed(motifs)}."
    return _decimals(f"{what} Tebakan saja benar {say.percent(chance)}.")


def verdict(found: Verdict, comparison: Comparison | None, title_a: str, title_b: str) -> str:
    """The verdict with the two means and their difference, as Verdict.short says it."""
    opening = OPENINGS[found.word].format(a=title_a, b=title_b)
    if comparison is None or found.word == TOO_FEW:
        return f"{opening}."
    c, gap = comparison, comparison.difference
    means = f"{say.percent(c.mean_a)} berbanding {say.percent(c.mean_b)} pada lipatan yang sama"
    band = f"{say.hundredths(gap.low, sign=True)} sampai {say.hundredths(gap.high, sign=True)}{say.NBSP}poin"
    size = f"selisih {say.hundredths(gap.value, sign=True)}{say.NBSP}poin (interval 95{say.NBSP}% {band})"
    return _decimals(f"{opening}: {means}, {size}.")


def worth(title: str, accuracy: Interval | None, chance: float, over: Mapping[str, Comparison]) -> str:
    """Whether a model has been shown to know more than simple methods do; arguments as lessons.worth takes them."""
    if accuracy is None:
        return f"Apa yang dipelajari {title} tidak dapat dikatakan: hasilnya terlalu sedikit."
    if accuracy.low <= chance:
        return f"Belum terbukti bahwa {title} mempelajari sesuatu: intervalnya tidak di atas peluang tebakan."
    simple = {SIMPLE.get(name, name): c for name, c in over.items()}
    does = ("tahu lebih banyak daripada", "belum terbukti tahu lebih banyak daripada", "tahu lebih sedikit daripada")
    parts = [f"{words} {_listed(names)}" for words, names in zip(does, sorted_out(simple), strict=True) if names]
    return f"{title} {'; ia '.join(parts) or 'mempelajari sesuatu'}."


def worth_elsewhere(title: str, accuracy: Interval, chance: float, over: Mapping[str, Comparison]) -> str:
    """What is not shown where pictures of one source are kept together; as lessons.worth_elsewhere says it."""
    missed = "mempelajari sesuatu" if accuracy.low <= chance else ""
    if open_ := [SIMPLE.get(name, name) for names in sorted_out(over)[1:] for name in names]:
        missed = missed or f"tahu lebih banyak daripada {_listed(open_)}"
    return f"Bila gambar dari satu sumber dikumpulkan, belum terbukti bahwa {title} {missed}." if missed else ""


def claims(rows: Sequence[ClaimRow]) -> str:
    """How many published numbers come out again, and how many do not."""
    found = Counter(row.verdict for row in rows)
    again, not_again = found[REPRODUCED], found[NOT_REPRODUCED]
    rest = "; sisanya tidak dapat dipastikan atau dibandingkan" if again + not_again < len(rows) else ""
    return f"Dari {len(rows)} angka yang pernah diterbitkan, {again} terulang dan {not_again} tidak{rest}."


def _listed(names: Sequence[str]) -> str:
    """ "A", "A dan B", "A, B, dan C"."""
    head = ", ".join(names[:-1]) + ("," if len(names) > 2 else "")
    return f"{head} dan {names[-1]}" if len(names) > 1 else "".join(names)


def _decimals(text: str) -> str:
    """Numbers with a comma for the decimals and a point for the thousands."""
    swapped = {".": ",", ",": "."}
    return re.sub(r"(?<=\d)[.,](?=\d)", lambda found: swapped[found[0]], text)
