"""Verdicts on published numbers as a table."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas as pd

from benchmark import captions, scores
from benchmark.published import AVERAGE, EPOCHS, GAIN
from benchmark.statistics import decisions
from benchmark.tables import cells
from benchmark.tables.source import Source
from benchmark.tables.table import Cell, Row, Table
from benchmark.utils.text import counted
from benchmark.verdicts.numbers import LEAST, MARGINS, OVERLAP, PUBLISHED

RULE = (
    "A published number is one draw. Higher or lower: ours is so, the published number lying "
    f"outside the 95 % interval of a new run and more than {LEAST['AUROC']:g} "
    f"({LEAST['overlap']:g} percentage point of overlap) away. Reproduced: it lies inside, and our "
    f"mean is shown (two one-sided tests, 5 %) to be within {MARGINS['AUROC']:g} of it "
    f"({MARGINS['overlap']:g} points of overlap, {MARGINS['parameters']:.0%} of parameters); the "
    "column Within has the distance that is shown. Compatible: it lies inside, but the runs are "
    f"too noisy to confirm it, as {decisions.MOST_RUNS} more would be. Inconclusive: neither; the "
    "further seeds would decide if mean and spread stayed. In an average, classes of one run are "
    "supposed to spread as those with more do; where whole seeds are there, it takes the larger of "
    "the variance between their averages and that of independent classes. A method without chance "
    "is decided by its test samples. Of numbers that are all reproduced, one in twenty would lie "
    "outside by chance. All known runs: ours and those that others report. "
    f"Fewer epochs than the paper's ({EPOCHS} for its own models) are a short run, other "
    "hyperparameters are other settings, whatever the numbers."
)

FORMS = {"parameters": ",.0f", OVERLAP: ".1f"}
"""Formats of metrics; the others have three digits."""

CSV = (
    *PUBLISHED,
    *("dataset", "runs_from", "outcome", "detail", "mean", "low", "high", "mean_low", "mean_high"),
    *("p", "margin", "bound", "equivalence_p", "whole", "seed_ratio", "further", "runs", "seeds"),
    *("epochs", "reported_runs", "places", "equals", "command", "p_holm"),
)
"""Columns of the CSV file: those of ``verdicts.numbers.frame``, the reasons as one ``detail``, and
``runs_from``: ``ours``, or ``all known`` where those that others report count too."""

SINGLE = "numbers of single classes, whose average has not run"
"""The heading under which they are folded away; the tables by class have them too."""

KEY = ["dataset", "place", "published_method", "loss", "metric", "inlier_class"]
"""What tells a published number from all others."""


def build(source: Source, dataset: str = "") -> Table:
    """Every published number of a data set, or the averages of all (its frame has every number).

    Where an average has no verdict, those of its classes are shown instead.
    """
    config, frame, known = source.config, source.verdicts.numbers, source.verdicts.third_party
    if dataset:
        frame, known = (part[part["dataset"] == dataset] for part in (frame, known))
        rows = [row for row, _ in _rows(frame, known, _label)]
        caption = (
            f"Published against reproduced, number by number, {captions.dataset(config, dataset)}. "
            f"{tally(frame)}\n{captions.conditions(config, source.runs, dataset, ratio=False)}"
        )
        rule = []
    else:
        shown = _averages(frame)
        numbers = _rows(
            shown, known, lambda row: f"{config.datasets[str(row.dataset)].title}, {_label(row)}"
        )
        rows = [
            replace(row, fold=row.fold or SINGLE) if inlier != AVERAGE else row
            for row, inlier in numbers
        ]
        caption = (
            "Published against reproduced: averages over the inlier classes, and single classes "
            f"where their average has not run. {tally(shown)}\n{source.conditions()}"
        )
        rule = [RULE]
    head = ["Number", "Published", "Reproduced", "Difference", "95 % of new runs", "Verdict"]
    head += ["Within", "Runs", "Seeds", "Epochs"]
    both = pd.concat(
        [
            frame.assign(runs_from="ours"),
            *([known.assign(runs_from="all known")] if len(known) else []),
        ]
    )
    details = [detail(verdict) for verdict in both.itertuples()]
    notes = [*cells.legend(rows, ""), *rule]
    return Table(caption, head, rows, notes, both.assign(detail=details)[list(CSV)])


def _rows(
    ours: pd.DataFrame, known: pd.DataFrame, label: Callable[[Any], str]
) -> list[tuple[Row, int]]:
    """A row per published number, and under it that of all known runs where others report some.

    With each is the index of its inlier class, or ``AVERAGE``.
    """
    by_number = {tuple(getattr(row, name) for name in KEY): row for row in known.itertuples()}
    rows = []
    verdict: Any
    for verdict in ours.itertuples():
        rows.append((_row(verdict, label(verdict)), verdict.inlier))
        together = by_number.get(tuple(getattr(verdict, name) for name in KEY))
        if together is not None:
            rows.append((_row(together, f"{label(verdict)}, all known runs"), verdict.inlier))
    return rows


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
        _seed_ratio(verdict),
        _without_number(verdict),
        verdict.equals and f"the same in every class as {verdict.equals}",
        verdict.places and f"with {counted(verdict.reported_runs, 'run')} from {verdict.places}",
    ]
    return "; ".join(filter(None, parts))


def _reason(verdict: Any) -> str:
    """What a verdict rests on, or why there is none."""
    return {
        "no chance": "fitted without chance: decided by its test samples",
        "one run per class": "one run per class: the spread over seeds is not known",
        "too noisy": "too noisy to confirm",
        "further seeds": f"{counted(int(verdict.further), 'further seed')}"
        if pd.notna(verdict.further)
        else "",
        "": "",
    }[verdict.reason]


def _seed_ratio(verdict: Any) -> str:
    """How classes that share a seed vary together, where whole seeds tell it."""
    if pd.isna(verdict.seed_ratio) or verdict.short_epochs or verdict.other_settings:
        return ""
    return (
        f"the averages of {counted(int(verdict.whole), 'whole run')} have "
        f"{verdict.seed_ratio:.2f} times the variance of independent classes"
    )


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
    if verdict.metric == GAIN:
        return f"gain of {verdict.published_method}, {verdict.inlier_class}"
    what = verdict.metric if verdict.metric == "F1" else scores.component(verdict.loss)
    which = verdict.inlier_class.removeprefix("average").lstrip(", ")
    return f"{method}, {what}, {which or 'average'}"


def _row(verdict: Any, label: str) -> Row:
    form = FORMS.get(verdict.metric, ".3f")
    runs = [str(verdict.runs)] if verdict.runs else []
    runs += [f"{verdict.reported_runs} reported"] if verdict.reported_runs else []
    shown = [
        cells.number_cell(verdict.published, form),
        cells.number_cell(verdict.mean, form),
        _difference(verdict, form),
        cells.interval_cell(verdict.low, verdict.high, form),
        cells.verdict_cell(verdict.outcome, detail(verdict)),
        cells.number_cell(verdict.bound, form),
        Cell(" + ".join(runs) or Cell.MISSING),
        Cell(str(verdict.seed_count) if verdict.seed_count else Cell.MISSING),
        Cell(verdict.epochs or Cell.MISSING),
    ]
    place = f"{verdict.place}{', from an earlier paper' * bool(verdict.copied)}"
    place += ", not seen in any source" * bool(verdict.recalled)
    return Row(
        [label], shown, note=place, fold=cells.fold(verdict.outcome), command=verdict.command
    )


def _difference(verdict: Any, form: str) -> Cell:
    """Ours minus published; of parameters it is shaded by the share."""
    unit = {OVERLAP: 100.0, "parameters": verdict.published}.get(verdict.metric, 1.0)
    return cells.difference_cell(verdict.mean - verdict.published, f"+{form}", unit)
