"""The paper's claims as a table."""

from typing import Any

import numpy as np
import pandas as pd

from benchmark import captions
from benchmark.config import Config
from benchmark.metrics.challenge_study import STAND_IN
from benchmark.tables import cells
from benchmark.tables.source import Source
from benchmark.tables.table import Cell, Row, Table, number

CSV = (
    *("id", "place", "claim", "outcome", "detail", "p", "p_holm", "gain", "comparison", "dataset"),
    *("weakest", "effect", "low", "high", "new_low", "new_high", "p_not_above"),
    *("published_effect", "effect_ratio"),
    *("runs", "short", "other", "constant", "borrowed", "lacks"),
)
"""Columns of the CSV file."""


def build(source: Source) -> Table:
    """The claims, each with its weakest comparison; its frame has all comparisons."""
    frame = source.verdicts.claims
    claims = {str(key): part for key, part in frame.groupby("id", sort=False)}
    details = {key: detail(source.config, part) for key, part in claims.items()}
    outcomes = cells.counts(part["outcome"].iloc[0] for part in claims.values())
    caption = (
        f"The paper's claims. {outcomes}\nA claim holds "
        "if all its comparisons do; the effect is the difference (of AUROC, of percentage points "
        "of overlap, or the ratio of parameters) in the weakest one, with its 95 % interval over "
        "runs and test samples and the p-value of the claim by Holm over all claims. Gain: whether "
        "the paper's difference, one draw, replicates, that is, ours has its sign and the paper's "
        "lies in the 95 % interval of a new draw. A published number that stands for a method that "
        "was not run has the variance of a run. Classes of one run are supposed to spread as those "
        "with more do. Fewer epochs than the paper's are a short run, other hyperparameters are "
        "other settings, whatever the "
        f"numbers. {source.conditions()}"
    )
    head = ["Claim", "Paper's effect", "Our effect", "Interval", "Verdict", "p", "Gain"]
    head += ["Weakest comparison"]
    rows = [_row(part, details[key]) for key, part in claims.items()]
    challenges = source.verdicts.challenge_claim
    notes = [
        captions.challenge_claim(source.config, dataset, challenges)
        for dataset, settings in source.config.datasets.items()
        if settings.source == STAND_IN
    ]
    csv = frame.rename(columns={"other_settings": "other", "missing": "lacks"}).assign(
        detail=frame["id"].map(details),
        short=frame["short_epochs"].map(captions.epoch_count),
        constant=frame["constant_classes"].map(cells.constant),
    )
    return Table(caption, head, rows, notes, csv[list(CSV)])


def detail(config: Config, claim: pd.DataFrame) -> str:
    """The remark beside the verdict on a claim; maybe empty.

    Args:
        config: for the titles of data sets.
        claim: its rows of ``verdicts.claims.frame``.
    """
    row: Any = claim.iloc[0]
    if row.claim_missing:
        made = int((claim["missing"] == "").sum())
        part = f"{len(claim) - made} of {len(claim)} comparisons: " if made else ""
        return part + str(row.claim_missing)
    parts = [
        captions.epoch_count(row.claim_short_epochs),
        row.claim_other_settings,
        cells.constant(row.claim_constant_classes),
        "one run per class: the spread over seeds is not known" * bool(row.one_run),
        row.claim_borrowed and f"against published numbers of {row.claim_borrowed}",
        f"rank {row['rank']} of {row.ranked}" * bool(row["rank"]),
    ]
    weakest: Any = next(claim[claim["weakest"]].itertuples())
    if np.isfinite(row.p) and weakest.spread_classes:
        of = captions.dataset(config, weakest.spread_dataset)
        parts.append(f"{cells.spread(weakest.spread_classes, weakest.classes)} of {of}")
    return "; ".join(filter(None, parts))


def _row(claim: pd.DataFrame, detail: str) -> Row:
    weakest: Any = next(claim[claim["weakest"]].itertuples(), None)
    row: Any = claim.iloc[0]
    return Row(
        [row["claim"]],
        [
            *_effects(weakest),
            cells.verdict_cell(row["outcome"], detail),
            Cell(f"{row['p_holm']:.2g}") if np.isfinite(row["p_holm"]) else Cell(),
            Cell(row["gain"] or Cell.MISSING),
            Cell(weakest.comparison if weakest else Cell.MISSING, kind="long"),
        ],
        note=row["place"],
        fold=cells.fold(row["outcome"]),
    )


def _effects(weakest: Any) -> list[Cell]:
    if weakest is None:
        return [Cell(), Cell(), Cell()]
    if weakest.times:
        return [_ratio(weakest.published_effect), _ratio(weakest.effect), Cell()]
    form = "+.1f" if weakest.points else "+.3f"
    return [
        cells.number_cell(weakest.published_effect, form),
        cells.number_cell(weakest.effect, form),
        cells.interval_cell(weakest.low, weakest.high, form),
    ]


def _ratio(value: float) -> Cell:
    return Cell() if np.isnan(value) else Cell(f"{number(value, '.1f')} times")
