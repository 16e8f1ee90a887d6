"""An index of the files of CURE-TSR: one pass over a folder, one row per file, good or bad.

    python -m benchmark cure-tsr-index data/CURE-TSR index.parquet

The set is read as it is distributed, ``Real_Train/CodecError-1/01_06_03_01_0417.bmp`` and so on, or
as a flat folder of such challenge folders. Names are parsed and no image is opened, so that 2.2
million files take little longer than listing them. The index is a parquet file, written folder by
folder to need little memory, and rebuilt only when a folder changed.
"""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from benchmark.data.challenges import file_names, sign_sheet
from benchmark.data.challenges.file_names import BadName, Codes, Condition, Problem
from benchmark.errors import InputError
from benchmark.utils.files import atomic

WRITTEN = ("index.parquet", "account.txt", sign_sheet.FILE)
"""Files that ``cure_tsr.read`` may write into the folder that it reads; they are not indexed."""

_UNKNOWN = [-1] * len(Codes._fields)
"""The codes of a file whose name does not parse."""

_SCHEMA = pa.schema(
    {
        "part": pa.dictionary(pa.int8(), pa.string()),
        "folder": pa.dictionary(pa.int16(), pa.string()),
        "file": pa.string(),
        **dict.fromkeys(("sequence", "sign", "challenge", "level"), pa.int8()),
        "number": pa.int32(),
        "problem": pa.dictionary(pa.int8(), pa.string()),
        "reason": pa.string(),
    }
)
_STATE = b"state"


class _Entry(NamedTuple):
    """A folder of one condition; or, with a problem, a folder or file that does not belong."""

    part: str
    path: Path
    problem: str = ""
    reason: str = ""


def build(root: Path, path: Path) -> None:
    """List all files under ``root`` and write the index to ``path`` (.parquet), with progress.

    Columns: ``part``, ``folder`` and ``file`` (below ``root``), the codes ``sequence``, ``sign``,
    ``challenge``, ``level`` and ``number`` of the file's name (-1 where it does not parse), and
    ``problem`` and ``reason`` (empty for a good file). A folder that is empty or does not belong
    there is a row without a ``file``. Names that are not text are escaped, hidden files ignored.
    Raises ``InputError`` for a folder that is not there or holds no folder of a challenge.
    """
    entries = list(_entries(root, path))
    if not any(file_names.condition(entry.path.name) for entry in entries):
        raise InputError(
            f"{root}: no folder of CURE-TSR, such as Real_Train/ChallengeFree or CodecError-1; "
            "`path:` must be the folder that holds them"
        )
    schema = _SCHEMA.with_metadata({_STATE: json.dumps(_state(root, entries))})
    with (
        atomic(path) as partial,
        pq.ParquetWriter(partial, schema, compression="zstd") as writer,
        tqdm(unit=" files", desc=f"Indexing {root.name}", mininterval=1) as progress,
    ):
        for entry in entries:
            rows = _rows(entry)
            progress.update(len(rows))
            columns = map(pa.array, zip(*rows, strict=True), _SCHEMA.types)
            writer.write_table(pa.table([*columns], schema=schema))


def obtain(root: Path, path: Path) -> pd.DataFrame:
    """The index at ``path``, built first if it is absent or a folder has changed since."""
    if not _is_current(root, path):
        build(root, path)
    return pd.read_parquet(path)


def _entries(root: Path, index: Path) -> Iterator[_Entry]:
    """All folders and files above the images, except those that a reader wrote there."""
    parts = file_names.parts(root)
    for part in dict.fromkeys(("", *parts)):
        beside_parts = part not in parts
        ignored = () if part else (*WRITTEN, index.name, *parts)
        first: dict[Condition, str] = {}
        for file in sorted((root / part).iterdir()):
            if file.name.startswith(".") or file.name in ignored:
                continue
            problem, reason = "", ""
            condition = file_names.condition(file.name)
            if not file.is_dir():
                problem, reason = "stray file", "in no folder of a challenge"
            elif beside_parts:
                problem, reason = "unknown folder", f"none of {', '.join(file_names.PARTS)}"
            elif condition is None:
                problem, reason = "unknown folder", "no challenge type and level in its name"
            elif condition in first:
                problem, reason = "duplicate", f"the same condition as {first[condition]}"
            else:
                first[condition] = file.name
            yield _Entry(part, file, problem, reason)


def _rows(entry: _Entry) -> list[tuple[Any, ...]]:
    """The rows of one entry, at least one, in the columns of ``_SCHEMA``."""
    part, name = entry.part, file_names.printable(entry.path.name)
    if entry.problem:
        place = ("", name) if entry.problem == "stray file" else (name, "")
        return [(part, *place, *_UNKNOWN, entry.problem, entry.reason)]
    rows = [(part, name, *row) for row in _files(entry)]
    return rows or [(part, name, "", *_UNKNOWN, "empty folder", "")]


def _files(entry: _Entry) -> Iterator[tuple[Any, ...]]:
    """The files of one folder: name, codes, problem and reason; sorted by name."""
    condition = file_names.condition(entry.path.name)
    first: dict[Codes, str] = {}
    for name in sorted(file.name for file in entry.path.iterdir()):
        if name.startswith("."):
            continue
        try:
            codes = file_names.parse(name)
        except BadName as error:
            yield file_names.printable(name), *_UNKNOWN, error.kind, str(error)
            continue
        contradictions = []
        if (codes.challenge, codes.level) != condition:
            contradictions.append(file_names.title((codes.challenge, codes.level)))
        sequence = file_names.SEQUENCES[codes.sequence]
        if entry.part and entry.part.startswith("Real") != (sequence == "real"):
            contradictions.append(f"{sequence} image")
        if contradictions:
            reason = f"its codes say {', '.join(contradictions)}"
            yield name, *codes, "folder contradicts file", reason
        elif codes in first:
            yield name, *codes, "duplicate", f"the same codes as {first[codes]}"
        else:
            first[codes] = name
            yield name, *codes, "", ""


def _state(root: Path, entries: Iterable[_Entry]) -> list[Any]:
    """What an index is of: the folder, and its entries; folders with their last change, in ns."""
    state: list[Any] = [str(root.resolve())]
    for part, path, problem, _ in entries:
        changed = 0 if problem == "stray file" else path.stat().st_mtime_ns
        state.append([part, path.name, changed])
    return state


def _is_current(root: Path, path: Path) -> bool:
    """Whether the index at ``path`` is of this folder, which has not changed since."""
    try:
        indexed = json.loads(pq.read_schema(path).metadata[_STATE])
        return bool(indexed == _state(root, _entries(root, path)))
    except (OSError, ValueError, LookupError, TypeError, pa.ArrowException):
        return False


def add_arguments(parser: ArgumentParser) -> None:
    """Those of the command ``cure-tsr-index``."""
    parser.add_argument("root", type=Path, help="the folder that holds Real_Train and Real_Test")
    parser.add_argument("index", type=Path, help="the index to write (.parquet)")


def run(chosen: Namespace) -> int:
    """Build an index and print what is in it and what is wrong; the exit status."""
    index = obtain(chosen.root, chosen.index)
    folders = file_names.folders(index)
    absent = [
        Problem("folder not found", file_names.title(condition, part))
        for part, condition in product(file_names.parts(chosen.root), file_names.FOLDERS)
        if (part, condition) not in folders
    ]
    good = index[(index["problem"] == "") & (index["file"] != "")]
    print(f"{len(good):,} images, {good['sign'].nunique()} sign types, in {chosen.index}")
    for line in file_names.account([*file_names.of_index(index), *absent]):
        print(line)
    return 0
