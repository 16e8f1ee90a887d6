"""The names of CURE-TSR's files and folders, and what can be wrong with them.

A file is ``sequenceType_signType_challengeType_challengeLevel_index.bmp``. It lies in a folder of
its challenge type and level, such as ``CodecError-2``, or in ``ChallengeFree``.

>>> parse("01_06_03_02_0417.bmp")  # a real stop sign under codec errors of level 2
Codes(sequence=1, sign=6, challenge=3, level=2, number=417)
>>> condition("CodecError-2")
(3, 2)
"""

import re
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from benchmark.errors import InputError

if TYPE_CHECKING:  # a check of the configuration does without pandas
    import pandas as pd

SEQUENCES = {1: "real", 2: "simulated"}
"""Photographs, or renderings of a game engine."""

SIGNS = {
    1: "speed_limit", 2: "goods_vehicles", 3: "no_overtaking", 4: "no_stopping", 5: "no_parking",
    6: "stop", 7: "bicycle", 8: "hump", 9: "no_left", 10: "no_right", 11: "priority_to",
    12: "no_entry", 13: "yield", 14: "parking",
}  # fmt: skip

ChallengeType = Literal[
    "Decolorization", "LensBlur", "CodecError", "Darkening", "DirtyLens", "Exposure",
    "GaussianBlur", "Noise", "Rain", "Shadow", "Snow", "Haze",
]  # fmt: skip
TYPES: tuple[ChallengeType, ...] = get_args(ChallengeType)
"""The twelve challenge types, in the order of their codes."""

CHALLENGES = dict(enumerate(("ChallengeFree", *TYPES)))

LEVELS = (1, 2, 3, 4, 5)
"""From the mildest to the most severe."""

Condition = tuple[int, int]
"""The codes of a challenge type and a level."""

NO_CHALLENGE: Condition = (0, 0)

FOLDERS: Mapping[Condition, str] = {NO_CHALLENGE: CHALLENGES[0]} | {
    (code, level): f"{name}-{level}" for code, name in enumerate(TYPES, 1) for level in LEVELS
}
"""The folder of each condition."""

TRAIN, TEST = "Real_Train", "Real_Test"
PARTS = (TRAIN, TEST, "Sim_Train", "Sim_Test")
"""The folders of the distribution; a flat folder of challenge folders has the one part ``""``."""

_FILE = re.compile(r"(\d\d)_(\d\d)_(\d\d)_(\d\d)_(\d+)\.bmp", re.IGNORECASE | re.ASCII)
_CONDITIONS = {folder.lower(): condition for condition, folder in FOLDERS.items()}

KINDS = (
    "unparsable name", "unknown code", "level out of range", "folder contradicts file", "duplicate",
    "stray file", "unknown folder", "empty folder", "folder not found", "no such sign",
    "unreadable image",
)  # fmt: skip
"""In the order of accounts. The last three are not in an index: two depend on the selection, and
indexing opens no image."""

_CONDITION_KINDS = ("empty folder", "folder not found", "no such sign")
_EXAMPLES = 3


class Codes(NamedTuple):
    """The codes in a file's name."""

    sequence: int
    sign: int
    challenge: int
    level: int
    number: int
    """The image: the same number under another challenge is the same photograph."""


class BadName(ValueError):
    """A name that breaks the scheme; ``kind`` is one of ``KINDS``."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


def parse(file: str) -> Codes:
    """The codes in a file's name; ``BadName`` for another form, or a code that does not exist."""
    match = _FILE.fullmatch(file)
    if match is None:
        raise BadName("unparsable name", "not sequence_sign_challenge_level_index.bmp")
    codes = Codes(*map(int, match.groups()))
    if codes.number >= 2**31:  # more than an index has room for
        raise BadName("unparsable name", f"its index is beyond {2**31 - 1}")
    for field, table in (("sequence", SEQUENCES), ("sign", SIGNS), ("challenge", CHALLENGES)):
        code = getattr(codes, field)
        if code not in table:
            valid = f"{min(table):02} to {max(table):02}"
            raise BadName("unknown code", f"{field} type {code:02} is none of {valid}")
    if (codes.challenge, codes.level) not in FOLDERS:
        valid = "is none of 01 to 05" if codes.challenge else "of no challenge; must be 00"
        raise BadName("level out of range", f"level {codes.level:02} {valid}")
    return codes


def condition(folder: str) -> Condition | None:
    """The condition that a folder is for, in any case of letters; None for another name."""
    return _CONDITIONS.get(folder.lower())


def title(condition: Condition, part: str = "") -> str:
    """A condition's name for readers.

    >>> title((2, 3), "Real_Test")
    'Real_Test, LensBlur level 3'
    """
    return (f"{part}, " if part else "") + FOLDERS[condition].replace("-", " level ")


def printable(name: str) -> str:
    """A name from the file system as one line of text: unprintable characters are escaped."""
    return repr(name)[1:-1]


def code(challenge: str) -> int:
    """The code of a challenge type."""
    return TYPES.index(challenge) + 1


def parts(root: Path) -> tuple[str, ...]:
    """The parts of the distribution that a folder has; ``("",)`` for a flat one."""
    if not root.is_dir():
        problem = "is a file" if root.exists() else "no such folder"
        raise InputError(
            f"{root}: {problem}; `path:` must be the folder of CURE-TSR that holds Real_Train and "
            "Real_Test, which its authors give out (IEEE DataPort)"
        )
    return tuple(part for part in PARTS if (root / part).is_dir()) or ("",)


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
    """The bad files and folders of an index, see ``cure_tsr_index.obtain``."""
    bad = index[index["problem"] != ""]
    part, folder, file = (bad[column].astype(str) for column in ("part", "folder", "file"))
    places = (part + "/" + folder).str.strip("/").add("/" + file).str.strip("/")
    return [Problem(*row) for row in zip(bad["problem"], places, bad["reason"], strict=True)]


def folders(index: "pd.DataFrame") -> set[tuple[str, Condition | None]]:
    """The part and the condition of each folder; no condition for a folder of another name."""
    pairs = index[["part", "folder"]].drop_duplicates().itertuples(index=False)
    return {(part, condition(folder)) for part, folder in pairs}
