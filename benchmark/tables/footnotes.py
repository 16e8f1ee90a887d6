"""The marks beside numbers in tables, and what a table says of those that it has."""

from collections.abc import Mapping, Sequence

import numpy as np

from benchmark.tables.table import Cell, Row, number

INCOMPLETE, UNDER, CONSTANT, RECALLED = "*", "†", "‡", "°"
NOTES = {
    INCOMPLETE: "an average over an incomplete set of runs; the report lists what is missing",
    UNDER: "AUROC under 0.5: outliers score lower than inliers",
    CONSTANT: "some of its runs give every image the same score",
    RECALLED: "published value that could not be checked in a source",
}
ABSENT = "not run, failed or refused: the report gives the reason"


def average_cell(
    mean: float, spread: float, found: int, expected: int, *, constant: bool, auroc: bool = True
) -> Cell:
    """An average over ``found`` of ``expected`` runs, with its spread and marks."""
    if np.isnan(mean):
        return Cell()
    marks = INCOMPLETE * (found < expected) + UNDER * (auroc and mean < 0.5) + CONSTANT * constant
    return Cell(number(mean, ".3f"), "" if np.isnan(spread) else number(spread, ".3f"), marks)


def legend(
    rows: Sequence[Row], absent: str = ABSENT, meanings: Mapping[str, str] = NOTES
) -> list[str]:
    """The meaning of the marks that occur; ``absent``, if any, is that of a missing number."""
    cells = [cell for row in rows for cell in row.cells]
    used = {mark for cell in cells for mark in cell.marks}
    notes = [f"{mark} {text}" for mark, text in meanings.items() if mark in used]
    if absent and any(cell.text == Cell.MISSING for cell in cells):
        notes.append(f"{Cell.MISSING} {absent}")
    return [f"{note}." for note in notes]
