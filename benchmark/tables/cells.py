"""Cells of numbers, intervals and verdicts, and the marks beside them."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from benchmark.tables.table import Cell, Row, number

SYMBOLS = {
    "reproduced": "✓",
    "higher": "↑",
    "lower": "↓",
    "compatible": "≈",
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

INCOMPLETE, UNDER, CONSTANT, RECALLED = "*", "†", "‡", "°"
NOTES = {
    INCOMPLETE: "an average over an incomplete set of runs; the report lists what is missing",
    UNDER: "AUROC under 0.5: outliers score lower than inliers",
    CONSTANT: "some of its runs give every image the same score",
    RECALLED: "published value that was not seen in any source",
}
"""The meaning of the marks."""

ABSENT = "not run, failed or refused: the report gives the reason"


def number_cell(
    value: float, form: str = ".3f", marks: str = "", absent: str = Cell.MISSING
) -> Cell:
    """A number; ``absent`` stands for NaN."""
    return Cell(absent) if np.isnan(value) else Cell(number(value, form), marks=marks)


def average_cell(
    mean: float, spread: float, found: int, expected: int, *, constant: bool, auroc: bool = True
) -> Cell:
    """An average over ``found`` of ``expected`` runs, with its spread and marks."""
    if np.isnan(mean):
        return Cell()
    marks = INCOMPLETE * (found < expected) + UNDER * (auroc and mean < 0.5) + CONSTANT * constant
    return Cell(number(mean, ".3f"), "" if np.isnan(spread) else number(spread, ".3f"), marks)


def interval_cell(low: float, high: float, form: str = ".3f") -> Cell:
    """An interval."""
    if np.isnan(low):
        return Cell()
    return Cell(f"{number(low, form)} to {number(high, form)}", kind="interval")


def verdict_cell(outcome: str, detail: str = "") -> Cell:
    """A verdict with its symbol."""
    return Cell(f"{SYMBOLS[outcome]} {outcome}", note=detail, kind=outcome.replace(" ", "-"))


def fold(outcome: str) -> str:
    """The heading under which a row is folded away: only numbers that were not run have one."""
    return NOT_RUN if outcome == NOT_RUN else ""


def counts(outcomes: Iterable[str]) -> str:
    """How many there are of each: ``1 reproduced, 2 not run.``."""
    numbers = Counter(outcomes)
    return ", ".join(f"{numbers[name]} {name}" for name in SYMBOLS if numbers[name]) + "."


def constant(classes: str) -> str:
    """``constant scores of plane``, ``DCAE: constant scores of plane``; empty without any."""
    *method, names = classes.split(": ")
    return names and ": ".join([*method, f"constant scores of {names}"])


def spread(classes: int, of: int) -> str:
    """Of which classes the spread over runs is, if some but not all have two runs."""
    return f"spread over runs: that of {classes} of {of} classes" if 0 < classes < of else ""


def legend(rows: Sequence[Row], absent: str = ABSENT) -> list[str]:
    """The meaning of the marks that occur; ``absent``, if any, is that of a missing number."""
    cells = [cell for row in rows for cell in row.cells]
    used = {mark for cell in cells for mark in cell.marks}
    notes = [f"{mark} {text}" for mark, text in NOTES.items() if mark in used]
    if absent and any(cell.text == Cell.MISSING for cell in cells):
        notes.append(f"{Cell.MISSING} {absent}")
    return [f"{note}." for note in notes]
