"""What is put right before a configuration runs: damaged or missing files, files of the future."""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.utils import checksums


@dataclass(frozen=True)
class Damaged:
    """What a job made, if a file of it has changed since, or its first is missing.

    ``record`` has the ``hashes`` of its files, and ``problems`` are a line each.
    """

    record: Path
    hashes: dict[Path, str]
    problems: Sequence[str]
    time: int
    """When the job wrote it, in nanoseconds."""

    @property
    def first(self) -> Path:
        """The resolved path of the first output of the job."""
        return next(iter(self.hashes), self.record).resolve()

    def remove(self) -> None:
        """Remove what the job made."""
        for file in self.hashes:
            file.unlink(missing_ok=True)

    def keep_time(self) -> None:
        """Once it was made again: if it is the same, so that nothing depends on a newer one.

        Else a damaged image would train all models again.
        """
        if checksums.read(self.record) == self.hashes:
            for file in self.hashes:
                os.utime(file, ns=(self.time, self.time))


def damaged(root: Path) -> Iterator[Damaged]:
    """What has to be made again under ``root``, the folder of results."""
    for record in sorted(root.glob(f"logs/**/*{checksums.SUFFIX}")):
        try:
            hashes = checksums.read(record)
            if not all(file.resolve().is_relative_to(root.resolve()) for file in hashes):
                raise ValueError("it names files elsewhere")
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            problem = f"{record}: damaged ({reason}); removed, so that no file is checked by it"
            yield Damaged(record, {}, [problem], 0)
            continue
        first = next(iter(hashes), record)
        problems = [f"{os.path.relpath(first)}: missing; made again"] * (not first.exists())
        problems += [
            f"{os.path.relpath(file)}: changed since its job wrote it; made again, with all that "
            "this job makes"
            for file in checksums.changed(hashes)
        ]
        if problems:
            yield Damaged(record, hashes, problems, record.stat().st_mtime_ns)


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
            f"{os.path.relpath(min(future))} and {len(future) - 1} more files are of the future, "
            "as the clock was set back: they count as made just now"
        )
