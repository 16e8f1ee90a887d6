"""Verdicts, claims and the choice of the model, as tables."""

from collections.abc import Sequence

import numpy as np

from benchmark import captions, scores
from benchmark.published import AVERAGE, EPOCHS
from benchmark.tables import footnotes
from benchmark.tables.cells import (
    _FORMS,
    NOT_RUN,
    NOTES,
    ONE_RUN,
    _about,
    _counted,
    _fold,
    _interval,
    _number,
    verdict_cell,
)
from benchmark.tables.table import Cell, Row, Table
from benchmark.verdicts import numbers
from benchmark.verdicts.numbers import MARGINS, OVERLAP, Verdict
from benchmark.verdicts.reproduced import Evidence

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


def verdict_table(
    known: Evidence, found: Sequence[Verdict], dataset: str = "", notes: Sequence[str] = ()
) -> Table:
    """Every published number of a data set, or the averages of all (its frame has every number).

    Where an average has no verdict, the classes that have one stand for it. ``notes`` say what is
    found beside the verdicts and counts in none.
    """
    config = known.config
    head = ["Number", "Published", "Reproduced", "95 % of new runs", "Verdict", "Runs", "Seeds"]
    head += ["Epochs"]
    if dataset:
        found = [verdict for verdict in found if verdict.dataset == dataset]
        rows = [_verdict_row(verdict, _label(verdict)) for verdict in found]
        caption = (
            f"Published against reproduced, number by number, {captions.dataset(config, dataset)}. "
            f"{tally(found)} {captions.conditions(config, known.found.runs, dataset, ratio=False)}"
        )
        rule = []
    else:
        shown = _averages(found)
        rows = [
            _verdict_row(verdict, f"{config.datasets[verdict.dataset].title}, {_label(verdict)}")
            for verdict in shown
        ]
        caption = (
            "Published against reproduced: averages over the inlier classes, and single classes "
            f"where their average has not run. {tally(shown)} {_about(known)}"
        )
        rule = [RULE]
    legend = footnotes.legend(rows, "", NOTES)
    return Table(caption, head, rows, [*legend, *rule, *notes], numbers.frame(found))


def tally(found: Sequence[Verdict]) -> str:
    """How many numbers have each verdict."""
    return f"Of {len(found)} published numbers: {_counted(verdict.outcome for verdict in found)}"


def _averages(found: Sequence[Verdict]) -> list[Verdict]:
    """The averages, and the classes that ran of those that did not."""

    def series(verdict: Verdict) -> tuple[object, ...]:
        row = verdict.published
        return verdict.dataset, row.place, row.method, row.loss, row.metric, row.outlier_ratio

    def is_average(verdict: Verdict) -> bool:
        return verdict.published.inlier == AVERAGE

    ran = [verdict for verdict in found if verdict.outcome != NOT_RUN]
    averaged = {series(verdict) for verdict in ran if is_average(verdict)}

    def alone(verdict: Verdict) -> bool:
        return verdict.outcome != NOT_RUN and series(verdict) not in averaged

    return [each for each in found if each.dataset and (is_average(each) or alone(each))]


def _label(verdict: Verdict) -> str:
    row = verdict.published
    if row.metric == OVERLAP:
        return f"overlap of {row.method}, points"
    if row.metric == "parameters":
        return f"{row.method}, parameters"
    what = row.metric if row.metric == "F1" else scores.component(row.loss)
    which = row.inlier_class.removeprefix("average").lstrip(", ")
    return f"{row.method}, {what}, {which or 'average'}"


def _verdict_row(verdict: Verdict, label: str) -> Row:
    row = verdict.published
    ends, mark = (verdict.low, verdict.high), ""
    if np.isnan(verdict.low) and not np.isnan(verdict.mean_low):
        ends, mark = (verdict.mean_low, verdict.mean_high), ONE_RUN
    cells = [
        _number(row.value, row.metric, row.recalled),
        _number(verdict.mean, row.metric),
        _interval(*ends, _FORMS.get(row.metric, ".3f"), mark),
        verdict_cell(verdict.outcome, verdict.detail),
        Cell(str(verdict.runs) if verdict.runs else Cell.MISSING),
        Cell(str(len(verdict.seeds)) if verdict.seeds else Cell.MISSING),
        Cell(verdict.epochs or Cell.MISSING),
    ]
    place = f"{row.place}, from an earlier paper" if row.copied else row.place
    return Row([label], cells, note=place, fold=_fold(verdict.outcome))
