"""An index of the files of CURE-TSR: one pass over a folder, one row per file, good or bad.

The set is read as it is distributed, ``Real_Train/CodecError-1/01_06_03_01_0417.bmp`` and so on, or
as a flat folder of such challenge folders. Names are parsed and not one image is opened, so that
2.2 million files take seconds where the file system lists them in seconds. The index is a parquet
file that is written folder by folder, in little memory, and made anew only when a folder changed.

>>> python -m benchmark cure-tsr-index data/CURE-TSR index.parquet  # doctest: +SKIP
"""

import json
import os
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from benchmark.data.challenges import file_names, sign_sheet
from benchmark.data.challenges.file_names import BadName
from benchmark.errors import InputError
from benchmark.utils.files import atomic

PROBLEMS = (
    "unparsable name",
    "unknown code",
    "level out of range",
    "folder contradicts file",
    "duplicate",
    "stray file",
    "unknown folder",
    "empty folder",
    "folder not found",
    "no such sign",
    "unreadable image",
)
"""What can be wrong, in the order of accounts. The last three are not in an index: two depend on
what is asked for, and no image is opened for it.
"""

BESIDE = ("index.parquet", "account.txt", sign_sheet.FILE)
"""What a reader may leave in the folder that it reads: no stray files."""

_EACH = ("empty folder", "folder not found", "no such sign")
"""Problems that accounts name one by one, as there are few conditions."""

UNKNOWN = -1
"""The codes of a file whose name says nothing."""

_SCHEMA = pa.schema(
    {
        "part": pa.dictionary(pa.int8(), pa.string()),
        "folder": pa.dictionary(pa.int16(), pa.string()),
        "file": pa.string(),
        "sequence": pa.int8(),
        "sign": pa.int8(),
        "challenge": pa.int8(),
        "level": pa.int8(),
        "number": pa.int32(),
        "problem": pa.dictionary(pa.int8(), pa.string()),
        "reason": pa.string(),
    }
)
_STATE = b"state"
_PARTS = ", ".join(file_names.PARTS)


class _Entry(NamedTuple):
    """A folder of one condition, or a problem: a folder or file that has no place where it is."""

    part: str
    name: str
    path: Path
    problem: str = ""
    reason: str = ""


class Problem(NamedTuple):
    """Something that is wrong: one of ``PROBLEMS``, where, and why."""

    kind: str
    place: str
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.kind}" + (f" ({self.reason})" if self.reason else "")


def build(root: Path, path: Path) -> None:
    """List all files under ``root`` and write the index to ``path`` (.parquet), with progress.

    Columns: ``part``, ``folder`` and ``file`` (below ``root``), the codes ``sequence``, ``sign``,
    ``challenge``, ``level`` and ``number`` of the file's name (-1 where it does not parse), and
    ``problem`` and ``reason`` (empty for a good file). A folder that is empty or has no place there
    is a row without a ``file``. Names that are no text are escaped, hidden files passed over.

    Raises:
        InputError: no such folder, or no challenge folder in it.
    """
    entries = _entries(root, path)
    if not any(file_names.condition(entry.name) for entry in entries):
        raise InputError(
            f"{root}: no folder of CURE-TSR, such as Real_Train/ChallengeFree or CodecError-1; "
            "`path:` must be the folder that holds them"
        )
    about = {_STATE: json.dumps(_state(root, entries)).encode()}
    with (
        atomic(path) as beside,
        pq.ParquetWriter(beside, _SCHEMA.with_metadata(about), compression="zstd") as writer,
        tqdm(unit=" files", desc=f"Indexing {root.name}", mininterval=1) as progress,
    ):
        for entry in entries:
            name = file_names.printable(entry.name)
            rows = [(entry.part, *row) for row in _rows(entry, name, progress)]
            arrays = [
                pa.array(list(values), field.type)
                for values, field in zip(zip(*rows, strict=True), _SCHEMA, strict=True)
            ]
            writer.write_table(pa.table(arrays, schema=_SCHEMA))


def obtain(root: Path, path: Path) -> pd.DataFrame:
    """The index at ``path``, built first unless it is there and no folder has changed since."""
    if not _current(root, path):
        build(root, path)
    return pd.read_parquet(path)


def problems(index: pd.DataFrame) -> list[Problem]:
    """The bad files of an index."""
    bad = index[index["problem"] != ""]
    part, folder, file = (bad[column].astype(str) for column in ("part", "folder", "file"))
    places = (part + "/" + folder).str.strip("/").add("/" + file).str.strip("/")
    return [Problem(*row) for row in zip(bad["problem"], places, bad["reason"], strict=True)]


def account(found: Iterable[Problem], examples: int = 3) -> list[str]:
    """One line per kind of problem: how many there are, and the first few by name.

    A missing or empty folder is always named.
    """
    by_kind: dict[str, list[Problem]] = {}
    for problem in found:
        by_kind.setdefault(problem.kind, []).append(problem)
    lines = []
    for kind in sorted(by_kind, key=PROBLEMS.index):
        several = by_kind[kind]
        if kind in _EACH:
            lines += [str(problem) for problem in several]
            continue
        named = "; ".join(
            f"{problem.place} ({problem.reason})" if problem.reason else problem.place
            for problem in several[:examples]
        )
        more = f"; and {len(several) - examples:,} more" if len(several) > examples else ""
        lines.append(f"{kind}: {len(several):,} ({named}{more})")
    return lines


