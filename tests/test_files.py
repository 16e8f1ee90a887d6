"""Files are whole or absent, and a failure to write says where and what to do."""

import errno
import os
import re
import signal
import stat
import subprocess
import sys

import numpy as np
import pytest

from benchmark.utils.files import atomic
from benchmark.utils.tensors import read_tensors, write_tensors


def test_a_file_is_replaced_only_when_written_to_the_end(tmp_path):
    path = tmp_path / "new" / "table.csv"
    with atomic(path) as beside:
        beside.write_text("first")
    with pytest.raises(ZeroDivisionError), atomic(path) as beside:
        beside.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "first" and list(path.parent.iterdir()) == [path]


def test_a_full_disk_is_one_line_with_the_path(tmp_path):
    path = tmp_path / "table.csv"
    with pytest.raises(OSError, match=r"table\.csv: cannot be written") as caught, atomic(path):
        raise OSError(28, "No space left on device")
    message = str(caught.value)
    assert "No space left on device" in message and "free disk space" in message
    assert "\n" not in message and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.ENOSPC, "No space left on device); free disk space"),
        (errno.EROFS, "Read-only file system); name a folder of another"),
        (errno.EACCES, "Permission denied); give write permission"),
        (errno.EMFILE, "Too many open files); raise the limit of open files"),
        (errno.EIO, "Input/output error); name another file"),
    ],
)
@pytest.mark.parametrize("numbered", [True, False])
def test_each_error_of_the_system_has_its_own_advice(tmp_path, code, advice, numbered):
    text = os.strerror(code)
    with pytest.raises(OSError, match="cannot be written") as caught, atomic(tmp_path / "t.csv"):
        raise OSError(code, text) if numbered else OSError(f"{text} (os error {code})")
    assert advice in re.sub(r" \(os error \d+\)", "", str(caught.value))


def make_node(path, aim):
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    except OSError:
        pytest.skip("only root makes device nodes")


@pytest.mark.parametrize(
    "make",
    [
        lambda path, aim: path.symlink_to(aim),
        lambda path, aim: path.symlink_to("nowhere"),
        lambda path, aim: os.mkfifo(path),
        lambda path, aim: path.mkdir(),
        make_node,
    ],
    ids=["link", "broken link", "fifo", "folder", "device"],
)
def test_what_is_no_regular_file_is_left_alone(tmp_path, make):
    aim, path = tmp_path / "aim", tmp_path / "table.csv"
    aim.write_text("kept")
    make(path, aim)
    before = path.lstat()
    reason = r"table\.csv: .*a link, a device or a folder is there"
    with pytest.raises(OSError, match=reason), atomic(path) as beside:
        beside.write_text("new")
    assert path.lstat() == before and aim.read_text() == "kept"
    assert sorted(tmp_path.iterdir()) == [aim, path]


def test_nobody_can_plant_a_link_where_a_file_will_be_written(tmp_path):
    names = set()
    for _ in range(2):
        with atomic(tmp_path / "table.csv") as beside:
            assert beside.parent == tmp_path and beside.suffix == ".csv"
            beside.write_text("whole")
            names.add(beside.name)
    assert len(names) == 2


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    path = tmp_path / "[1].csv"
    killed = "from benchmark.utils.files import atomic; import os, sys; from pathlib import Path\n"
    killed += "with atomic(Path(sys.argv[1])) as beside: beside.write_text('half'); os._exit(9)"
    subprocess.run([sys.executable, "-c", killed, path], check=False)
    others = [tmp_path / f".{name}.{'0' * 16}.partial.csv" for name in ("1", "[1].x")]
    for other in others:
        other.touch()
    assert len(list(tmp_path.iterdir())) == 3
    with atomic(path) as beside:
        beside.write_text("whole")
    assert sorted(tmp_path.iterdir()) == sorted([path, *others])


# The system kills whoever writes more than 64 KiB into a file.
KILLED_WHILE_WRITING_TENSORS = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from benchmark.utils.tensors import write_tensors
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, 2**16))
write_tensors(Path(sys.argv[1]), {"x": np.zeros(2**20)}, {}, {})
"""


def test_nothing_stays_of_tensors_whose_writer_was_killed(tmp_path):
    path = tmp_path / "last.safetensors"
    done = subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING_TENSORS, path], check=False)
    assert done.returncode == -signal.SIGXFSZ
    assert [file.stat().st_size for file in tmp_path.iterdir()] == [2**16]
    tensors = {"x": np.arange(3.0)}
    write_tensors(path, tensors, {"of": 1}, {})
    assert list(tmp_path.iterdir()) == [path]
    np.testing.assert_equal(read_tensors(path, {"of": 1})[0], tensors)


def test_files_written_together_name_the_one_that_failed(tmp_path):
    b = tmp_path / "b"
    with (
        pytest.raises(OSError, match="cannot be written") as caught,
        atomic(tmp_path / "a"),
        atomic(b),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert (
        str(caught.value).startswith(f"{b}: ")
        and str(caught.value).count("cannot") == 1
        and not list(tmp_path.iterdir())
    )
