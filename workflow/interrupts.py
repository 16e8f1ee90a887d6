"""An interruption of Snakemake's own process reaches its jobs.

Ctrl-C goes to all processes of a terminal. A supervisor interrupts Snakemake alone, which would
then wait for its jobs, for hours, and not take what they have made.
"""

import signal
from types import FrameType

import psutil


def pass_on() -> list[int]:
    """Send SIGINT on to all processes below this one, before it is treated as usual.

    Returns:
        A list that gets the signal each time it comes.
    """
    interruptions: list[int] = []
    usual = signal.getsignal(signal.SIGINT)

    def interrupt(number: int, frame: FrameType | None) -> None:
        interruptions.append(number)
        for process in psutil.Process().children(recursive=True):
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                continue
        if callable(usual):
            usual(number, frame)

    # A shell has jobs in its background ignore the signal; so it stays.
    if callable(usual):
        signal.signal(signal.SIGINT, interrupt)
    return interruptions
