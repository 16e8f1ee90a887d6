"""Which wrong changes of the code the tests notice: ``python -m tests.mutants [area ...]``.

An area is a file ``<area>.toml`` beside this module. Each of its mutants replaces ``old``, which
stands once in ``file``, by ``new``, which is wrong because of ``why``. The mutant is put into a
copy of the working tree, and its ``tests`` are run there, or those of the whole area where it names
none. It survives if they pass. Before, the same tests have to pass on the unchanged copy. A single
mutant is named by its label, ``area:number``.

The exit status is 1 if a mutant survives, or if a list does not fit the code or the tests.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.tree import ROOT

LISTS = Path(__file__).parent

TIMEOUT = 900
"""Seconds after which a mutant counts as noticed: it may never end."""


@dataclass(frozen=True)
class Mutant:
    """A wrong change of one file."""

    file: str
    old: str
    new: str
    why: str
    tests: tuple[str, ...]


def chosen(names: list[str]) -> dict[str, Mutant]:
    """Mutants by their label, ``area:number``, of the named areas or labels; by default all.

    Raises:
        SystemExit: a name is neither that of an area nor a label.
    """
    every = {
        f"{path.stem}:{number}": Mutant(**{"tests": listed["tests"]} | mutant)
        for path in sorted(LISTS.glob("*.toml"))
        for listed in [tomllib.loads(path.read_text())]
        for number, mutant in enumerate(listed["mutant"], 1)
    }
    areas = {label.partition(":")[0] for label in every}
    if unknown := set(names) - set(every) - areas:
        given, there = (", ".join(sorted(names)) for names in (unknown, areas))
        sys.exit(f"no such mutants: {given}; name areas ({there}) or labels such as splits:1")
    return {
        label: mutant
        for label, mutant in every.items()
        if not names or label in names or label.partition(":")[0] in names
    }


def copied(folder: Path) -> Path:
    """A copy of the files that git tracks or does not ignore, as they are in the working tree."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def passes(tree: Path, tests: Iterable[str]) -> bool:
    """Whether the tests pass on a tree.

    Raises:
        SystemExit: pytest cannot run them.
    """
    options = ["-x", "--no-header", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
    # Compiled files would be out of date: two mutants may have the same size and second.
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", *options, *tests]
    try:
        ended = subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, text=True, timeout=TIMEOUT
        )
    except subprocess.TimeoutExpired:
        return False
    if ended.returncode not in (0, 1):
        sys.exit(
            f"{' '.join(command)} ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}"
        )
    return ended.returncode == 0


def survives(tree: Path, mutant: Mutant) -> bool:
    """Whether the tests of a mutant pass on a tree with it; the tree is left as it was."""
    path = tree / mutant.file
    text = path.read_text()
    path.write_text(text.replace(mutant.old, mutant.new))
    try:
        return passes(tree, mutant.tests)
    finally:
        path.write_text(text)


def misfits(tree: Path, mutants: Mapping[str, Mutant]) -> Iterator[str]:
    """What is wrong with the lists: text that does not stand once in its file."""
    for label, mutant in mutants.items():
        times = (tree / mutant.file).read_text().count(mutant.old)
        if times != 1:
            yield f"{label}: {mutant.file} has {times} times, not once: {mutant.old!r}"


def main(names: list[str]) -> str | int:
    """Run the mutants that are named; what to exit with."""
    mutants = chosen(names)
    survivors = 0
    with tempfile.TemporaryDirectory() as folder:
        tree = copied(Path(folder))
        if wrong := list(misfits(tree, mutants)):
            return "\n".join(wrong)
        if not passes(tree, dict.fromkeys(test for m in mutants.values() for test in m.tests)):
            return "the tests fail on the unchanged code"
        for label, mutant in mutants.items():
            survived = survives(tree, mutant)
            survivors += survived
            outcome = "SURVIVES" if survived else "noticed "
            print(f"{outcome}  {label}  {mutant.file}: {mutant.why}", flush=True)
    print(f"{survivors} of {len(mutants)} mutants survive")
    return int(survivors > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
