"""Where a file came from: what it says of itself about the configuration, the scores, the commit.

Every table, figure and report carries the same record, the one that ``metrics/provenance.json``
holds. ``python -m benchmark provenance FILE...`` prints it. A CSV file has no room for it, so its
record is that of the Markdown file, the picture or the report beside it.
"""

import re
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from html import unescape
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from benchmark.errors import InputError

NAMES = ("commit", "config", "config_sha256", "runs_sha256")
"""What a record has: the commits that the runs were made at, the name and the hash of their
configuration, and the hash over their manifests (scores and code of each run)."""


def read(path: Path) -> dict[str, str]:
    """The record of a file.

    Raises:
        InputError: no such file, a kind of file without a record, or none in it.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(sorted(_READERS))
        raise InputError(f"{path}: only files of these kinds carry their provenance: {known}")
    found = reader(path)
    if not found:
        raise InputError(f"{path}: it does not say where it came from; make it again")
    return found


def parse(stamp: str) -> dict[str, str]:
    """The record in a line that ``render.stamp`` wrote."""
    pairs = (part.partition(" ") for part in stamp.split(", "))
    found = {name: value for name, _, value in pairs if value}
    return found if {"config_sha256", "runs_sha256"} <= found.keys() else {}


def _png(path: Path) -> dict[str, str]:
    try:
        with Image.open(path) as picture:
            return parse(str(picture.info.get("Source", "")))
    except UnidentifiedImageError:
        raise InputError(f"{path}: not a picture; make it again") from None


def _svg(path: Path) -> dict[str, str]:
    found = re.search(r"<dc:source>(.*?)</dc:source>", _text(path), re.DOTALL)
    return parse(unescape(found[1]).strip()) if found else {}


def _markdown(path: Path) -> dict[str, str]:
    found = re.match(r"<!-- (.*) -->", _text(path))
    return parse(found[1]) if found else {}


def _latex(path: Path) -> dict[str, str]:
    found = re.match(r"% (.*)", _text(path))
    return parse(found[1]) if found else {}


def _html(path: Path) -> dict[str, str]:
    pairs = re.findall(r'<meta name="(\w+)" content="([^"]*)">', _text(path))
    found = {name: unescape(value) for name, value in pairs if name in NAMES}
    return found if {"config_sha256", "runs_sha256"} <= found.keys() else {}


def _csv(path: Path) -> dict[str, str]:
    for suffix in (".md", ".png"):
        if path.with_suffix(suffix).is_file():
            return _READERS[suffix](path.with_suffix(suffix))
    return {}


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


_READERS: Mapping[str, Callable[[Path], dict[str, str]]] = {
    ".png": _png,
    ".svg": _svg,
    ".md": _markdown,
    ".tex": _latex,
    ".html": _html,
    ".csv": _csv,
}


def add_arguments(parser: ArgumentParser) -> None:
    """Those of the command ``provenance``."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")


def run(chosen: Namespace) -> int:
    """Print the records of files; the exit status, 1 if one has none."""
    failed = False
    for path in chosen.files:
        try:
            found = read(path)
        except InputError as error:
            print(error, file=sys.stderr)
            failed = True
            continue
        print(path)
        for name, value in found.items():
            print(f"  {name:14} {value}")
    return int(failed)
