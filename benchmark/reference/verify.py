"""Verify committed tables by recomputing them from the committed scores.

Everything after the scores is rebuilt in a temporary folder. Tables in Markdown and LaTeX must be
the same text; numbers in the CSV files of tables and figures may differ by ``TOLERANCE``. Pictures
and the report come from the same numbers and are not compared.
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

__all__ = ["add_arguments", "differences", "run"]

TOLERANCE = 1e-5
"""Largest relative difference of numbers in CSV files: 1 in the last of their six digits."""

NEARLY_ZERO = 1e-12
"""Largest absolute difference, for zero and a sum that cancels except for rounding."""

_DEFAULTS_HASH = re.compile(r"config_sha256 [0-9a-f]{64}")
"""This hash changes when a method gets a new hyperparameter, and no number with it."""


def differences(config: Config, root: Path) -> list[str]:
    """The differences between files under ``root`` and their scores, one line per file.

    A run has a line too if its scores do not match its ``run.json``, or its hyperparameters the
    configuration. Nothing is written under ``root``.
    """
    with TemporaryDirectory() as folder:
        rebuilt = Path(folder, config.name)
        link_scores(root, rebuilt)
        for stage in (metrics, verdicts, tables):
            stage.write(config, rebuilt)
        figures.write(config, rebuilt, pictures=False)
        return differences_from(config, root, rebuilt)


def link_scores(root: Path, target: Path) -> None:
    """Make a folder of results with the scores of another, by links, and nothing made from them."""
    target.mkdir()
    for name in ("runs", "splits", "data"):
        if (root / name).is_dir():
            (target / name).symlink_to((root / name).resolve())


def differences_from(config: Config, root: Path, rebuilt: Path) -> list[str]:
    """The lines of ``differences``, from what was rebuilt beside links to the scores."""
    runs = metrics.load(config, rebuilt).runs
    refused = runs.loc[runs["status"] == "refused", "reason"]
    lines = [reason.replace(f"{rebuilt}", f"{root}") for reason in refused]
    lines += other_hyperparameters(config, collect(config, root))
    files = {
        path.relative_to(results)
        for results in (root, rebuilt)
        for pattern in ("tables/*.csv", "tables/*.md", "tables/*.tex", "figures/*.csv")
        for path in results.glob(pattern)
    }
    return lines + [line for file in sorted(files) for line in compare(file, root, rebuilt)]


def other_hyperparameters(config: Config, runs: Iterable[Run]) -> Iterator[str]:
    """A line for each run whose hyperparameters differ from the configuration's."""
    for run in runs:
        configured = json.loads(json.dumps(config.methods[run.key.method].params))
        recorded = run.manifest.get("config") or {}
        differing = [
            f"{name} {recorded[name]} and not {configured[name]}"
            for name in sorted(recorded.keys() & configured)
            if recorded[name] != configured[name]
        ]
        if differing:
            yield f"{run.directory}: was run with {', '.join(differing)} of the configuration"


def compare(file: Path, root: Path, rebuilt: Path) -> Iterator[str]:
    """At most one line on a file of two folders: the first difference and how many there are."""
    for folder, problem in ((root, "missing"), (rebuilt, "the scores give no such file")):
        if not (folder / file).is_file():
            yield f"{root / file}: {problem}"
            return
    compare_lines = _numbers_differ if file.suffix == ".csv" else _text_differs
    lines = ((folder / file).read_text(encoding="utf-8").splitlines() for folder in (root, rebuilt))
    messages = list(compare_lines(*lines))
    if messages:
        more = f" ({len(messages)} differences)" * (len(messages) > 1)
        yield f"{root / file}: {messages[0]}{more}"


def _text_differs(committed: Sequence[str], rebuilt: Sequence[str]) -> Iterator[str]:
    for number, lines in enumerate(zip_longest(committed, rebuilt, fillvalue=""), 1):
        old, new = (_DEFAULTS_HASH.sub("", line) for line in lines)
        if old != new:
            pairs = enumerate(zip(old, new, strict=False))
            first = next((k for k, (a, b) in pairs if a != b), min(len(old), len(new)))
            around = slice(max(0, first - 20), first + 20)
            yield f"line {number}: {old[around]!r}, the scores give {new[around]!r}"


def _numbers_differ(committed: Sequence[str], rebuilt: Sequence[str]) -> Iterator[str]:
    """Differences of CSV files, by row (the head is row 1) and column."""
    old_rows, new_rows = list(csv.reader(committed)), list(csv.reader(rebuilt))
    old_head, head = (rows[0] if rows else [] for rows in (old_rows, new_rows))
    if old_head != head:
        yield f"columns {','.join(old_head)}, the scores give {','.join(head)}"
    elif len(old_rows) != len(new_rows):
        yield f"{len(old_rows) - 1} rows, the scores give {len(new_rows) - 1}"
    else:
        for number, rows in enumerate(zip(old_rows, new_rows, strict=True), 1):
            for column, old, new in zip_longest(head, *rows, fillvalue=""):
                if old != new and not _close(old, new):
                    yield f"row {number}, {column}: {old!r}, the scores give {new!r}"


def _close(old: str, new: str) -> bool:
    try:
        return math.isclose(float(old), float(new), rel_tol=TOLERANCE, abs_tol=NEARLY_ZERO)
    except ValueError:
        return False


def run(chosen: Namespace) -> int:
    """Print the differences; the exit status, 1 if there are any."""
    config, root = chosen_results(chosen)
    lines = differences(config, root)
    for line in lines:
        print(line, file=sys.stderr)
    if not lines:
        print(f"{root}: every table is what its scores give.")
    return int(bool(lines))
