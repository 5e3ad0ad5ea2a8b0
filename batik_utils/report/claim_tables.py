"""Tables of what the seed study published, claim by claim."""

from collections.abc import Callable, Sequence
from functools import partial

import pandas as pd

from batik_utils import wording as say
from batik_utils.report.tables import frame
from batik_utils.stats.claims import SHUFFLED, ClaimRow

MOTIF_SCORES = {f"{SHUFFLED}{score}" for score in ("precision", "recall", "f1")}
"""Metrics of claims that are one motif's in a report from shuffled labels, or their mean."""


def claims_frame(rows: Sequence[ClaimRow]) -> pd.DataFrame:
    """The claims table as short text; numbers of the shuffled reports' motifs have a table of their own."""
    out = []
    for r in rows:
        if r.metric in MOTIF_SCORES:
            continue
        show, ours = _claimed_as(r), "–"
        if r.published:
            low, high = r.published.range
            band = say.percent_range(say.Band(low, high)) if show is say.percent else f"{show(low)}–{show(high)}"
            ours = f"{show(r.published.median)} ({band})"
        value = say.of_images(r.value, r.n) if r.metric == "ten_images" and r.n else show(r.value)
        shown = f"about {value} (read off)" if r.read_off else value
        grouped = "–" if r.grouped is None else show(r.grouped.value)
        out.append((r.what, shown, ours, grouped, f"**{r.verdict}**", r.reason))
    return frame("claim; published; ours, same split; ours, grouped; verdict; why", out)


def shuffled_table(rows: Sequence[ClaimRow], motifs: Sequence[str]) -> pd.DataFrame:
    """Precision, recall and F1 of the seed's shuffled reports beside what shuffling shows here."""
    names = dict(zip(motifs, say.motif_names(motifs), strict=True))
    out = [
        (r.what, names.get(r.motif or "", "all"), say.number(r.value, 2), f"**{r.verdict}**", r.reason)
        for r in rows
        if r.metric in MOTIF_SCORES
    ]
    return frame("claim; motif; published; verdict; why", out)


def _claimed_as(row: ClaimRow) -> Callable[[float], str]:
    if row.metric.endswith("images") and row.metric != "ten_images":
        return partial(say.number, decimals=0)
    return partial(say.number, decimals=3) if row.metric in {"loss", "train_loss", "macro_f1"} else say.percent
