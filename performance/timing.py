"""Times on a noisy machine: candidates take turns, and medians are compared."""

import time
from collections.abc import Callable, Mapping
from statistics import median


def alternate(
    candidates: Mapping[str, Callable[[], object]], repeats: int, warm_up: int = 2
) -> dict[str, tuple[float, float]]:
    """Time candidates in turn.

    Args:
        candidates: what to call; the first is the one that all are compared with.
        repeats: rounds that are timed.
        warm_up: rounds before them that are not.

    Returns:
        Per candidate the median time in seconds, and the median over rounds of the first
        candidate's time over its own: how many times faster it is.
    """
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(warm_up + repeats):
        for name, call in candidates.items():
            begin = time.perf_counter()
            call()
            elapsed = time.perf_counter() - begin
            if turn >= warm_up:
                times[name].append(elapsed)
    first = next(iter(times.values()))
    return {
        name: (median(own), median(a / b for a, b in zip(first, own, strict=True)))
        for name, own in times.items()
    }
