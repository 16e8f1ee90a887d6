"""The marks beside numbers in tables, and what a table says of those that it has."""

from collections.abc import Mapping, Sequence

from benchmark.tables.table import Cell, Row

INCOMPLETE, UNDER, CONSTANT, RECALLED = "*", "†", "‡", "°"
NOTES = {
    INCOMPLETE: "an average over an incomplete set of runs; the report lists what is missing",
    UNDER: "AUROC under 0.5: outliers score lower than inliers",
    CONSTANT: "some of its runs give every image the same score",
    RECALLED: "published value that could not be checked in a source",
}
ABSENT = "not run, failed or refused: the report gives the reason"


def average(found: int, expected: int, *, constant: bool, area: float = 1.0) -> str:
    """The marks of an average over ``found`` of ``expected`` runs; ``area`` is its AUROC."""
    return INCOMPLETE * (found < expected) + UNDER * (area < 0.5) + CONSTANT * constant


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
