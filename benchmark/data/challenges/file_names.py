"""What the names of CURE-TSR's files and folders say.

A file is ``sequenceType_signType_challengeType_challengeLevel_index.bmp``, such as
``01_06_03_02_0417.bmp``: the real stop sign 417 under codec errors of level 2. It lies in a folder
of its challenge and level, ``CodecError-2``, or in ``ChallengeFree``.
"""

import re
from pathlib import Path
from typing import NamedTuple

from benchmark.errors import InputError

SEQUENCES = {1: "real", 2: "simulated"}
"""Photographs, or renderings of a game engine."""

SIGNS = {
    1: "speed_limit",
    2: "goods_vehicles",
    3: "no_overtaking",
    4: "no_stopping",
    5: "no_parking",
    6: "stop",
    7: "bicycle",
    8: "hump",
    9: "no_left",
    10: "no_right",
    11: "priority_to",
    12: "no_entry",
    13: "yield",
    14: "parking",
}

CLEAN = 0
"""Challenge type and level of the images without a challenge."""

CHALLENGES = {
    CLEAN: "ChallengeFree",
    1: "Decolorization",
    2: "LensBlur",
    3: "CodecError",
    4: "Darkening",
    5: "DirtyLens",
    6: "Exposure",
    7: "GaussianBlur",
    8: "Noise",
    9: "Rain",
    10: "Shadow",
    11: "Snow",
    12: "Haze",
}
TYPES = tuple(name for code, name in CHALLENGES.items() if code != CLEAN)
"""The twelve challenge types, in the order of their codes."""

LEVELS = (1, 2, 3, 4, 5)
"""From the mildest to the most severe."""

PARTS = ("Real_Train", "Real_Test", "Sim_Train", "Sim_Test")
"""The folders of the distribution; a flat folder of challenge folders has the one part ``""``."""

MOST_NUMBER = 2**31 - 1
"""The largest index of a file that an index keeps, in 32 bits."""

_FILE = re.compile(r"(\d\d)_(\d\d)_(\d\d)_(\d\d)_(\d+)\.bmp", re.IGNORECASE | re.ASCII)
_FOLDERS = {
    CHALLENGES[CLEAN].lower(): (CLEAN, CLEAN),
    **{
        f"{name}-{level}".lower(): (code, level)
        for code, name in CHALLENGES.items()
        if code != CLEAN
        for level in LEVELS
    },
}


class Codes(NamedTuple):
    """What a file's name says."""

    sequence: int
    sign: int
    challenge: int
    level: int
    number: int
    """The image: the same number under other challenges is the same photograph."""


class BadName(ValueError):
    """A name that breaks the scheme; ``kind`` is one of ``cure_tsr_index.PROBLEMS``."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


def parse(file: str) -> Codes:
    """The codes in a file's name.

    Raises:
        BadName: it does not parse, has an unknown code, or a level that its challenge has not.
    """
    match = _FILE.fullmatch(file)
    if match is None:
        raise BadName("unparsable name", "not sequence_sign_challenge_level_index.bmp")
    codes = Codes(*map(int, match.groups()))
    if codes.number > MOST_NUMBER:
        raise BadName("unparsable name", f"its index is beyond {MOST_NUMBER}")
    for what, code, known in (
        ("sequence type", codes.sequence, SEQUENCES),
        ("sign type", codes.sign, SIGNS),
        ("challenge type", codes.challenge, CHALLENGES),
    ):
        if code not in known:
            raise BadName("unknown code", f"{what} {code:02} is none of {_span(known)}")
    if codes.challenge == CLEAN and codes.level != CLEAN:
        raise BadName("level out of range", f"level {codes.level:02} of no challenge; must be 00")
    if codes.challenge != CLEAN and codes.level not in LEVELS:
        raise BadName("level out of range", f"level {codes.level:02} is none of 01 to 05")
    return codes


def condition(folder: str) -> tuple[int, int] | None:
    """Challenge type and level of a folder, such as ``CodecError-2``; None for another name."""
    return _FOLDERS.get(folder.lower())


def folder(challenge: int, level: int) -> str:
    """The folder of a challenge type and level."""
    name = CHALLENGES[challenge]
    return name if challenge == CLEAN else f"{name}-{level}"


def title(challenge: int, level: int) -> str:
    """A condition's name for readers, such as ``CodecError level 2``."""
    name = CHALLENGES[challenge]
    return name if challenge == CLEAN else f"{name} level {level}"


def printable(name: str) -> str:
    """A name from the file system in one line of text: what cannot be shown is escaped."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in name
    )


def code(name: str) -> int:
    """The code of a challenge type."""
    return next(code for code, known in CHALLENGES.items() if known == name)


def parts(root: Path) -> tuple[str, ...]:
    """The parts of the distribution that ``root`` has; ``("",)`` for a flat folder.

    Raises:
        InputError: no such folder.
    """
    if not root.is_dir():
        found = "is a file" if root.exists() else "no such folder"
        raise InputError(
            f"{root}: {found}; `path:` must be the folder of CURE-TSR that holds Real_Train and "
            "Real_Test, which its authors give out (IEEE DataPort)"
        )
    return tuple(part for part in PARTS if (root / part).is_dir()) or ("",)


def _span(known: dict[int, str]) -> str:
    return f"{min(known):02} to {max(known):02}"
