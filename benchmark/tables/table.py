"""Tables as text: Markdown, LaTeX and HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd


@dataclass(frozen=True)
class Cell:
    """A number as it is shown: its text, its spread (maybe empty) and footnote marks.

    ``note`` is a remark beside it; ``kind`` is its class in HTML, for a colour.
    """

    MISSING: ClassVar[str] = "—"

    text: str = MISSING
    spread: str = ""
    marks: str = ""
    note: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Row:
    """Labels, then cells; ``published`` rows stand under the ones that reproduce them.

    ``note`` is a remark beside the first label, ``marks`` are those of all its numbers. Rows with
    the same ``fold`` are folded away in HTML under that heading. ``command``, which makes the runs
    behind a row, can be unfolded there.
    """

    labels: Sequence[str]
    cells: Sequence[Cell]
    published: bool = False
    note: str = ""
    marks: str = ""
    fold: str = ""
    command: str = ""


@dataclass(frozen=True)
class Table:
    """A table: caption, column heads, rows, footnotes, and its numbers as a long frame.

    The first line of the caption says what the table shows, further lines how to read it.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Row]
    notes: Sequence[str]
    frame: pd.DataFrame

    @property
    def labels(self) -> int:
        """How many columns are labels; 2 without rows."""
        return len(self.rows[0].labels) if self.rows else 2


def number(value: float, form: str) -> str:
    """A number as text.

    Its last bits, which differ between machines, are rounded away first, so that a number halfway
    between two texts gives the same one everywhere.
    """
    return format(round(value, 12) + 0.0, form)
