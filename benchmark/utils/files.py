"""Writing files and folders completely or not at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a sibling of ``path`` to write to; it replaces ``path`` on success.

    On an error the sibling is removed and an earlier ``path`` stays as it was. The sibling keeps
    the suffix of ``path``, for writers that go by it.
    """
    beside = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        beside.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(
            f"{path}: cannot be written ({reason}); free disk space or give write permission"
        ) from error
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
