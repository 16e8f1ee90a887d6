"""Copies of the project's tree in which a test can run the workflow, or edit code."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
"""The project's own tree."""

RUNS = ("Snakefile", "environment.yml", "baselines", "benchmark", "config", "gradcon", "profiles")
RUNS = (*RUNS, "results/published", "workflow")
"""What a run of the workflow needs."""


def copy_tree(target: Path, *more: str) -> None:
    """Copy what a run of the workflow needs, without results.

    Python's compiled modules go along, as every process that imports from the copy would compile
    them again; not those that another process is writing.

    Args:
        target: the folder of the copy; made where it does not exist.
        more: further files and folders, by their path in the tree.
    """
    ignore = shutil.ignore_patterns("*.pyc.*", ".*.partial.*")
    for name in (*RUNS, *more):
        source, copy = ROOT / name, target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy, ignore=ignore)
        else:
            shutil.copy2(source, copy)


TICK = 0.02
"""Seconds; the clock of a file system goes on in smaller steps, so a later change has a later time.
"""


class Kept:
    """A copy of a folder, to put the folder back as it was after something has changed it."""

    def __init__(self, folder: Path, copy: Path) -> None:
        """Copy a folder to ``copy``, which is not there yet."""
        self.folder = folder
        self.copy = shutil.copytree(folder, copy, symlinks=True)
        time.sleep(TICK)
        self.states = dict(self._states())

    def put_back(self) -> None:
        """Remove what is new in the folder, and copy what was changed or removed."""
        there = dict(self._states())
        for name in sorted(there.keys() - self.states.keys(), reverse=True):
            path = self.folder / name
            path.rmdir() if _is_folder(path) else path.unlink()
        # A folder comes before what is in it, and gets its times after that.
        changed = [name for name, state in sorted(self.states.items()) if there.get(name) != state]
        for name in changed:
            source, target = self.copy / name, self.folder / name
            if _is_folder(source):
                target.mkdir(exist_ok=True)
            else:
                target.unlink(missing_ok=True)
                shutil.copy2(source, target, follow_symlinks=False)
        for name in reversed(changed):
            shutil.copystat(self.copy / name, self.folder / name, follow_symlinks=False)
        time.sleep(TICK)
        self.states = dict(self._states())

    def _states(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """Every file and folder, with what any change alters, even one that keeps the times."""
        for parent, folders, files in os.walk(self.folder):
            for name in (*folders, *files):
                path = Path(parent, name)
                status = path.lstat()
                yield f"{path.relative_to(self.folder)}", (status.st_ino, status.st_ctime_ns)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
