"""A copy of the project in which a tiny configuration runs, here or on a cluster."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmark.errors import InputError
from tests.slurm.cluster import Cluster
from tests.slurm.methods import CHECKPOINT, EPOCH
from tests.tree import copy_tree

EPOCHS = 30
CONFIG: dict[str, Any] = {
    "name": "slurm",
    "seeds": [0],
    "milestones": [1],
    "beta_multiples": [0, 1],
    "datasets": {"digits": {"source": "digits", "protocol": "folds", "inliers": [0, 1]}},
    "methods": {
        "gradcon": {"detector": "tests.slurm.methods:LongGradCon", "epochs": EPOCHS},
        "kde": {},
    },
}
RESULTS = Path("results/slurm")
SECONDS = 900
"""After which a call counts as hanging."""

PROFILE = ("--workflow-profile", "profiles/slurm")
QUICK = ("--slurm-init-seconds-before-status-checks", "5", "--latency-wait", "10")
"""The jobs here take seconds, and the files are seen at once."""


class Project:
    """A copy of the working tree in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.tree = folder
        self.root = folder / RESULTS
        # What Snakemake leaves in the system's temporary folder when it is killed.
        self.temporary = folder / "tmp"
        self.temporary.mkdir(parents=True)
        copy_tree(folder, "tests/__init__.py", "tests/slurm", "tests/tree.py")
        (folder / "slurm.yaml").write_text(yaml.safe_dump(CONFIG, sort_keys=False))

    def forget(self) -> None:
        """Remove all results, and what Snakemake knows of them."""
        for folder in (self.root, self.tree / ".snakemake"):
            shutil.rmtree(folder, ignore_errors=True)

    def scores(self) -> dict[str, str]:
        """The hashes of the scores of every run."""
        return {
            str(path.relative_to(self.root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(self.root.glob("runs/**/*.parquet"))
        }

    def first_epoch(self, inlier: int) -> int:
        """The epoch at which the last attempt of a training has begun, by its log."""
        log = self.root / f"logs/runs/digits/gradcon/fold-0/inlier-{inlier}/seed-0.log"
        shown = re.findall(rf"(\d+)/{EPOCHS}\b", log.read_text()) if log.is_file() else []
        return int(shown[0]) if shown else 0

    def checkpoints(self) -> list[Path]:
        """The checkpoints of trainings that have not ended."""
        return [*self.root.glob("runs/**/training-*.safetensors")]


class Call:
    """A call of Snakemake, the leader of a process group, that prints into a file.

    An epoch takes ``epoch`` seconds more; there are ``checkpoint`` seconds from one to the next.
    """

    def __init__(
        self,
        project: Project,
        *options: str,
        environment: Mapping[str, str] = os.environ,
        epoch: float = 0.0,
        checkpoint: float = 0.0,
    ) -> None:
        own = {"PYTHONPATH": str(project.tree), "GRADCON_DEVICE": "cpu"}
        own |= {EPOCH: str(epoch), CHECKPOINT: str(checkpoint)}
        own |= {"TMPDIR": str(project.temporary), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "snakemake", "metrics", "--configfile", "slurm.yaml"]
        self.output = project.tree / "output.txt"
        self.began = time.monotonic()
        with self.output.open("wb") as file:
            self.process = subprocess.Popen(
                [*command, "--nocolor", *options],
                cwd=project.tree,
                env={**environment, **own},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        """What it has printed so far."""
        return self.output.read_text(errors="replace")

    def wait_until(self, event: Callable[[], object], what: str) -> None:
        """Wait for an event while the call runs.

        Raises:
            InputError: the call has ended before, or it takes too long.
        """
        while not event():
            if self.process.poll() is not None or time.monotonic() - self.began > SECONDS:
                raise InputError(f"never seen: {what}; {self.last_line()}")
            time.sleep(0.5)

    def wait(self) -> int:
        """Wait for its end; the exit status."""
        try:
            return self.process.wait(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return -1

    def interrupt(self) -> None:
        """What Ctrl-C does: a signal to the whole process group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def kill(self) -> None:
        """End it at once."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def last_line(self) -> str:
        """The last line that it has printed."""
        lines = [line for line in self.said.splitlines() if line.strip()]
        return lines[-1].strip() if lines else "nothing said"


def jobs(cluster: Cluster, *states: str) -> Sequence[tuple[str, str, str]]:
    """Number, state and comment of the jobs in some states, or of all."""
    chosen = f"--states={','.join(states) or 'all'}"
    lines = cluster.call("squeue", "--noheader", "--format=%i|%T|%k", chosen).splitlines()
    return [tuple(line.split("|", 2)) for line in lines]  # type: ignore[misc]
