"""Cells of numbers, intervals and verdicts, and the marks beside them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from benchmark.metrics.averages import Average
from benchmark.published import AVERAGE
from benchmark.tables.table import Cell, Row, number
from benchmark.utils.text import with_verdict

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


def some_classes(averages: Mapping[int, Average]) -> str:
    """Of how many classes an average is, if not of all: ``4 of 10 classes``; else empty."""
    means = [average.mean for inlier, average in averages.items() if inlier != AVERAGE]
    number = int(np.isfinite(means).sum())
    return f"{number} of {len(means)} classes" if 0 < number < len(means) else ""


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
    return ", ".join(with_verdict(numbers[name], name) for name in SYMBOLS if numbers[name]) + "."


def constant(classes: str) -> str:
    """``constant scores of plane``, ``DCAE: constant scores of plane``; empty without any."""
    *method, names = classes.split(": ")
    return names and ": ".join([*method, f"constant scores of {names}"])


def spread(classes: int, of: int) -> str:
    """Of which classes the spread over runs is, if some but not all have two runs."""
    return f"spread over runs: that of {classes} of {of} classes" if 0 < classes < of else ""


SHADES = (0.01, 0.03, 0.06)
"""Differences of AUROC, or of percentage points in hundreds, from which a shade is deeper."""


def difference_cell(value: float, form: str = "+.3f", unit: float = 1.0) -> Cell:
    """A difference, shaded by its sign and size in ``unit``; empty for NaN."""
    if np.isnan(value):
        return Cell("")
    shade = sum(abs(value) / unit >= least - 1e-9 for least in SHADES)
    side = "above" if value > 0 else "below"
    text = number(value, form)
    # A difference that is nothing in these digits has no side.
    text = text if any(digit in text for digit in "123456789") else text.replace("-", "+")
    return Cell(text, kind=f"{side}-{shade}" if shade else "")


SHARED = (INCOMPLETE, CONSTANT, RECALLED)
"""Marks that stand on a label where all numbers beside it bear them."""


def mark_rows(rows: Iterable[Row]) -> tuple[list[Row], list[str]]:
    """The rows, with a mark that all numbers of one bear on its label instead.

    One that all numbers of ours bear, or all published ones, stands nowhere; a note says so.
    """
    marked, notes = [], []
    for row in rows:
        shared = _shared(row.cells)
        marked.append(replace(row, cells=[_without(c, shared) for c in row.cells], marks=shared))
    for published, whose in ((False, "of ours"), (True, "published")):
        of = [row.marks for row in marked if row.published == published and _numbers(row.cells)]
        every = "".join(mark for mark in SHARED if of and all(mark in marks for marks in of))
        notes += [f"Every number {whose}: {NOTES[mark]}." for mark in every]
        marked = [
            replace(row, marks="".join(mark for mark in row.marks if mark not in every))
            if row.published == published
            else row
            for row in marked
        ]
    return marked, notes


def mark_columns(
    head: Sequence[str], rows: Sequence[Row]
) -> tuple[list[str], list[Row], list[str]]:
    """Head and rows, with a mark that all numbers of a column bear on its head instead.

    One that all of several columns would bear stands nowhere; a note says so.
    """
    labels = len(head) - len(rows[0].cells) if rows else len(head)
    shared = [_shared(column) for column in zip(*(row.cells for row in rows), strict=True)]
    often = [mark for mark in SHARED if sum(mark in marks for marks in shared) > 1]
    notes = [f"Every average of ours: {NOTES[mark]}." for mark in often]
    texts = ["".join(mark for mark in marks if mark not in often) for marks in shared]
    marked = [*head[:labels], *map("".join, zip(head[labels:], texts, strict=True))]
    pairs = [(row, zip(row.cells, shared, strict=True)) for row in rows]
    without = [
        replace(row, cells=[_without(cell, marks) for cell, marks in of]) for row, of in pairs
    ]
    return marked, without, notes


def _numbers(cells: Iterable[Cell]) -> list[Cell]:
    return [cell for cell in cells if cell.text not in ("", Cell.MISSING)]


def _shared(cells: Iterable[Cell]) -> str:
    """The marks that all of several numbers bear."""
    shown = [cell.marks for cell in _numbers(cells)]
    return "".join(m for m in SHARED if len(shown) > 1 and all(m in marks for marks in shown))


def _without(cell: Cell, marks: str) -> Cell:
    return replace(cell, marks="".join(mark for mark in cell.marks if mark not in marks))


def legend(rows: Sequence[Row], absent: str = ABSENT, head: Sequence[str] = ()) -> list[str]:
    """The meaning of the marks that occur, in the ``head`` too.

    ``absent``, if any, is that of a missing number.
    """
    cells = [cell for row in rows for cell in row.cells]
    used = {mark for cell in cells for mark in cell.marks}
    used |= {mark for row in rows for mark in row.marks} | {text[-1] for text in head if text}
    notes = [f"{mark} {text}" for mark, text in NOTES.items() if mark in used]
    if absent and any(cell.text == Cell.MISSING for cell in cells):
        notes.append(f"{Cell.MISSING} {absent}")
    return [f"{note}." for note in notes]
