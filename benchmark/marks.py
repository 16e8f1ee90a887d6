"""The marks beside numbers in tables, and what a table says of those that it has."""

from collections.abc import Sequence

from benchmark import captions
from benchmark.render import Cell, Row

INCOMPLETE, UNDER, CONSTANT, RECALLED = "*", "†", "‡", captions.RECALLED
NOTES = {
    INCOMPLETE: "an average over an incomplete set of runs; the report lists what is missing",
    UNDER: "AUROC under 0.5: outliers score lower than inliers",
    CONSTANT: "some of its runs give every image the same score",
    RECALLED: captions.RECALLED_NOTE,
}
ABSENT = "not run, failed or refused: the report gives the reason"


def legend(rows: Sequence[Row], absent: str = ABSENT) -> list[str]:
    """The meaning of the marks that occur; ``absent`` is that of a missing number."""
    cells = [cell for row in rows for cell in row.cells]
    used = {mark for cell in cells for mark in cell.marks}
    notes = [f"{mark} {text}" for mark, text in NOTES.items() if mark in used]
    if any(cell.text == Cell.MISSING for cell in cells):
        notes.append(f"{Cell.MISSING} {absent}")
    return [f"{note}." for note in notes]
