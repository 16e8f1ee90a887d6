"""Writing files so that none is ever half-written."""

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
