"""An index of the files of CURE-TSR: one pass over a folder, one row per file, good or bad.

The set is read as it is distributed, ``Real_Train/CodecError-1/01_06_03_01_0417.bmp`` and so on, or
as a flat folder of such challenge folders. Names are parsed and not one image is opened, so that
2.2 million files take seconds where the file system lists them in seconds. The index is a parquet
file that is written folder by folder, in little memory, and made anew only when a folder changed.

>>> python -m benchmark.cure_tsr.index data/CURE-TSR index.parquet  # doctest: +SKIP
"""

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from benchmark.cure_tsr import codes
from benchmark.cure_tsr.codes import BadName
from benchmark.errors import InputError
from benchmark.files import atomic

PROBLEMS = (
    "unparsable name",
    "unknown code",
    "level out of range",
    "folder contradicts file",
    "unknown folder",
    "folder not found",
    "no such sign",
    "unreadable image",
)
"""What can be wrong, in the order of accounts; the last three are found by reading."""

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
_FOLDERS = b"folders"


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
    ``problem`` and ``reason`` (empty for a good file). Hidden files are passed over.

    Raises:
        InputError: no such folder, or no challenge folder in it.
    """
    folders = _folders(root)
    if not folders:
        raise InputError(
            f"{root}: no folder of CURE-TSR, such as Real_Train/ChallengeFree or CodecError-1; "
            "`path:` must be the folder that holds them"
        )
    about = {_FOLDERS: json.dumps(_states(folders)).encode()}
    with (
        atomic(path) as beside,
        pq.ParquetWriter(beside, _SCHEMA.with_metadata(about), compression="zstd") as writer,
        tqdm(unit=" files", desc=f"Indexing {root.name}", mininterval=1) as progress,
    ):
        for part, name, folder in folders:
            rows = [(part, name, *row) for row in _files(part, name, folder, progress)]
            columns = zip(*rows, strict=True) if rows else [()] * len(_SCHEMA)
            arrays = [
                pa.array(list(values), field.type)
                for values, field in zip(columns, _SCHEMA, strict=True)
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
    places = (bad["part"].astype(str) + "/" + bad["folder"].astype(str)).str.strip("/")
    places = places + ("/" + bad["file"].astype(str)).where(bad["file"] != "", "")
    return [Problem(*row) for row in zip(bad["problem"], places, bad["reason"], strict=True)]


def account(found: Iterable[Problem], examples: int = 3) -> list[str]:
    """One line per kind of problem: how many there are, and the first few by name.

    A missing folder is always named.
    """
    by_kind: dict[str, list[Problem]] = {}
    for problem in found:
        by_kind.setdefault(problem.kind, []).append(problem)
    lines = []
    for kind in sorted(by_kind, key=PROBLEMS.index):
        several = by_kind[kind]
        if kind in ("folder not found", "no such sign"):
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
        (part, codes.condition(name))
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
    return (f"{part}, " if part else "") + codes.title(*condition)


def _folders(root: Path) -> list[tuple[str, str, Path]]:
    """Part, name and path of each challenge folder, and of any other one beside them."""
    found = [
        (part, entry.name, Path(entry.path))
        for part in codes.parts(root)
        for entry in sorted(os.scandir(root / part), key=lambda entry: entry.name)
        if entry.is_dir() and not entry.name.startswith(".")
    ]
    return found if any(codes.condition(name) for _, name, _ in found) else []


def _files(part: str, folder: str, path: Path, progress: "tqdm[Any]") -> Iterator[tuple[Any, ...]]:
    """The rows of one folder: file, codes, problem and reason; sorted by file."""
    condition = codes.condition(folder)
    if condition is None:
        yield "", *[UNKNOWN] * 5, "unknown folder", "no challenge type and level in its name"
        return
    with os.scandir(path) as entries:
        # Iterating counts as it goes: listing a large folder is what takes the time.
        names = []
        for entry in entries:
            if not entry.name.startswith("."):
                names.append(entry.name)
                progress.update()
    if not names:
        yield "", *[UNKNOWN] * 5, "", ""
    for name in sorted(names):
        try:
            file = codes.parse(name)
        except BadName as error:
            yield name, *[UNKNOWN] * 5, error.kind, str(error)
            continue
        said = []
        if (file.challenge, file.level) != condition:
            said.append(codes.title(file.challenge, file.level))
        if part and part.startswith("Real") != (codes.SEQUENCES[file.sequence] == "real"):
            said.append(f"{codes.SEQUENCES[file.sequence]} image")
        reason = f"its codes say {', '.join(said)}" if said else ""
        yield name, *file, "folder contradicts file" if said else "", reason


def _states(folders: Iterable[tuple[str, str, Path]]) -> dict[str, int]:
    """The folders with the time of their last change, in nanoseconds."""
    return {f"{part}/{name}": path.stat().st_mtime_ns for part, name, path in folders}


def _current(root: Path, path: Path) -> bool:
    try:
        about: Mapping[bytes, bytes] = pq.read_schema(path).metadata or {}
        return bool(json.loads(about.get(_FOLDERS, b"{}")) == _states(_folders(root)))
    except (OSError, ValueError, pa.ArrowException):
        return False


def main(arguments: list[str] | None = None) -> int:
    """Build an index and print what is in it and what is wrong; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.cure_tsr.index", description="Index the files of CURE-TSR."
    )
    parser.add_argument("root", type=Path, help="the folder that holds Real_Train and Real_Test")
    parser.add_argument("index", type=Path, help="the index to write (.parquet)")
    chosen = parser.parse_args(arguments)
    try:
        found = obtain(chosen.root, chosen.index)
        every = [(codes.CLEAN, codes.CLEAN)] + [
            (codes.code(name), level) for name in codes.TYPES for level in codes.LEVELS
        ]
        lacking = absent(found, codes.parts(chosen.root), every)
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    good = found[(found["problem"] == "") & (found["file"] != "")]
    print(f"{len(good):,} images, {good['sign'].nunique()} sign types, in {chosen.index}")
    for line in account([*problems(found), *lacking]):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
