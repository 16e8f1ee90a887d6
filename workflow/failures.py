"""Say last of all why jobs failed, whatever Snakemake was told to be quiet about."""

import atexit
import sys
from collections.abc import Sequence
from logging import LogRecord
from pathlib import Path

from snakemake.logging import logger
from snakemake_interface_logger_plugins.common import LogEvent

from benchmark.utils.logs import INTERRUPTED


def say_last(interruptions: Sequence[int]) -> None:
    """Have the last line of each failing job's log printed when this process ends.

    Args:
        interruptions: gets an entry if this process is interrupted (``interrupts``).
    """
    logs: dict[Path, None] = {}

    def collect(record: LogRecord) -> bool:
        if getattr(record, "event", None) == LogEvent.JOB_ERROR:
            logs.update(dict.fromkeys(map(Path, getattr(record, "log", None) or ())))
        return True

    # A filter sees every event, and this one lets all pass.
    logger.addFilter(collect)
    atexit.register(_print_reasons, logs, interruptions)


def _print_reasons(logs: dict[Path, None], interruptions: Sequence[int]) -> None:
    """The jobs that failed for the same reason share a line."""
    wordless = INTERRUPTED if interruptions else "ended without a word, as if killed"
    by_reason: dict[str, list[Path]] = {}
    for log in logs:
        by_reason.setdefault(_last_line(log) or wordless, []).append(log)
    for reason, (first, *others) in by_reason.items():
        more = f" and {len(others)} more" * bool(others)
        print(f"{first}{more}: {reason}", file=sys.stderr)


def _last_line(log: Path) -> str | None:
    try:
        text = log.read_bytes().decode(errors="replace")
    except OSError:
        text = ""
    lines = [line for line in text.split("\n") if line.strip()]
    # A progress bar is written over with \r, and has no end before it is full.
    said = lines and text.endswith("\n") and "\r" not in lines[-1]
    return lines[-1] if said else None
