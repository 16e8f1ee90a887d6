"""Means over folds, seeds and inlier classes, and what they leave out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmark.config import Config
from benchmark.metrics.compute import POOLED
from benchmark.published import AVERAGE

Cube = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A mean with its spread.

    ``spread`` is the standard deviation over seeds (NaN with fewer than two); ``found`` of
    ``expected`` numbers entered; ``constant``: one of them comes from constant scores.
    ``mean`` is NaN when none did.
    """

    mean: float
    spread: float
    found: int
    expected: int
    constant: bool = False

    @property
    def complete(self) -> bool:
        """Whether no number is missing."""
        return self.found == self.expected


def estimate(cube: Cube) -> Estimate:
    """Mean of (seeds, folds, classes) values, NaN where one is missing.

    Classes weigh the same, however many of their seeds and folds are there: the mean is over folds,
    then seeds, then classes. The spread is between the means of the seeds that lack nothing.
    """
    present = ~np.isnan(cube)
    by_class = _mean(_mean(cube, axis=1), axis=0)
    whole = _mean(_mean(cube[present.all(axis=(1, 2))], axis=1), axis=1)
    return Estimate(
        mean=float(_mean(by_class, axis=0)),
        spread=float(whole.std(ddof=1)) if whole.size > 1 else float("nan"),
        found=int(present.sum()),
        expected=cube.size,
    )


class Numbers:
    """The table of all numbers, looked up by what they are of."""

    AXES = ("dataset", "method", "component", "metric", "outlier_ratio", "model", "beta_multiple")

    def __init__(self, table: pd.DataFrame) -> None:
        self._empty = table.iloc[:0]
        # NaN is no key; no multiple is negative.
        keyed = table.assign(beta_multiple=table["beta_multiple"].fillna(-1.0))
        groups = keyed.groupby(list(self.AXES), sort=False).indices
        self._parts = {key: table.iloc[places] for key, places in groups.items()}

    def select(
        self,
        dataset: str,
        method: str,
        component: str,
        metric: str,
        outlier_ratio: float,
        model: str = "best",
        beta_multiple: float | None = None,
    ) -> pd.DataFrame:
        """The rows of one number over inlier classes, folds and seeds.

        ``beta_multiple`` is that of the beta sweep; None for all other numbers.
        """
        multiple = -1.0 if beta_multiple is None else beta_multiple
        key = (dataset, method, component, metric, outlier_ratio, model, multiple)
        return self._parts.get(key, self._empty)


def by_class(
    rows: pd.DataFrame, config: Config, dataset: str, classes: Sequence[int]
) -> dict[int, Estimate]:
    """Estimates per inlier class, then over all of them (``AVERAGE``)."""
    cube = spread_out(rows, config.seeds, config.datasets[dataset].folds, classes)
    constant = set(rows.loc[rows["flag"] == "constant", "inlier"])
    estimates = {
        inlier: replace(estimate(cube[:, :, [index]]), constant=inlier in constant)
        for index, inlier in enumerate(classes)
    }
    return estimates | {AVERAGE: replace(estimate(cube), constant=bool(constant))}


def over_classes(
    rows: pd.DataFrame, config: Config, dataset: str, classes: Sequence[int], by: list[str]
) -> pd.DataFrame:
    """The average over inlier classes of each group of a data set's rows, as a frame.

    Groups are those of equal values in the columns ``by``.

    Returns:
        Columns ``dataset``, ``by``, ``mean``, ``spread`` over seeds, ``complete``, and ``lacking``:
        whether a class has no value at all.
    """
    records = []
    for key, part in rows.groupby(by, sort=False):
        estimates = by_class(part, config, dataset, classes)
        average = estimates[AVERAGE]
        records.append(
            {
                "dataset": dataset,
                **dict(zip(by, key, strict=True)),
                "mean": average.mean,
                "spread": average.spread,
                "complete": average.complete,
                "lacking": any(each.found == 0 for each in estimates.values()),
            }
        )
    return pd.DataFrame(records)


def pooled(rows: pd.DataFrame, config: Config, dataset: str) -> Estimate:
    """Estimate of a number that is pooled over classes, such as the overlap.

    A pool that lacks a class counts as missing, though its value enters the mean.
    """
    each = estimate(spread_out(rows, config.seeds, config.datasets[dataset].folds, [POOLED]))
    incomplete = int((rows["flag"] == "incomplete").sum())
    return replace(each, found=each.found - incomplete)


def spread_out(
    rows: pd.DataFrame, seeds: Sequence[int], folds: Sequence[int], classes: Sequence[int]
) -> Cube:
    """The values of ``rows`` as (seeds, folds, classes), NaN where there is none."""
    cube = np.full((len(seeds), len(folds), len(classes)), np.nan)
    places = [
        pd.Index(axis).get_indexer(pd.Index(rows[name]))
        for name, axis in (("seed", seeds), ("fold", folds), ("inlier", classes))
    ]
    inside = np.all([place >= 0 for place in places], axis=0)
    cube[tuple(place[inside] for place in places)] = rows["value"].to_numpy(float)[inside]
    return cube


def _mean(values: Cube, axis: int) -> Cube:
    """Mean without the missing values; NaN where all are, and no warning."""
    present = ~np.isnan(values)
    number = present.sum(axis=axis)
    total = np.where(present, values, 0).sum(axis=axis)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)
