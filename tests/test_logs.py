"""The log of a script: what is written to it, and how an error ends the script."""

import io
import os
import signal
import sys
from pathlib import Path

import pytest

from benchmark.errors import InputError
from benchmark.utils.logs import logged


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("stream", "echoed"), [(Terminal(), True), (io.StringIO(), False)])
def test_stderr_goes_to_the_log_and_to_a_terminal(tmp_path, monkeypatch, stream, echoed):
    monkeypatch.setattr(sys, "stderr", stream)
    with logged(tmp_path / "log"):
        print("half way", file=sys.stderr)
    assert sys.stderr is stream
    assert (tmp_path / "log").read_text() == "half way\n"
    assert stream.getvalue() == ("half way\n" if echoed else "")


@pytest.mark.parametrize("error", [InputError("x.npz: no file"), OSError(28, "No space", "x.npz")])
def test_an_error_that_the_user_can_correct_is_one_line(tmp_path, error):
    with pytest.raises(SystemExit) as ended, logged(tmp_path / "log"):
        raise error
    assert ended.value.code == 1
    assert (tmp_path / "log").read_text() == f"{error}\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device here")
def test_what_a_full_disk_keeps_from_the_log_is_seen(monkeypatch):
    """The line on what could not be written, too, which is last."""
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    error = OSError(28, "No space left on device", "x.svg")
    with pytest.raises(SystemExit) as ended, logged("/dev/full"):
        print("half way \udcff", file=sys.stderr)
        raise error
    assert ended.value.code == 1
    assert sys.stderr.getvalue() == f"half way \udcff\n{error}\n"


def test_a_defect_leaves_its_traceback(tmp_path):
    with pytest.raises(SystemExit) as ended, logged(tmp_path / "log"):
        raise KeyError("defect")
    assert ended.value.code == 1
    text = (tmp_path / "log").read_text()
    assert "test_logs.py" in text
    assert text.endswith("KeyError: 'defect'\n")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Not in the folder of the project: there a log in use keeps trainings of other tests away."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def sigint():
    """Python's own handling, which tests that run in the background do not have."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interruption_is_one_line_and_ends_what_was_begun(tmp_path, name, sigint):
    before, ended = signal.getsignal(signal.SIGTERM), []
    with pytest.raises(SystemExit), logged(tmp_path / "log"):
        try:
            os.kill(os.getpid(), getattr(signal, name))
            signal.pause()
        finally:
            ended.append(name)
    assert (tmp_path / "log").read_text() == "interrupted; the next call goes on\n"
    assert ended and signal.getsignal(signal.SIGTERM) is before
