"""The log of a job's script."""

import io
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr, suppress
from pathlib import Path
from typing import TextIO

from benchmark.errors import InputError
from benchmark.utils import machine
from benchmark.utils.files import CannotBeWritten
from benchmark.utils.running import share

INTERRUPTED = "interrupted; the next call goes on"
"""The last line on a job that was interrupted."""


class _Log(io.TextIOBase):
    """A stream that writes to a file, and to another stream too if that is a terminal.

    What the file cannot take, as on a full disk, the other stream gets.
    """

    def __init__(self, file: io.RawIOBase, other: TextIO) -> None:
        self._file, self._other = file, other

    def write(self, text: str) -> int:
        content = text.encode(errors="backslashreplace")
        written: int | None = 0
        with suppress(OSError):
            written = self._file.write(content)
        if written != len(content) or self._other.isatty():
            self._other.write(text)
        return len(text)

    def flush(self) -> None:
        self._other.flush()


@contextmanager
def _log(path: Path, other: TextIO) -> Iterator[_Log]:
    try:
        file = path.open("wb", buffering=0)
    except OSError as error:
        print(CannotBeWritten(path, error), file=other)
        raise SystemExit(1) from None
    with file:
        yield _Log(file, other)


@contextmanager
def logged(path: str | Path) -> Iterator[None]:
    """Send stderr to a log file while a script runs, and to the terminal too if it is one.

    An error is logged and ends the script with exit code 1: as one line if the user or the machine
    caused it, SIGINT and SIGTERM included, else with its traceback.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (
        share() or nullcontext(),
        _log(Path(path), sys.stderr) as log,
        redirect_stderr(log),
    ):
        try:
            yield
        except (InputError, OSError) as error:
            print(error, file=sys.stderr)
            raise SystemExit(1) from None
        except KeyboardInterrupt:
            print(INTERRUPTED, file=sys.stderr)
            raise SystemExit(1) from None
        except Exception as error:
            if remedy := machine.advice(error):
                reason = str(error).partition("\n")[0]
                print(
                    f"{type(error).__name__}: {reason}; {remedy}; then run again", file=sys.stderr
                )
            else:
                traceback.print_exc()
            raise SystemExit(1) from None
        finally:
            signal.signal(signal.SIGTERM, before)
