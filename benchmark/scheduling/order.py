"""The order of runs: what decides most comes first.

1. Runs that can decide something come before those of numbers that are decided already, or that
   more runs would not decide.
2. The paper's own methods come before the compared ones: CAE with and without the gradient
   constraint, then VAE, then the others.
3. The first fold and seed come before the second replicate, this before the third, and so on.
4. The series of a data set and method with more published numbers comes before one with fewer;
   after that the order is that of the configuration.

How many replicates a number needs is known from its verdict, once there are runs: those that it
has, and so many further seeds as would decide it. Before, it is two, which tell the spread.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmark import layout, published
from benchmark.config import Config
from benchmark.layout import RunKey
from benchmark.published import AVERAGE, FAMILIES, GAIN, data_source

Needs = Mapping[tuple[str, str, int], int]
"""Replicates that decide the published numbers, by data set, method and inlier class (or
``AVERAGE``)."""

TELL_THE_SPREAD = 2
"""Fewer replicates decide no published number."""


def ordered(config: Config, keys: Iterable[RunKey], needs: Needs) -> list[RunKey]:
    """The runs in the order in which they are worth to be made.

    Args:
        config: of the runs.
        keys: runs of data sets and methods of ``config``.
        needs: see ``replicates_needed``; what is not in it needs those that tell the spread.
    """
    printed = Counter((row.data_source, row.run_method) for row in published.load())
    places = {
        name: {value: place for place, value in enumerate(values)}
        for name, values in (("dataset", config.datasets), ("method", config.methods))
    }

    def rank(key: RunKey) -> tuple[Any, ...]:
        number = replicate(config, key)
        source = data_source(config, key.dataset)
        return (
            number >= needed(config, key, needs),
            _family(key.method),
            number,
            -printed[source, key.method],
            places["dataset"][key.dataset],
            places["method"][key.method],
            key.inlier,
        )

    return sorted(keys, key=rank)


def replicate(config: Config, key: RunKey) -> int:
    """Which replicate of its class and method a run is, from 0: all folds of a seed, then more."""
    folds = config.datasets[key.dataset].folds
    return config.seeds.index(key.seed) * len(folds) + folds.index(key.fold)


def needed(config: Config, key: RunKey, needs: Needs) -> int:
    """How many replicates the published numbers of a run's method and class need; at least 1."""
    both = [needs.get((key.dataset, key.method, inlier)) for inlier in (key.inlier, AVERAGE)]
    known = [number for number in both if number is not None]
    if known:
        return max(1, *known)
    if data_source(config, key.dataset) not in published.SOURCES:
        return 1
    # A method that one seed is enough for may have no second run.
    runs = len(config.seeds_of(key.method)) * len(config.datasets[key.dataset].folds)
    return min(TELL_THE_SPREAD, runs)


def replicates_needed(config: Config, root: Path) -> Needs:
    """What the verdicts on the runs under ``root`` say that the paper's numbers need."""
    path = Path(layout.verdicts(config, root)[0])
    if not path.is_file():
        return {}
    import pyarrow.parquet as pq  # only here, as the Snakefile reads this module

    columns = ["dataset", "method", "inlier", "metric", "outcome", "reason", "further"]
    needs: dict[tuple[str, str, int], int] = {}
    for row in pq.read_table(path, columns=[*columns, "seed_count"]).to_pylist():
        printed = row["dataset"] in config.datasets and row["metric"] != GAIN
        if printed and row["outcome"] != "not run":
            series = row["dataset"], row["method"], row["inlier"]
            seeds = row["seed_count"] + _further_seeds(row)
            folds = len(config.datasets[row["dataset"]].folds)
            needs[series] = max(needs.get(series, 0), seeds * folds)
    return needs


def _further_seeds(row: Mapping[str, Any]) -> int:
    """The seeds that would decide a number beside those that it has; 0 if none would."""
    if row["outcome"] != "inconclusive":
        return 0
    return 1 if row["reason"] == "one run per class" else int(row["further"] or 0)


def _family(method: str) -> int:
    """The place of a method's family; that of all compared methods is the last."""
    places = (place for place, family in enumerate(FAMILIES) if method in family)
    return next(places, len(FAMILIES))
