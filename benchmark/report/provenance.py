"""Which scores made a file: the record that every table, figure and report carries.

It is that of ``metrics/provenance.json``, in the line that ``metrics.stamp`` writes; the report has
it as ``meta`` elements. A CSV file has no room for it, so its record is that of the Markdown file
or the picture beside it.
"""

import re
import sys
from argparse import ArgumentParser, Namespace
from html import unescape
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from benchmark.errors import InputError

NAMES = ("commit", "config", "config_sha256", "runs_sha256")
"""What a record has: the commits that the runs were made at, the name and the hash of their
configuration, and the hash over their manifests (scores and code of each run)."""

KINDS = (".csv", ".html", ".md", ".png", ".svg", ".tex")

_STAMP = re.compile(", ".join(f"{name} ([^,<>]+?)" for name in NAMES) + r"(?= -->|\s*<|\s*$)", re.M)
_META = re.compile(rf'<meta name="({"|".join(NAMES)})" content="([^"]*)">')


def read(path: Path) -> dict[str, str]:
    """The record of a file.

    Raises:
        InputError: no such file, a kind of file without a record, or none in it.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.suffix.lower() not in KINDS:
        raise InputError(
            f"{path}: only files of these kinds carry their provenance: {', '.join(KINDS)}"
        )
    text = _text(path)
    stamp, meta = _STAMP.search(text), _META.findall(text)
    record = dict(zip(NAMES, stamp.groups(), strict=True)) if stamp else dict(meta)
    if record.keys() != set(NAMES):
        raise InputError(f"{path}: it does not say where it came from; make it again")
    return {name: unescape(value) for name, value in record.items()}


def _text(path: Path) -> str:
    """The part of a file that its record is in."""
    if path.suffix.lower() == ".png":
        try:
            with Image.open(path) as picture:
                return str(picture.info.get("Source", ""))
        except UnidentifiedImageError:
            raise InputError(f"{path}: not a picture; make it again") from None
    if path.suffix.lower() == ".csv":
        beside = (path.with_suffix(suffix) for suffix in (".md", ".png"))
        return next((_text(file) for file in beside if file.is_file()), "")
    return path.read_text(encoding="utf-8", errors="replace")


def add_arguments(parser: ArgumentParser) -> None:
    """Those of the command ``provenance``."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")


def run(chosen: Namespace) -> int:
    """Print the records of files; the exit status, 1 if one has none."""
    failed = False
    for path in chosen.files:
        try:
            record = read(path)
        except InputError as error:
            print(error, file=sys.stderr)
            failed = True
            continue
        print(path)
        for name, value in record.items():
            print(f"  {name:14} {value}")
    return int(failed)
