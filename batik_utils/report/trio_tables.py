"""Every trio of a study's motifs, beside what others report of some: tables, sentences, numbers for metrics.json."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from batik_utils import wording as say
from batik_utils.errors import BatikError
from batik_utils.report.analysis import Analysis
from batik_utils.stats.trios import line, motif_means
from batik_utils.study import ROOT

SIDES = ["a", "b", "c"]


def trio_frame(analysis: Analysis) -> pd.DataFrame:
    """One row per trio, the easiest first: a, b, c (motifs' folders), pictures, accuracy by each recipe's name, rank.

    Ranks are by the verdict's pretrained model, from 1; equal ones share the lower.
    """
    tables = {model: found.table for model, found in analysis.trios.items()}
    first, *_ = tables.values()
    folders = {side: [analysis.dataset.motifs[i] for i in first[side]] for side in SIDES}
    out = pd.DataFrame(folders | {"pictures": first["n"]} | {m: table["accuracy"] for m, table in tables.items()})
    out["rank"] = first["accuracy"].rank(ascending=False, method="min").astype(int)
    return out.sort_values(["rank", *SIDES], ignore_index=True)


def accuracies(analysis: Analysis) -> dict[str, pd.Series]:
    """{title: accuracy on every trio}"""
    return {analysis.title(model): found.table["accuracy"] for model, found in analysis.trios.items()}


def published_trios(analysis: Analysis) -> pd.DataFrame:
    """What others report, the easiest trio first: by, trio, model, arm, stated; ours (the first recipe's), rank, note.

    Rows on what is no trio of the study's motifs are left out. Raises BatikError where studies/trios/ has no such file.
    """
    path, frame = ROOT / "studies" / "trios" / f"{analysis.study.trios}.csv", trio_frame(analysis)
    if not path.is_file():
        raise BatikError(f"{analysis.study.name}: trios names {path.name}, which is not in studies/trios/.")
    names = dict(zip(analysis.dataset.motifs, analysis.motifs, strict=True))
    places = {frozenset(trio): i for i, trio in enumerate(frame[SIDES].itertuples(index=False))}
    stated = pd.read_csv(path, comment="#", dtype={"accuracy": float}).fillna({"note": ""})
    stated["place"] = [places.get(frozenset(str(motifs).split())) for motifs in stated["motifs"]]
    stated = stated.dropna(subset="place").rename(columns={"accuracy": "stated"})
    stated[["ours", "rank"]] = frame.loc[stated["place"].astype(int), [next(iter(analysis.trios)), "rank"]].to_numpy()
    stated["trio"] = [", ".join(names[motif] for motif in str(motifs).split()) for motifs in stated["motifs"]]
    columns = ["by", "trio", "model", "arm", "stated", "ours", "rank", "note"]
    return stated[columns].astype({"rank": int}).sort_values("rank", kind="stable", ignore_index=True)


def trio_numbers(analysis: Analysis) -> dict[str, Any] | None:
    """What metrics.json says of all trios, or None: summaries, published ones with their place, motifs, both rankings.

    regression is of the stated accuracies on ours, by arm; where fewer than three trios are stated it is null.
    """
    if not analysis.trios:
        return None
    frame, stated, models = trio_frame(analysis), published_trios(analysis), [*analysis.trios]
    names = dict(zip(analysis.dataset.motifs, analysis.motifs, strict=True))
    ends = {"easiest": frame.iloc[0], "hardest": frame.iloc[-1]}
    means = {m: motif_means(t.table, len(names)).tolist() for m, t in analysis.trios.items()}
    fits = {str(arm): line(rows["ours"].tolist(), rows["stated"].tolist()) for arm, rows in stated.groupby("arm")}
    return {
        "count": len(frame),
        "accuracy": {m: frame[m].agg(["mean", "std", "min", "max"]).to_dict() for m in models},
        **{what: ", ".join(names[motif] for motif in row[SIDES]) for what, row in ends.items()},
        "published": stated.drop(columns="note").to_dict("records"),
        "motifs": {m: dict(zip(names, values, strict=True)) for m, values in means.items()},
        "regression": {arm: fit and fit._asdict() for arm, fit in fits.items()},
        "rank_correlation": float(spearmanr(frame[models[0]], frame[models[1]])[0]) if len(models) > 1 else None,
    }


def published_table(analysis: Analysis) -> pd.DataFrame:
    """One row per trio and model that others report, as short text."""
    found, count = published_trios(analysis), len(trio_frame(analysis))
    shares = {column: found[column].map(say.percent) for column in ("stated", "ours")}
    place = [f"{rank:,} of {count:,}" for rank in found["rank"]]
    return found[["trio", "model"]].assign(**shares, place=place, note=found["note"])


def motif_table(analysis: Analysis) -> pd.DataFrame:
    """Mean accuracy over the trios that hold a motif, by each recipe; the easiest first."""
    means = {analysis.title(m): motif_means(t.table, len(analysis.motifs)) for m, t in analysis.trios.items()}
    return _shares(pd.DataFrame({"motif": analysis.motifs} | means))


def pair_table(analysis: Analysis, top: int = 10) -> pd.DataFrame:
    """The pairs most confused by the first recipe: motif, and, share of both one's pictures taken for the other."""
    one, other = np.triu_indices(len(analysis.motifs), 1)
    either = {analysis.title(m): ((t.confused + t.confused.T) / 2)[one, other] for m, t in analysis.trios.items()}
    names = np.array(analysis.motifs)
    return _shares(pd.DataFrame({"motif": names[one], "and": names[other]} | either)).head(top)


def _shares(table: pd.DataFrame) -> pd.DataFrame:
    """Columns of numbers as percentages, the rows by the first of them, highest first."""
    columns = table.select_dtypes("number").columns
    ordered = table.sort_values(columns[0], ascending=False, kind="stable", ignore_index=True)
    return ordered.assign(**{column: ordered[column].map(say.percent) for column in columns})
