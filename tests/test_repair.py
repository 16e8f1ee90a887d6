"""What is put right before a configuration runs: damaged or missing files, files of the future."""

import os
import time

import pytest

from benchmark.utils import checksums
from workflow import repair


@pytest.fixture
def root(tmp_path):
    """Results of two jobs, with their hashes."""
    root = tmp_path / "results/tiny"
    for stage in ("data", "tables"):
        (root / stage).mkdir(parents=True)
        for name in ("first", "second"):
            (root / stage / name).write_text(f"{stage} {name}")
        checksums.write(root / f"logs/{stage}.sha256", [root / stage])
    return root


def test_what_is_as_it_was_written_is_left_alone(root):
    assert list(repair.damaged(root)) == []


def test_a_changed_file_takes_all_that_its_job_made_with_it(root):
    (root / "tables/second").write_text("tables secone")
    (found,) = repair.damaged(root)
    assert found.first == root / "tables/first"
    (line,) = found.problems
    assert line.startswith(os.path.relpath(root / "tables/second")) and "changed since" in line
    found.remove()
    assert sorted(path.name for path in root.rglob("*") if path.parent.name == "tables") == []
    # Until it is made again, the next call knows of it.
    (again,) = repair.damaged(root)
    assert again.first == found.first and "missing" in again.problems[0]


def test_what_is_gone_is_made_again_if_it_stands_for_the_job(root):
    (root / "tables/second").unlink()
    assert list(repair.damaged(root)) == []
    (root / "tables/first").unlink()
    assert ["missing" in line for one in repair.damaged(root) for line in one.problems] == [True]


@pytest.mark.parametrize("text", ["no hash", f"{'0' * 64}  ../../../other\n"])
def test_damaged_hashes_touch_no_file_elsewhere(root, text):
    other = root.parents[1] / "other"
    other.write_text("kept")
    (root / "logs/tables.sha256").write_text(text)
    (found,) = repair.damaged(root)
    assert "tables.sha256: damaged" in found.problems[0]
    found.remove()
    assert other.read_text() == "kept" and (root / "tables/first").exists()


@pytest.mark.parametrize("same", [True, False])
def test_only_what_comes_out_the_same_keeps_its_time(root, same):
    (root / "data/first").write_text("data firs")
    (found,) = repair.damaged(root)
    found.remove()
    time.sleep(0.01)
    for name in ("first", "second"):
        (root / "data" / name).write_text(f"data {name}" if same else name)
    checksums.write(root / "logs/data.sha256", [root / "data"])
    found.keep_time()
    times = {(root / "data" / name).stat().st_mtime_ns for name in ("first", "second")}
    assert (times == {found.time}) == same


def test_files_of_the_future_are_dated_now_in_their_order(root):
    year = 365 * 24 * 3600 * 10**9
    now = time.time_ns()
    ages = {"data/first": -year, "data/second": year, "tables/first": 2 * year}
    ages["tables/second"] = ages["tables/first"]
    for name, age in ages.items():
        os.utime(root / name, ns=(now + age, now + age))
    (line,) = repair.date_now([root])
    assert line.startswith(os.path.relpath(root / "data/second")) and "2 more files" in line
    a, b, c, d = ((root / name).stat().st_mtime_ns for name in ages)
    assert a == now - year and now - 10**6 < b < c == d <= time.time_ns()
    assert list(repair.date_now([root])) == []
