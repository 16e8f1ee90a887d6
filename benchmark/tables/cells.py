"""Cells of verdicts, numbers and intervals."""

from collections import Counter
from collections.abc import Iterable

import numpy as np

from benchmark import captions
from benchmark.tables import footnotes
from benchmark.tables.table import Cell, number
from benchmark.verdicts.numbers import OVERLAP
from benchmark.verdicts.reproduced import Evidence

MARKS = {
    "reproduced": "✓",
    "higher": "↑",
    "lower": "↓",
    "inconclusive": "?",
    "short run": "…",
    "other settings": "≠",
    "not run": "–",
    "holds": "✓",
    "fails": "×",
    "undecided": "?",
}
"""What stands before each verdict, so that it is seen without colours."""

NOT_RUN = "not run"

ONE_RUN = "§"
NOTES = {
    **footnotes.NOTES,
    ONE_RUN: "one run per class: the interval is that of the test samples alone",
}


def _fold(outcome: str) -> str:
    return NOT_RUN if outcome == NOT_RUN else ""


def _about(known: Evidence) -> str:
    """The data sets, epochs, seeds and model behind the numbers."""
    config, runs = known.config, known.found.runs
    done = set(runs.loc[runs["status"] == "complete", "dataset"])
    names = ", ".join(captions.dataset(config, key) for key in config.datasets if key in done)
    parts = [
        names or "no complete run",
        captions.epochs(config, runs),
        captions.seeds(config, runs),
    ]
    return f"{'; '.join(parts)}; the model of the best validation loss."


def verdict_cell(outcome: str, detail: str = "") -> Cell:
    """A verdict with its mark."""
    return Cell(f"{MARKS[outcome]} {outcome}", note=detail, kind=outcome.replace(" ", "-"))


_FORMS = {"parameters": ",.0f", OVERLAP: ".1f"}


def _number(value: float, metric: str, recalled: bool = False) -> Cell:
    if np.isnan(value):
        return Cell()
    mark = footnotes.RECALLED if recalled else ""
    return Cell(number(value, _FORMS.get(metric, ".3f")), marks=mark)


def _signed(value: float, form: str = "+.3f") -> Cell:
    return Cell() if np.isnan(value) else Cell(number(value, form))


def _interval(low: float, high: float, form: str = ".3f", mark: str = "") -> Cell:
    if np.isnan(low):
        return Cell()
    return Cell(f"{number(low, form)} to {number(high, form)}", marks=mark, kind="interval")


def _counted(outcomes: Iterable[str]) -> str:
    counts = Counter(outcomes)
    return ", ".join(f"{counts[name]} {name}" for name in MARKS if counts[name]) + "."
