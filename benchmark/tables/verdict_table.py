"""Verdicts on published numbers as a table."""

from typing import Any

import numpy as np
import pandas as pd

from benchmark import captions, scores
from benchmark.published import AVERAGE, EPOCHS
from benchmark.tables import cells
from benchmark.tables.source import Source
from benchmark.tables.table import Cell, Row, Table
from benchmark.utils.text import counted
from benchmark.verdicts.numbers import MARGINS, OVERLAP, PUBLISHED

RULE = (
    "Reproduced: our mean is shown (two one-sided tests, 5 %) to be within "
    f"{MARGINS['AUROC']:g} of the published number ({MARGINS['overlap']:g} percentage point of "
    f"overlap, {MARGINS['parameters']:.0%} of parameters), or within the spread of one run where "
    "that is wider. Higher or lower: ours is so, the published number lying outside the 95 % "
    "interval of a new run. Inconclusive: neither is shown; the further seeds would show one if "
    "mean and spread stayed. In an average, classes of one run are supposed to spread as those "
    "with more do. Of numbers that are all reproduced, one in twenty would lie outside by chance. "
    f"Fewer epochs than the paper's ({EPOCHS} for its own models) are a short run, other "
    "hyperparameters are other settings, whatever the numbers."
)

FORMS = {"parameters": ",.0f", OVERLAP: ".1f"}
"""Formats of metrics; the others have three digits."""

CSV = (
    *PUBLISHED,
    *("dataset", "outcome", "detail", "mean", "low", "high", "mean_low", "mean_high", "p"),
    *("equivalence_p", "further", "runs", "seeds", "epochs", "command", "p_holm"),
)
"""Columns of the CSV file: those of ``verdicts.numbers.frame``, the reasons as one ``detail``."""


def build(source: Source, dataset: str = "") -> Table:
    """Every published number of a data set, or the averages of all (its frame has every number).

    Where an average has no verdict, those of its classes are shown instead.
    """
    config, frame, third_party = source.config, source.verdicts.numbers, source.verdicts.third_party
    if dataset:
        frame = frame[frame["dataset"] == dataset]
        third_party = third_party[third_party["dataset"] == dataset]
        rows = [_row(verdict, _label(verdict)) for verdict in frame.itertuples()]
        caption = (
            f"Published against reproduced, number by number, {captions.dataset(config, dataset)}. "
            f"{tally(frame)} {captions.conditions(config, source.runs, dataset, ratio=False)}"
        )
        rule = []
    else:
        shown = _averages(frame)
        rows = [
            _row(verdict, f"{config.datasets[str(verdict.dataset)].title}, {_label(verdict)}")
            for verdict in shown.itertuples()
        ]
        caption = (
            "Published against reproduced: averages over the inlier classes, and single classes "
            f"where their average has not run. {tally(shown)} {source.conditions()}"
        )
        rule = [RULE]
    head = ["Number", "Published", "Reproduced", "95 % of new runs", "Verdict", "Runs", "Seeds"]
    head += ["Epochs"]
    notes = [*cells.legend(rows, ""), *rule, *map(_note, third_party.itertuples())]
    details = [detail(verdict) for verdict in frame.itertuples()]
    return Table(caption, head, rows, notes, frame.assign(detail=details)[list(CSV)])


def tally(frame: pd.DataFrame) -> str:
    """How many numbers have each verdict."""
    return f"Of {len(frame)} published numbers: {cells.counts(frame['outcome'])}"


def detail(verdict: Any) -> str:
    """The remark beside a verdict; maybe empty.

    Args:
        verdict: a row of ``verdicts.numbers.frame``, or a ``Verdict``.
    """
    parts = [
        verdict.missing,
        _reason(verdict),
        captions.epoch_count(verdict.short_epochs),
        verdict.other_settings,
        cells.constant(verdict.constant_classes),
        cells.spread(verdict.spread_classes, verdict.classes),
        _without_number(verdict),
    ]
    return "; ".join(filter(None, parts))


def _reason(verdict: Any) -> str:
    """Why a verdict is inconclusive, or what would decide it."""
    if verdict.reason == "no chance":
        return "fitted without chance: further seeds give the same"
    if verdict.reason == "one run per class":
        return "one run per class: the spread over seeds is not known"
    if verdict.reason != "further seeds":
        return ""
    if pd.isna(verdict.further):
        return f"more than {counted(int(verdict.further_limit), 'further seed')}"
    bound = "" if verdict.spread_known else "at least "
    return f"{bound}{counted(int(verdict.further), 'further seed')}"


def _without_number(verdict: Any) -> str:
    """How many complete runs are not in the mean."""
    lost = verdict.runs_without_number
    if not lost:
        return ""
    one, more = ("has", "have") if verdict.metric != OVERLAP else ("lacks", "lack")
    what = "no number" if verdict.metric != OVERLAP else "a class"
    every = counted(lost + verdict.values, "run")
    return f"{lost} of {every} {one if lost == 1 else more} {what}"


def _averages(frame: pd.DataFrame) -> pd.DataFrame:
    """The averages, and the classes that ran of those averages that did not."""
    names = ["dataset", "place", "published_method", "loss", "metric", "outlier_ratio"]
    series = frame[names].apply(tuple, axis=1)
    average, ran = frame["inlier"] == AVERAGE, frame["outcome"] != cells.NOT_RUN
    alone = ran & ~series.isin(series[average & ran])
    return frame[(frame["dataset"] != "") & (average | alone)]


def _label(verdict: Any) -> str:
    method = verdict.published_method
    if verdict.metric == OVERLAP:
        return f"overlap of {method}, points"
    if verdict.metric == "parameters":
        return f"{method}, parameters"
    what = verdict.metric if verdict.metric == "F1" else scores.component(verdict.loss)
    which = verdict.inlier_class.removeprefix("average").lstrip(", ")
    return f"{method}, {what}, {which or 'average'}"


def _row(verdict: Any, label: str) -> Row:
    ends, mark = (verdict.low, verdict.high), ""
    if np.isnan(verdict.low) and not np.isnan(verdict.mean_low):
        ends, mark = (verdict.mean_low, verdict.mean_high), cells.ONE_RUN
    form = FORMS.get(verdict.metric, ".3f")
    recalled = cells.RECALLED * (verdict.confidence == "recalled")
    shown = [
        cells.number_cell(verdict.published, form, recalled),
        cells.number_cell(verdict.mean, form),
        cells.interval_cell(*ends, form, mark),
        cells.verdict_cell(verdict.outcome, detail(verdict)),
        Cell(str(verdict.runs) if verdict.runs else Cell.MISSING),
        Cell(str(verdict.seed_count) if verdict.seed_count else Cell.MISSING),
        Cell(verdict.epochs or Cell.MISSING),
    ]
    place = f"{verdict.place}, from an earlier paper" if verdict.copied else verdict.place
    return Row([label], shown, note=place, fold=cells.fold(verdict.outcome))


def _note(row: Any) -> str:
    """What our runs and those that others report say together."""
    inside = row.low <= row.published <= row.high
    return (
        f"Beside the verdicts, which are from our scores alone: {row.published_method} on "
        f"{row.published_dataset} by our {counted(row.seeds, 'seed')} and "
        f"{counted(row.reported_runs, 'run')} that others report ({row.places}) has an average "
        f"AUROC of {row.mean:.3f}; 95 % of new runs lie in {row.low:.3f} to {row.high:.3f}, and "
        f"the published {row.published:.3f} lies {'inside' if inside else 'outside'} "
        f"(p = {row.p:.2g})."
    )
