"""A copy of the project in which a tiny configuration runs, is disturbed, and is run again."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.tree import copy_tree

CONFIG: dict[str, Any] = {
    "name": "faults",
    "seeds": [0],
    "milestones": [1],
    "beta_multiples": [0, 1],
    "datasets": {"digits": {"source": "digits", "protocol": "folds", "inliers": [0, 1]}},
    "methods": {
        "gradcon": {"detector": "tests.faults.methods:SlowGradCon", "epochs": 30},
        "dcae": {"detector": "tests.faults.methods:SlowDCAE", "epochs": 60},
    },
}
RESULTS = Path("results/faults")
NUMBERS = (
    "data/**/*",
    "splits/**/*",
    "runs/**/scores.parquet",
    "runs/**/epochs.parquet",
    "runs/**/*.safetensors",
    "metrics/metrics.parquet",
    "metrics/histograms.parquet",
    "verdicts/*",
    "tables/auroc*.csv",
)
"""What the same run gives byte for byte, below the results; other files hold times."""

SECONDS = 600
"""After which a call counts as hanging."""


@dataclass(frozen=True)
class State:
    """Results as they are: the hashes of the numbers, and the names of all files."""

    numbers: dict[str, str]
    files: frozenset[str]


@dataclass
class Call:
    """A call of ``make run`` that has ended."""

    status: int
    output: str


@dataclass
class Outcome:
    """What came of a fault: what was said about it, and what was wrong after it (nothing)."""

    fault: str
    phase: str
    said: str = ""
    wrong: list[str] = field(default_factory=list)


class Project:
    """A copy of the working tree in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tree, self.temporary = folder / "tree", folder / "tmp"
        self.root = self.tree / RESULTS
        shutil.rmtree(folder, ignore_errors=True)
        self.temporary.mkdir(parents=True)
        copy_tree(self.tree, "tests/__init__.py", "tests/faults", "tests/tree.py")
        (self.tree / "faults.yaml").write_text(yaml.safe_dump(CONFIG, sort_keys=False))

    def environment(self, *first: Path, **values: str) -> dict[str, str]:
        """Environment variables of a call; ``first`` comes first on Python's path."""
        path = os.pathsep.join(map(str, (*first, self.tree)))
        own = {"PYTHONPATH": path, "GRADCON_DEVICE": "cpu", "TMPDIR": str(self.temporary)}
        # A cache of torch's own, which is no file of ours that stays.
        own |= {"TORCHINDUCTOR_CACHE_DIR": str(self.folder), "OMP_NUM_THREADS": "1"}
        return {**os.environ, **own, **values}

    @property
    def command(self) -> list[str]:
        """What ``make run CONFIG=faults.yaml OPTIONS='--cores 2'`` calls."""
        return [sys.executable, "-m", "workflow.run", "faults.yaml", "--cores", "2", "--nocolor"]

    def start(self, slow: float = 0.0, output: str = "first") -> "subprocess.Popen[bytes]":
        """Begin a call, as the leader of a process group; each file takes ``slow`` seconds more."""
        first = [Path(__file__).parent / "slow"] if slow else []
        with (self.folder / output).open("wb") as file:
            return subprocess.Popen(
                self.command,
                cwd=self.tree,
                env=self.environment(*first, FAULTS_SECONDS=str(slow)),
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def said(self, output: str = "first") -> str:
        """What a call that was begun has printed so far."""
        return (self.folder / output).read_text(errors="replace")

    def finish(self) -> Call:
        """One call, undisturbed."""
        process = self.start(output="second")
        try:
            status = process.wait(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        return Call(status, self.said("second"))

    def state(self) -> State:
        """The results as they are."""
        files = {str(path.relative_to(self.root)) for path in self.root.rglob("*")}
        numbers = {
            str(path.relative_to(self.root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for pattern in NUMBERS
            for path in self.root.glob(pattern)
            if path.is_file()
        }
        return State(numbers, frozenset(files))

    def keep(self, folder: Path) -> None:
        """Copy the results, and what Snakemake knows of them, to a folder."""
        _copy(self.root, folder / "results")
        _copy(self.tree / ".snakemake", folder / "snakemake")

    def restore(self, folder: Path, without: Sequence[str] = ()) -> None:
        """Put back what was kept, but no files that match a pattern."""
        _copy(folder / "results", self.root)
        _copy(folder / "snakemake", self.tree / ".snakemake")
        for pattern in without:
            for path in self.root.glob(pattern):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
        for path in self.temporary.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def wrong(self, undisturbed: State, call: Call) -> list[str]:
        """What is not as after an undisturbed call."""
        problems = [] if call.status == 0 else [f"it ended with {call.status}: {last(call.output)}"]
        state = self.state()
        for name in sorted({*state.numbers, *undisturbed.numbers}):
            if state.numbers.get(name) != undisturbed.numbers.get(name):
                problems.append(f"{name} differs")
        problems += [f"{name} is missing" for name in sorted(undisturbed.files - state.files)]
        problems += [f"{name} is left over" for name in sorted(state.files - undisturbed.files)]
        # Snakemake's own folders outside of the project are left to the system.
        left = [p for p in self.temporary.iterdir() if not p.name.startswith("snakemake")]
        left += self.tree.rglob("*.partial*")
        for name in ("locks", "incomplete", "scripts"):
            left += [p for p in (self.tree / ".snakemake" / name).glob("**/*") if p.is_file()]
        return problems + [f"{path.relative_to(self.folder)} is left over" for path in left]


def last(output: str) -> str:
    """The last line of an output."""
    return next((line for line in reversed(output.splitlines()) if line.strip()), "nothing said")


def line(pattern: Callable[[str], object], *outputs: str) -> str:
    """The first line of some outputs for which a pattern holds, or nothing."""
    lines = (each for output in outputs for each in output.splitlines())
    return next((each.strip() for each in lines if pattern(each)), "")


def _copy(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    if source.exists():
        shutil.copytree(source, target)
