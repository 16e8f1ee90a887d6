"""Our runs and those that others report, together, against a published number.

The verdicts are from our scores alone; this is shown beside them and decides none of them.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from benchmark.metrics.conditions import seeds
from benchmark.published import AVERAGE, Published, by_run, data_source, find
from benchmark.statistics import replicates
from benchmark.verdicts.reproduced import Quantity, Reproduced, by_inlier

COLUMNS = (
    *("dataset", "method", "published_dataset", "published_method", "published"),
    *("seeds", "reported_runs", "places", "mean", "low", "high", "p"),
)
"""``seeds`` of ours and ``reported_runs`` have the average AUROC ``mean``; ``low`` to ``high`` is
the 95 % prediction interval of a new run, ``p`` that of the published number as one."""


def frame(
    reproduced: Reproduced, published: Sequence[Published], reported: Sequence[Published]
) -> pd.DataFrame:
    """A row per data set and method of which others report runs that can be compared with ours.

    Ours have to have all inlier classes, the published epochs and settings; reported runs all
    classes. The variance over test samples is added to that between runs, which may share them.
    """
    rows = [
        row
        for dataset in reproduced.config.datasets
        for method in reproduced.config.methods
        for row in _row(reproduced, dataset, method, published, reported)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(
    reproduced: Reproduced,
    dataset: str,
    method: str,
    published: Sequence[Published],
    reported: Sequence[Published],
) -> Iterator[tuple[object, ...]]:
    series = (data_source(reproduced.config, dataset), method, "score", "AUROC")
    printed = find(published, *series).get(AVERAGE)
    classes = reproduced.classes(dataset)
    others = {
        run: numbers
        for run, numbers in by_run(reported, *series).items()
        if numbers.keys() >= classes.keys()
    }
    what = Quantity(dataset, method)
    if (
        printed is None
        or not others
        or reproduced.missing(what)
        or reproduced.short_epochs(dataset, method)
        or reproduced.other_settings(dataset, method)
        or reproduced.constant_classes(what)
    ):
        return
    sample = replicates.sample(
        [
            np.append(ours, [numbers[inlier].value for numbers in others.values()])
            for inlier, ours in zip(classes, by_inlier(reproduced.values(what)), strict=True)
        ]
    )
    variance = reproduced.test_variance(what)
    yield (
        *(dataset, method, printed.dataset, printed.method, printed.value),
        *(len(seeds(reproduced.runs(dataset, method))), len(others)),
        ", ".join(dict.fromkeys(place for place, _ in others)),
        sample.mean,
        *replicates.prediction_interval(sample, variance),
        replicates.prediction_p(sample, printed.value, variance),
    )
