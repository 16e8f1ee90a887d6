"""What can be wrong with the files of CURE-TSR, and the account of it for readers.

Functions of an index take the table that ``cure_tsr_index.obtain`` returns.
"""

from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from benchmark.data.challenges.file_names import Condition, condition

if TYPE_CHECKING:  # a check of the configuration does without pandas
    import pandas as pd

KINDS = (
    "unparsable name", "unknown code", "level out of range", "folder contradicts file", "duplicate",
    "stray file", "unknown folder", "empty folder", "folder not found", "no such sign",
    "unreadable image",
)  # fmt: skip
"""In the order of accounts. The last three are not in an index: two depend on the selection, and
indexing opens no image."""

_CONDITION_KINDS = ("empty folder", "folder not found", "no such sign")
_EXAMPLES = 3


class Problem(NamedTuple):
    """Something that is wrong: one of ``KINDS``, where, and why."""

    kind: str
    place: str
    reason: str = ""

    @property
    def place_and_reason(self) -> str:
        """For a list under the kind."""
        return f"{self.place} ({self.reason})" if self.reason else self.place

    def __str__(self) -> str:
        return f"{self.place}: {self.kind}" + (f" ({self.reason})" if self.reason else "")


def account(problems: Iterable[Problem]) -> list[str]:
    """One line per kind of problem: how many there are, and the first few by name.

    Missing and empty folders have a line each.
    """
    lines: list[str] = []
    in_order = sorted(problems, key=lambda problem: KINDS.index(problem.kind))
    for kind, group in groupby(in_order, lambda problem: problem.kind):
        same = list(group)
        if kind in _CONDITION_KINDS:
            lines += map(str, same)
        else:
            shown = "; ".join(problem.place_and_reason for problem in same[:_EXAMPLES])
            more = f"; and {len(same) - _EXAMPLES:,} more" if len(same) > _EXAMPLES else ""
            lines.append(f"{kind}: {len(same):,} ({shown}{more})")
    return lines


def of_index(index: "pd.DataFrame") -> list[Problem]:
    """The bad files and folders of an index."""
    bad = index[index["problem"] != ""]
    part, folder, file = (bad[column].astype(str) for column in ("part", "folder", "file"))
    places = (part + "/" + folder).str.strip("/").add("/" + file).str.strip("/")
    return [Problem(*row) for row in zip(bad["problem"], places, bad["reason"], strict=True)]


def folders(index: "pd.DataFrame") -> set[tuple[str, Condition | None]]:
    """The part and the condition of each folder; no condition for a folder of another name."""
    pairs = index[["part", "folder"]].drop_duplicates().itertuples(index=False)
    return {(part, condition(folder)) for part, folder in pairs}
