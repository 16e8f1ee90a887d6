"""Where tables differ from what their scores give: the check of committed results.

Everything after the scores is made again, in a folder beside, and compared: the text of every table
to the letter, the numbers of CSV files, of tables and of figures, to ``TOLERANCE``. Pictures and
the report are made of the same numbers and are not compared.
"""

import csv
import json
import math
import re
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmark import figures, metrics, tables, verdicts
from benchmark.config import Config
from benchmark.reanalyse import add_arguments, chosen_results
from benchmark.scores import Run, collect

TOLERANCE = 1e-5
"""Largest relative difference of numbers in CSV files: one in the last of their six digits."""

NEARLY_ZERO = 1e-12
"""Numbers that differ by less are the same, such as zero and a sum that cancels but for its last
bits."""

__all__ = ["add_arguments", "find", "run"]

_KEPT = ("runs", "splits", "data")
_OF_DEFAULTS = re.compile(r"config_sha256 [0-9a-f]{64}")
"""This hash changes when a method gets a new hyperparameter, and no number with it."""


def find(config: Config, root: Path) -> list[str]:
    """What differs from the scores under ``root``, one line per file; empty if nothing does.

    A run is a line too if its scores are not those that its ``run.json`` describes, or its
    hyperparameters not the configuration's. Nothing is written under ``root``.
    """
    with TemporaryDirectory() as folder:
        again = Path(folder, config.name)
        again.mkdir()
        for name in _KEPT:
            if (root / name).is_dir():
                (again / name).symlink_to((root / name).resolve())
        for stage in (metrics, verdicts, tables):
            stage.write(config, again)
        figures.write(config, again, pictures=False)
        runs = metrics.load(config, again).runs
        damaged = runs.loc[runs["status"] == "refused", "reason"]
        lines = [reason.replace(f"{again}", f"{root}") for reason in damaged]
        lines += otherwise(config, collect(config, root))
        compared = sorted({*_compared(root), *_compared(again)})
        return lines + [line for path in compared for line in differences(path, root, again)]


def otherwise(config: Config, runs: Iterable[Run]) -> Iterator[str]:
    """A line for each run of other hyperparameters than those of the configuration."""
    for run in runs:
        wanted = json.loads(json.dumps(config.methods[run.key.method].params))
        stated = run.manifest.get("config") or {}
        odd = [name for name in sorted(stated.keys() & wanted) if stated[name] != wanted[name]]
        if odd:
            said = ", ".join(f"{name} {stated[name]} and not {wanted[name]}" for name in odd)
            yield f"{run.directory}: was run with {said} of the configuration"


def _compared(root: Path) -> Iterator[Path]:
    for pattern in ("tables/*.csv", "tables/*.md", "tables/*.tex", "figures/*.csv"):
        yield from (path.relative_to(root) for path in root.glob(pattern))


def differences(path: Path, root: Path, again: Path) -> Iterator[str]:
    """At most one line on a file that two folders have: the first difference and their number."""
    for side, wrong in ((root, "missing"), (again, "the scores give no such file")):
        if not (side / path).is_file():
            yield f"{root / path}: {wrong}"
            return
    numbers = path.suffix == ".csv"
    compare = _in_cells if numbers else _in_lines
    found = list(compare(_lines(root / path), _lines(again / path)))
    if found:
        more = f" ({len(found)} differences)" * (len(found) > 1)
        yield f"{root / path}: {found[0]}{more}"


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def _in_lines(kept: Sequence[str], made: Sequence[str]) -> Iterator[str]:
    for row, (old, new) in enumerate(zip_longest(kept, made, fillvalue=""), 1):
        old, new = (_OF_DEFAULTS.sub("", line) for line in (old, new))
        if old != new:
            pairs = enumerate(zip(old, new, strict=False))
            first = next((k for k, (was, now) in pairs if was != now), min(len(old), len(new)))
            place = slice(max(0, first - 20), first + 20)
            yield f"line {row}: {old[place]!r}, the scores give {new[place]!r}"


def _in_cells(kept: Sequence[str], made: Sequence[str]) -> Iterator[str]:
    """Differences of CSV files, by row (the head is row 1) and column."""
    olds, news = list(csv.reader(kept)), list(csv.reader(made))
    was_head, head = (table[0] if table else [] for table in (olds, news))
    if was_head != head:
        yield f"columns {','.join(was_head)}, the scores give {','.join(head)}"
    elif len(olds) != len(news):
        yield f"{len(olds) - 1} rows, the scores give {len(news) - 1}"
    else:
        for row, (old, new) in enumerate(zip(olds, news, strict=True), 1):
            for column, was, now in zip_longest(head, old, new, fillvalue=""):
                if was != now and not _close(was, now):
                    yield f"row {row}, {column}: {was!r}, the scores give {now!r}"


def _close(old: str, new: str) -> bool:
    try:
        return math.isclose(float(old), float(new), rel_tol=TOLERANCE, abs_tol=NEARLY_ZERO)
    except ValueError:
        return False


def run(chosen: Namespace) -> int:
    """Print what differs; the exit status, 1 if anything does."""
    config, root = chosen_results(chosen)
    found = find(config, root)
    for line in found:
        print(line, file=sys.stderr)
    if not found:
        print(f"{root}: every table is what its scores give.")
    return int(bool(found))
