"""The last thing that is seen of a failing job."""

import signal

import pytest

from workflow import failures


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (
            "50%|#####     | 1/2\nx.npz: no such file; name another\n\n",
            "x.npz: no such file; name another",
        ),
        # A progress bar, half or full, is no reason.
        (
            "read\n\r  0%|          | 0/30\r  3%|3         | 1/30",
            "ended without a word, as if killed",
        ),
        (
            "read\n\r  0%|          | 0/30\r100%|##########| 30/30\n",
            "ended without a word, as if killed",
        ),
        ("", "ended without a word, as if killed"),
        (None, "ended without a word, as if killed"),
    ],
)
def test_the_reason_is_the_last_whole_line(tmp_path, capsys, log, reason):
    path = tmp_path / "a.log"
    if log is not None:
        path.write_text(log)
    logs = {path: None, tmp_path / "b.log": None} if log else {path: None}
    failures._print_reasons(logs, interruptions=[])
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"{path}: {reason}" or lines == [f"{path} and 1 more: {reason}"]


def test_a_job_that_is_interrupted_before_its_first_word_goes_on(tmp_path, capsys):
    failures._print_reasons({tmp_path / "a.log": None}, interruptions=[signal.SIGINT])
    assert capsys.readouterr().err == f"{tmp_path}/a.log: interrupted; the next call goes on\n"
