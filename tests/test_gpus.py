"""Which GPU a job takes, where several processes take some; the GPUs are made up."""

import subprocess
import sys
import threading
import uuid

import pytest

from benchmark.runs import gpus


@pytest.fixture
def two(monkeypatch):
    """Two GPUs that nobody else has."""
    every = {f"cuda:{k}": str(uuid.uuid4()) for k in range(2)}

    def visible(device):
        return every if device == "cuda" else {device: every[device]}

    monkeypatch.setattr(gpus, "visible", visible)
    monkeypatch.setattr(gpus, "POLL_SECONDS", 0.01)
    return every


def test_jobs_take_different_gpus_and_give_them_back(two):
    with gpus.taken("cuda") as first, gpus.taken("cuda") as second, gpus.taken("cpu") as none:
        assert [first, second, none] == ["cuda:0", "cuda:1", "cpu"]
    with gpus.taken("cuda:1") as named, gpus.taken("cuda") as other:
        assert [named, other] == ["cuda:1", "cuda:0"]


def test_an_error_gives_a_gpu_back(two):
    with pytest.raises(ZeroDivisionError), gpus.taken("cuda:0"):
        raise ZeroDivisionError
    with gpus.taken("cuda") as device:
        assert device == "cuda:0"


HOLD = """
import sys
from benchmark.runs import gpus
gpus.visible = lambda device: {device: sys.argv[1]}
with gpus.taken("cuda:0"):
    print("taken", flush=True)
    sys.stdin.read()
"""


def test_a_job_waits_for_the_gpu_of_another_process_even_of_a_killed_one(two, capsys):
    command = [sys.executable, "-c", HOLD, two["cuda:0"]]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"taken\n"
        with gpus.taken("cuda") as device:
            assert device == "cuda:1"
        got = []

        def wait():
            with gpus.taken("cuda:0") as device:
                got.append(device)

        waiting = threading.Thread(target=wait)
        waiting.start()
        while "cuda:0: other jobs train there" not in capsys.readouterr().err:
            assert waiting.is_alive()
        assert not got
        other.kill()
        waiting.join()
    assert got == ["cuda:0"]
