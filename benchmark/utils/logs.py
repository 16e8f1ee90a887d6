"""The log of a job's script."""

import io
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr
from pathlib import Path
from typing import TextIO

from benchmark.errors import InputError
from benchmark.utils import machine
from benchmark.utils.files import CannotBeWritten
from benchmark.utils.running import share

INTERRUPTED = "interrupted; the next call goes on"
"""The last line on a job that was interrupted."""


class _Tee(io.TextIOBase):
    """A stream that writes to several."""

    def __init__(self, *streams: TextIO) -> None:
        self._streams = streams

    def write(self, text: str) -> int:
        for stream in self._streams:
            stream.write(text)
        return len(text)

    def flush(self) -> None:
        for stream in self._streams:
            stream.flush()


def _log(path: Path) -> TextIO:
    try:
        return path.open("w", buffering=1, encoding="utf-8")
    except OSError as error:
        print(CannotBeWritten(path, error), file=sys.stderr)
        raise SystemExit(1) from None


@contextmanager
def logged(path: str | Path) -> Iterator[None]:
    """Send stderr to a log file while a script runs, and to the terminal too if it is one.

    An error is logged and ends the script with exit code 1: as one line if the user or the machine
    caused it, SIGINT and SIGTERM included, else with its traceback.
    """
    terminal = sys.stderr
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (
        share() or nullcontext(),
        _log(Path(path)) as log,
        redirect_stderr(_Tee(log, terminal) if terminal.isatty() else log),
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
