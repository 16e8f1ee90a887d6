"""Cells of verdicts, numbers and intervals, and the words for what verdicts are about."""

from collections import Counter
from collections.abc import Iterable

import numpy as np

from benchmark.tables import footnotes
from benchmark.tables.table import Cell, number
from benchmark.utils.text import counted
from benchmark.verdicts.numbers import OVERLAP

SYMBOLS = {
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
"""The symbol of each verdict, so that it is recognised without colours."""

NOT_RUN = "not run"

ONE_RUN = "§"
NOTES = {
    **footnotes.NOTES,
    ONE_RUN: "one run per class: the interval is that of the test samples alone",
}

FORMS = {"parameters": ",.0f", OVERLAP: ".1f"}
"""Formats of metrics; the others have three digits."""


def verdict_cell(outcome: str, detail: str = "") -> Cell:
    """A verdict with its symbol."""
    return Cell(f"{SYMBOLS[outcome]} {outcome}", note=detail, kind=outcome.replace(" ", "-"))


def number_cell(value: float, metric: str, recalled: bool = False) -> Cell:
    """A number of a metric, marked if it is a published one that could not be checked."""
    if np.isnan(value):
        return Cell()
    mark = footnotes.RECALLED if recalled else ""
    return Cell(number(value, FORMS.get(metric, ".3f")), marks=mark)


def signed_cell(value: float, form: str = "+.3f") -> Cell:
    """A difference."""
    return Cell() if np.isnan(value) else Cell(number(value, form))


def interval_cell(low: float, high: float, form: str = ".3f", mark: str = "") -> Cell:
    """An interval."""
    if np.isnan(low):
        return Cell()
    return Cell(f"{number(low, form)} to {number(high, form)}", marks=mark, kind="interval")


def fold(outcome: str) -> str:
    """The heading under which a row is folded away: only numbers that were not run have one."""
    return NOT_RUN if outcome == NOT_RUN else ""


def counts(outcomes: Iterable[str]) -> str:
    """How many there are of each: ``1 reproduced, 2 not run.``."""
    numbers = Counter(outcomes)
    return ", ".join(f"{numbers[name]} {name}" for name in SYMBOLS if numbers[name]) + "."


def epochs(span: str) -> str:
    """``20 epochs``, ``5 to 20 epochs``; empty without any."""
    return counted(int(span), "epoch") if span.isdigit() else span and f"{span} epochs"


def constant(classes: str) -> str:
    """``constant scores of plane``, ``DCAE: constant scores of plane``; empty without any."""
    *method, names = classes.split(": ")
    return names and ": ".join([*method, f"constant scores of {names}"])


def spread(classes: int, of: int) -> str:
    """Of which classes the spread over runs is, if some but not all have two runs."""
    return f"spread over runs: that of {classes} of {of} classes" if 0 < classes < of else ""
