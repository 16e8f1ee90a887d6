"""The hashes of the files that a job has written, beside its log.

They are in a file that ``sha256sum --check`` understands when it is called in that file's folder.
The first hash is that of an output which every such job has.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmark.utils.files import atomic, sha256

SUFFIX = ".sha256"


def beside(log: str | Path) -> Path:
    """The file of the hashes of the job that has this log."""
    return Path(log).with_suffix(SUFFIX)


def write(record: Path, paths: Iterable[str | Path]) -> None:
    """Write the hash of each of the files, and of all files in those that are folders."""
    files = (
        file
        for path in map(Path, paths)
        for file in ([path] if path.is_file() else sorted(path.rglob("*")))
        if file.is_file()
    )
    lines = [
        f"{sha256(file)}  {os.path.relpath(file, record.parent)}\n" for file in dict.fromkeys(files)
    ]
    with atomic(record) as partial:
        partial.write_text("".join(lines), encoding="utf-8")


def read(record: Path) -> dict[Path, str]:
    """The hashes that were written, by file.

    Raises:
        ValueError: a line that is not a hash and a name.
    """
    hashes = {}
    for line in record.read_text(encoding="utf-8").splitlines(keepends=True):
        stated, gap, name = line[:64], line[64:66], line[66:]
        if gap != "  " or not name.endswith("\n") or len(bytes.fromhex(stated)) != 32:
            raise ValueError(f"{line!r} is not a hash and a name")
        hashes[record.parent / name.removesuffix("\n")] = stated
    return hashes


def changed(hashes: dict[Path, str]) -> Iterator[Path]:
    """The files that are there with another content than their hash says."""
    for file, stated in hashes.items():
        if file.exists() and not (file.is_file() and sha256(file) == stated):
            yield file
