"""What is put right before a configuration runs: damaged files, and files of the future."""

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmark.utils import checksums


def remove_damaged(root: Path) -> Iterator[str]:
    """Remove what each job under ``root`` has made, if a file of it has changed since.

    Snakemake then makes it again. Yields a line for each changed file.
    """
    for record in sorted(root.glob(f"logs/**/*{checksums.SUFFIX}")):
        try:
            hashes = checksums.read(record)
            if not all(file.resolve().is_relative_to(root.resolve()) for file in hashes):
                raise ValueError("it names files elsewhere")
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            yield f"{record}: damaged ({reason}); what its job made is not checked any more"
            record.unlink()
            continue
        changed = list(checksums.changed(hashes))
        for file in changed:
            path = os.path.relpath(file)
            yield f"{path}: changed since its job wrote it; what that job made is made again"
        if changed:
            # Last the record: an interruption before leaves the rest to the next call.
            for path in (*hashes, record):
                path.unlink(missing_ok=True)


def date_now(folders: Iterable[Path]) -> Iterator[str]:
    """Give files of the future the present time, in their order; yield a line if there are any.

    They are left when the clock was wrong and has been set back, and would count as newer than all
    that is made from them.
    """
    now = time.time_ns()
    times = {
        file: file.stat().st_mtime_ns
        for folder in folders
        for file in folder.rglob("*")
        if file.is_file()
    }
    future = {file: then for file, then in times.items() if then > now}
    order = {then: place for place, then in enumerate(sorted({*future.values()}, reverse=True))}
    for file, then in future.items():
        # A microsecond apart, which any file system tells.
        os.utime(file, ns=(now, now - 1000 * order[then]))
    if future:
        yield (
            f"{min(future)} and {len(future) - 1} more files are of the future, as the clock was "
            "set back: they count as made just now"
        )