def absent(
    index: pd.DataFrame, parts: Iterable[str], conditions: Iterable[tuple[int, int]]
) -> list[Problem]:
    """The conditions, as (challenge, level), that have no folder in a part."""
    there = {
        (part, file_names.condition(name))
        for part, name in index[["part", "folder"]].drop_duplicates().itertuples(index=False)
    }
    asked = list(conditions)
    return [
        Problem("folder not found", place(part, condition), "")
        for part in parts
        for condition in asked
        if (part, condition) not in there
    ]


def place(part: str, condition: tuple[int, int]) -> str:
    """A condition for readers, such as ``Real_Test, LensBlur level 3``."""
    return (f"{part}, " if part else "") + file_names.title(*condition)


def _entries(root: Path, index: Path) -> list[_Entry]:
    """All folders and files above the images, but for what a reader left there."""
    parts = file_names.parts(root)
    own = {*BESIDE, index.name, *parts}
    return [
        entry
        for part in dict.fromkeys(("", *parts))
        for entry in _of_part(root, part, own if part == "" else set(), nested=parts != ("",))
    ]


def _of_part(root: Path, part: str, own: set[str], *, nested: bool) -> Iterator[_Entry]:
    """What lies in a part, or beside the parts if they are ``nested`` in the root."""
    first: dict[tuple[int, int], str] = {}
    with os.scandir(root / part) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for file in found:
        if file.name.startswith(".") or file.name in own:
            continue
        entry = _Entry(part, file.name, Path(file.path))
        condition = file_names.condition(file.name)
        if not file.is_dir():
            yield entry._replace(problem="stray file", reason="in no folder of a challenge")
        elif nested and part == "":
            yield entry._replace(problem="unknown folder", reason=f"none of {_PARTS}")
        elif condition is None:
            reason = "no challenge type and level in its name"
            yield entry._replace(problem="unknown folder", reason=reason)
        elif condition in first:
            reason = f"the same condition as {first[condition]}"
            yield entry._replace(problem="duplicate", reason=reason)
        else:
            first[condition] = file.name
            yield entry


def _rows(entry: _Entry, name: str, progress: "tqdm[Any]") -> list[tuple[Any, ...]]:
    """The rows of one entry: folder, file, codes, problem and reason; never none."""
    unknown = [UNKNOWN] * 5
    if entry.problem == "stray file":
        return [("", name, *unknown, entry.problem, entry.reason)]
    if entry.problem:
        return [(name, "", *unknown, entry.problem, entry.reason)]
    files = [(name, *row) for row in _files(entry, progress)]
    return files or [(name, "", *unknown, "empty folder", "")]


def _files(entry: _Entry, progress: "tqdm[Any]") -> Iterator[tuple[Any, ...]]:
    """The files of one folder: name, codes, problem and reason; sorted by name."""
    part, condition = entry.part, file_names.condition(entry.name)
    first: dict[file_names.Codes, str] = {}
    with os.scandir(entry.path) as entries:
        # Iterating counts as it goes: listing a large folder is what takes the time.
        names = []
        for file in entries:
            if not file.name.startswith("."):
                names.append(file.name)
                progress.update()
    for name in sorted(names):
        try:
            said = file_names.parse(name)
        except BadName as error:
            yield file_names.printable(name), *[UNKNOWN] * 5, error.kind, str(error)
            continue
        wrong = []
        if (said.challenge, said.level) != condition:
            wrong.append(file_names.title(said.challenge, said.level))
        if part and part.startswith("Real") != (file_names.SEQUENCES[said.sequence] == "real"):
            wrong.append(f"{file_names.SEQUENCES[said.sequence]} image")
        if wrong:
            reason = f"its codes say {', '.join(wrong)}"
            yield name, *said, "folder contradicts file", reason
        elif said in first:
            yield name, *said, "duplicate", f"the same codes as {first[said]}"
        else:
            first[said] = name
            yield name, *said, "", ""


def _state(root: Path, entries: Iterable[_Entry]) -> list[Any]:
    """What an index is of: the folder, and what is in it; folders with their last change, in ns."""
    return [
        str(root.resolve()),
        *(
            [part, name, 0 if problem == "stray file" else path.stat().st_mtime_ns]
            for part, name, path, problem, _ in entries
        ),
    ]


def _current(root: Path, path: Path) -> bool:
    try:
        about: Mapping[bytes, bytes] = pq.read_schema(path).metadata or {}
        known = json.loads(about.get(_STATE, b"null"))
        return bool(known == _state(root, _entries(root, path)))
    except (OSError, ValueError, pa.ArrowException):
        return False


def add_arguments(parser: ArgumentParser) -> None:
    """Those of the command ``cure-tsr-index``."""
    parser.add_argument("root", type=Path, help="the folder that holds Real_Train and Real_Test")
    parser.add_argument("index", type=Path, help="the index to write (.parquet)")


def run(chosen: Namespace) -> int:
    """Build an index and print what is in it and what is wrong; the exit status."""
    found = obtain(chosen.root, chosen.index)
    every = [(file_names.CLEAN, file_names.CLEAN)] + [
        (file_names.code(name), level) for name in file_names.TYPES for level in file_names.LEVELS
    ]
    lacking = absent(found, file_names.parts(chosen.root), every)
    good = found[(found["problem"] == "") & (found["file"] != "")]
    print(f"{len(good):,} images, {good['sign'].nunique()} sign types, in {chosen.index}")
    for line in account([*problems(found), *lacking]):
        print(line)
    return 0
