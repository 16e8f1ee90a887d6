"""Which published numbers and claims some runs could decide.

A number needs its replicates of every class and method that it is of (``order``), at the published
epochs; a claim, those of the paper's own methods that it compares, as published numbers stand for
compared methods that were not run. Whether they then do decide is seen from their scores alone.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

from benchmark import jobs, layout
from benchmark.config import Config
from benchmark.config.methods import defaults
from benchmark.layout import RunKey
from benchmark.metrics.conditions import published_epochs
from benchmark.published import AVERAGE, GRADCON, Published, data_source, load
from benchmark.scheduling import order
from benchmark.scheduling.order import Needs
from benchmark.verdicts import claims
from benchmark.verdicts.numbers import DECIDED, LOSSES, OVERLAP, outcomes

Enough = Callable[[str, str, int], bool]
"""Whether a data set, method and inlier class (or ``AVERAGE``) has its replicates."""


def decided(config: Config, root: Path) -> int:
    """How many of the paper's numbers our own runs have decided."""
    path = Path(layout.verdicts(config, root)[0])
    return int(outcomes(pd.read_parquet(path)).isin(DECIDED).sum()) if path.is_file() else 0


def numbers(config: Config, done: Iterable[RunKey], needs: Needs) -> set[Published]:
    """The published numbers that these runs could decide."""
    enough = _enough(config, done, needs)
    return {row for row in load() if _number(config, row, enough)}


def claim_ids(config: Config, done: Iterable[RunKey], needs: Needs) -> list[str]:
    """The claims that these runs could decide, in their order."""
    enough = _enough(config, done, needs)
    return [claim.id for claim in claims.load() if _claim(config, claim, enough)]


def _number(config: Config, row: Published, enough: Enough) -> bool:
    methods = [row.run_method]
    if row.metric == OVERLAP:
        methods += [method for method, _ in LOSSES]
    return any(
        all(enough(dataset, method, row.inlier) for method in methods)
        for dataset in config.datasets
        if data_source(config, dataset) == row.data_source
    )


def _claim(config: Config, claim: claims.Claim, enough: Enough) -> bool:
    series = {
        (term.dataset or comparison.dataset, term.method)
        for comparison in claim.holds_if
        for first in (*comparison.greater, *comparison.than)
        for term in (first, *([first.over] if first.over else []))
        if not term.published and term.method in GRADCON
    }
    by_source = {data_source(config, dataset): dataset for dataset in config.datasets}
    return all(
        source in by_source and enough(by_source[source], method, AVERAGE)
        for source, method in series
    )


def _enough(config: Config, done: Iterable[RunKey], needs: Needs) -> Enough:
    """Whether the runs that are done have the replicates of a number, at the published epochs."""
    counts = Counter((key.dataset, key.method, key.inlier) for key in done)
    available = jobs.available(config)

    def enough(dataset: str, method: str, inlier: int) -> bool:
        settings = config.datasets[dataset]
        if dataset not in available or method not in config.methods:
            return False
        if not _as_published(config, method) or (inlier == AVERAGE and settings.inliers):
            return False
        classes = jobs.inliers(config, dataset) if inlier == AVERAGE else [inlier]
        first = RunKey(dataset, method, settings.folds[0], 0, config.seeds[0])
        return all(
            counts[dataset, method, each]
            >= order.needed(config, first._replace(inlier=each), needs)
            for each in classes
        )

    return enough


def _as_published(config: Config, method: str) -> bool:
    """Whether runs have the published settings, and as many epochs or more."""
    configured = config.methods[method]
    epochs, default = published_epochs(config, method), defaults(configured.detector)
    return all(
        value >= (epochs or 0) if name == "epochs" else value == default.get(name, value)
        for name, value in configured.params.items()
    )
