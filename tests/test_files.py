"""Files are whole or absent, and a failure to write says where and what to do."""

import pytest

from benchmark.utils.files import atomic


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
