"""Writing files and folders completely or not at all."""

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

ADVICE = {
    errno.ENOSPC: "free disk space",
    errno.EDQUOT: "free disk space, of which your share is used up",
    errno.EACCES: "give write permission",
    errno.EPERM: "give write permission",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.EROFS: "name a folder of another file system, this one can only be read",
}
"""What the user can do about an error of the operating system, by its number."""


class CannotBeWritten(OSError):
    """A file cannot be written; the message is its path, why, and what to do, on one line."""

    def __init__(self, path: Path, error: OSError) -> None:
        reason = " ".join((error.strerror or str(error)).split())
        # Writers in other languages pass on the reason as text, without its number.
        known = (text for code, text in ADVICE.items() if os.strerror(code) in reason)
        advice = next(known, "name another file")
        super().__init__(f"{path}: cannot be written ({reason}); {advice}")


def sha256(path: Path) -> str:
    """The sha256 of a file's content, in hexadecimal."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def canonical(path: Path) -> Path:
    """The one spelling of a path, without ``~``, links and dots: from here if it is below."""
    real, here = path.expanduser().resolve(), Path.cwd().resolve()
    return real.relative_to(here) if real.is_relative_to(here) else real


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a sibling of ``path`` to write to; it replaces ``path`` on success.

    On an error the sibling is removed and an earlier ``path`` stays as it was; what a killed
    process left beside the same ``path`` is removed by the next one. The sibling's name cannot be
    predicted, so that nobody puts a link there beforehand, and keeps the suffix of ``path``, for
    writers that go by it. Raises ``CannotBeWritten``, also for a link, a device and whatever else
    is no regular file: they are never replaced.
    """
    token = secrets.token_hex(8)
    beside = path.with_name(f".{path.stem}.{token}.partial{path.suffix}")
    left_over = f".{escape(path.stem)}.{'?' * len(token)}.partial{escape(path.suffix)}"
    try:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise OSError("a link, a device or a folder is there")
        path.parent.mkdir(parents=True, exist_ok=True)
        for file in path.parent.glob(left_over):
            file.unlink(missing_ok=True)
        yield beside
        beside.replace(path)
    except CannotBeWritten:
        raise
    except OSError as error:
        raise CannotBeWritten(path, error) from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def replace_folder(folder: Path, by: Path) -> None:
    """Replace ``folder`` by the folder ``by``; ``folder`` is kept until that is done.

    An interruption in between, even a power failure, leaves both: ``recover_folder`` restores
    ``folder``.
    """
    before = _before(folder)
    shutil.rmtree(before, ignore_errors=True)
    if folder.exists():
        folder.rename(before)
    try:
        by.rename(folder)
    finally:
        recover_folder(folder)
    shutil.rmtree(before, ignore_errors=True)


def recover_folder(folder: Path) -> None:
    """Restore the folder that an interrupted ``replace_folder`` had renamed."""
    if _before(folder).exists() and not folder.exists():
        _before(folder).rename(folder)


def _before(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.before")
