"""The hashes beside a job's log: what is written, what is noticed, what is refused."""

import hashlib
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.utils import checksums


@pytest.fixture
def written(tmp_path):
    """A folder of results, and the hashes of two files and of one in a folder."""
    for name in ("tables/a.csv", "tables/b.csv", "runs/weights/best"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    record = checksums.beside(tmp_path / "logs/tables.log")
    tables = [tmp_path / "tables/b.csv", tmp_path / "tables"]
    checksums.write(record, [*tables, tmp_path / "runs", tmp_path / "absent"])
    return record


def test_sha256sum_understands_them_and_the_first_stays_first(written):
    lines = written.read_text().splitlines()
    names = [f"../{name}" for name in ("tables/b.csv", "tables/a.csv", "runs/weights/best")]
    assert lines == [f"{hashlib.sha256(n[3:].encode()).hexdigest()}  {n}" for n in names]
    if program := shutil.which("sha256sum"):
        call = [program, "--check", "--strict", written.name]
        subprocess.run(call, cwd=written.parent, check=True, capture_output=True)


def test_what_changed_is_noticed_but_not_what_is_gone(written):
    hashes = checksums.read(written)
    assert list(checksums.changed(hashes)) == []
    first, second, third = hashes
    content = first.read_bytes()
    first.write_bytes(content[:-1])
    second.unlink()
    third.unlink()
    third.mkdir()
    assert list(checksums.changed(hashes)) == [first, third]


@pytest.mark.parametrize(
    "content", [b"tables/a.csv\n", b"0" * 63 + b"g  a\n", b"00  a\n", b"0" * 64 + b"  a", b"\xff\n"]
)
def test_what_is_no_hash_and_name_is_refused(tmp_path, content):
    (tmp_path / "x.sha256").write_bytes(content)
    with pytest.raises(ValueError, match=r"is not a hash|hexadecimal|utf-8"):
        checksums.read(tmp_path / "x.sha256")


@given(st.data())
def test_any_flipped_bit_is_noticed(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("flipped")
    file, record = folder / "file", folder / "logs/file.sha256"
    content = bytearray(data.draw(st.binary(min_size=1, max_size=100)))
    file.write_bytes(content)
    checksums.write(record, [file])
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    file.write_bytes(content)
    assert [path.resolve() for path in checksums.changed(checksums.read(record))] == [file]
