"""A folder that tests change is put back as it was."""

import os

from tests.tree import Kept


def contents(folder):
    """Every path within a folder, with the time of its last change, and what is in it."""
    return {
        path: (
            path.lstat().st_mtime_ns,
            path.readlink() if path.is_symlink() else path.is_file() and path.read_bytes(),
        )
        for path in folder.rglob("*")
    }


def test_whatever_was_changed_is_put_back(tmp_path):
    folder = tmp_path / "folder"
    for name in ("a/b/one", "a/two", "three", "c/d/four"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "link").symlink_to("three")
    kept, before = Kept(folder, tmp_path / "kept"), contents(folder)
    for _ in range(2):
        file = folder / "three"
        times = (file.stat().st_atime_ns, file.stat().st_mtime_ns)
        file.write_text("eerht")
        os.utime(file, ns=times)
        for path in (folder / "a/two", folder / "c/d/four", folder / "link"):
            path.unlink()
        (folder / "c/d").rmdir()
        (folder / "new/within").mkdir(parents=True)
        (folder / "new/within/five").touch()
        (folder / "a/b/more").touch()
        kept.put_back()
        assert contents(folder) == before
