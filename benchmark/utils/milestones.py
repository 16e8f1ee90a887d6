"""Which models of milestone epochs a run lacks."""

from collections.abc import Iterable, Mapping
from typing import Any


def lacking_milestones(record: Mapping[str, Any], milestones: Iterable[int]) -> list[int]:
    """The milestones that a run's training has reached without keeping their models.

    Milestones past its last epoch are no reason to train it again.

    >>> lacking_milestones({"facts": {"epochs": 10}, "milestones": [5]}, [1, 5, 50])
    [1]

    Args:
        record: the run's ``run.json``.
        milestones: the epochs, from 1, whose models are asked for.
    """
    epochs = int((record.get("facts") or {}).get("epochs", 0))
    kept = {*(record.get("milestones") or ())}
    return sorted({epoch for epoch in milestones if epoch <= epochs} - kept)
