"""SIGINT and SIGTERM: a training ends with a checkpoint, everything else soon."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors import safe_open

from benchmark.utils import time_limit
from tests.tree import ROOT

TRAINING = """
import sys
from pathlib import Path
import numpy as np
from benchmark.utils.logs import logged
from benchmark.utils.time_limit import ending_on_signals
from gradcon import CAE
with logged("log"), ending_on_signals():
    images = np.zeros((20, 28, 28, 1), np.uint8)
    CAE(epochs=10**6).fit(images, images, seed=0, checkpoint=Path("checkpoint"))
"""

SUPERVISED = """
import subprocess, sys
from workflow import interrupts
interrupts.pass_on()
job = subprocess.Popen([sys.executable, "-c", "import time; print(flush=True); time.sleep(600)"])
try:
    job.wait()
except KeyboardInterrupt:
    sys.exit(10 + (job.wait() != 0))
"""


def started(code: str, folder: Path, stdout: int) -> subprocess.Popen[str]:
    """A process that runs code, and which SIGINT reaches."""
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=stdout,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_training_that_is_interrupted_keeps_all_its_epochs(number, tmp_path):
    process, log = started(TRAINING, tmp_path, subprocess.DEVNULL), tmp_path / "log"
    while not (log.is_file() and "validation loss" in log.read_text()):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    process.send_signal(number)  # of a terminal and of Snakemake
    assert process.wait(60) == 1
    text = log.read_text()
    assert text.splitlines()[-1] == "interrupted; the next call goes on"
    with safe_open(tmp_path / "checkpoint", framework="np") as file:
        header = json.loads(file.metadata()["json"].partition(" ")[2])
    last = int(text.rsplit("/1000000", 1)[0].rsplit("|", 1)[1])
    assert header["progress"]["epoch"] >= last > 0


def test_what_is_no_training_is_ended_after_a_moment(monkeypatch):
    monkeypatch.setattr(time_limit, "GRACE", 0.1)
    numbers = signal.SIGINT, signal.SIGTERM, signal.SIGALRM
    before = [signal.getsignal(number) for number in numbers]
    with pytest.raises(KeyboardInterrupt), time_limit.ending_on_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
    assert [signal.getsignal(number) for number in numbers] == before
    assert time_limit._end() == float("inf")


def test_an_interruption_of_snakemake_alone_reaches_its_jobs(tmp_path):
    with started(SUPERVISED, tmp_path, subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline() == "\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 11


def test_jobs_ignore_an_interruption_that_the_shell_has_them_ignore():
    code = "from workflow import interrupts; interrupts.pass_on(); import signal; "
    code += "print(signal.getsignal(signal.SIGINT) == signal.SIG_IGN)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    assert done.stdout == "True\n", done.stderr
