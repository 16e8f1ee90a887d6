"""Numbers looked up by what they are of, and laid out by seed, fold and inlier class."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

Cube = npt.NDArray[np.float64]

AXES = ["dataset", "method", "component", "metric", "outlier_ratio", "model", "beta_multiple"]
"""The columns that say what a number is of, beside its inlier class, fold and seed."""


class Numbers:
    """A table with the columns ``AXES``, looked up by them."""

    def __init__(self, table: pd.DataFrame) -> None:
        self._empty = table.iloc[:0]
        # NaN is no key; no multiple is negative.
        keyed = table.assign(beta_multiple=table["beta_multiple"].fillna(-1.0))
        groups = keyed.groupby(AXES, sort=False).indices
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
