"""What our runs give for a number, and what keeps it from being compared with the published one.

A run, with its own seed and fold, is one draw: where a data set has several folds, the spread of
its runs is that of the split too.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from benchmark.config import Config
from benchmark.layout import MAIN_RATIO
from benchmark.metrics import Metrics
from benchmark.metrics.conditions import comparable_epochs, differing_settings, published_epochs
from benchmark.metrics.numbers import Cube, Numbers, spread_out
from benchmark.metrics.pool import POOLED
from benchmark.published import Published, data_source
from benchmark.statistics.intervals import Array
from benchmark.statistics.overlap import Redrawn, overlap_draws
from benchmark.utils.text import span

POOLED_METRICS = ("overlap",)
"""Metrics of all inlier classes together, which have no value per class."""


@dataclass(frozen=True)
class Quantity:
    """What a number is of.

    Attributes:
        dataset: key in the configuration.
        method: key in the configuration.
        component: of the score.
        metric: ``auroc``, ``f1``, ``overlap`` or ``parameters``.
        ratio: share of outliers in the test set.
        beta_multiple: n, where the anomaly score has the weight n alpha of the gradient loss.
    """

    dataset: str
    method: str
    component: str = "score"
    metric: str = "auroc"
    ratio: float = MAIN_RATIO
    beta_multiple: float | None = None


@dataclass(frozen=True)
class Reproduced:
    """The numbers of a configuration's runs, looked up by what they are of."""

    config: Config
    metrics: Metrics

    @cached_property
    def numbers(self) -> Numbers:
        """All numbers, to be selected by what they are of."""
        return Numbers(self.metrics.table)

    def datasets(self, source: str) -> list[str]:
        """Keys of the data sets that published rows call ``source``."""
        return [key for key in self.config.datasets if data_source(self.config, key) == source]

    def classes(self, dataset: str) -> dict[int, str]:
        """Inlier classes of a data set, index to name."""
        return self._classes.get(dataset, {})

    @cached_property
    def _classes(self) -> dict[str, dict[int, str]]:
        once = self.metrics.runs.drop_duplicates(["dataset", "inlier"])
        return {
            str(dataset): dict(zip(rows["inlier"].astype(int), rows["class_name"], strict=True))
            for dataset, rows in once.groupby("dataset", sort=False)
        }

    def components(self, dataset: str, method: str, published: tuple[Published, ...]) -> list[str]:
        """Score components of a method, the anomaly score last.

        Where it has no numbers they are those of other data sets, or of published numbers, so that
        its rows show as missing.
        """
        rows = self._components.get(method, self.metrics.table.iloc[:0])
        here = rows.loc[rows["dataset"] == dataset, "component"]
        names = list((here if len(here) else rows["component"]).unique())
        printed = (row.run_component for row in published if row.run_method == method)
        return names or [name for name in dict.fromkeys(printed) if name]

    @cached_property
    def _components(self) -> dict[Any, pd.DataFrame]:
        once = self.metrics.table.drop_duplicates(["dataset", "method", "component"])
        return dict(iter(once.groupby("method", sort=False)))

    def runs(self, dataset: str, method: str, inlier: int | None = None) -> pd.DataFrame:
        """The complete runs of a method, of all inlier classes or one."""
        key = (dataset, method) if inlier is None else (dataset, method, inlier)
        return self._complete.get(key, self.metrics.runs.iloc[:0])

    @cached_property
    def _complete(self) -> dict[Any, pd.DataFrame]:
        complete = self.metrics.runs[self.metrics.runs["status"] == "complete"]
        names = ["dataset", "method", "inlier"]
        by_method, by_class = (complete.groupby(names[:n], sort=False) for n in (2, 3))
        return {**dict(iter(by_method)), **dict(iter(by_class))}

    def values(self, what: Quantity) -> Cube:
        """Values by (seed, fold, class), NaN where there is none; one class for pooled metrics."""
        return self._cube(what, "value")

    def missing_runs(self, dataset: str, method: str) -> bool:
        """Whether an inlier class of the data set has no complete run of the method."""
        return bool(self.missing(Quantity(dataset, method)))

    def missing(self, what: Quantity, inlier: int | None = None) -> str:
        """Why there is no number of all classes, or of one; empty if there is."""
        settings = self.config.datasets.get(what.dataset)
        if settings is None or what.method not in self.config.methods:
            return "not configured"
        of_scores = what.metric != "parameters"
        if of_scores and what.ratio not in self.config.outlier_ratios:
            return f"no test sets with {what.ratio:.0%} outliers"
        complete = self.runs(what.dataset, what.method)["inlier"].unique()
        if inlier is not None:
            return "" if inlier in complete else "no complete run"
        if of_scores and settings.inliers is not None:
            return "some classes not in this configuration"
        classes = self.classes(what.dataset)
        if not len(complete):
            return "no complete run"
        few = of_scores and len(complete) < len(classes)
        return f"{len(complete)} of {len(classes)} classes" if few else ""

    def test_variance(self, what: Quantity, inlier: int | None = None) -> float:
        """Variance, over test samples, of the average AUROC of one run per class.

        All our runs share their test samples; a run by someone else has others. With the official
        split its inliers are the same and only its outliers are drawn anew, so that only their part
        of the variance counts. Where runs have several folds it is part of their spread already,
        and for other metrics than AUROC it is not known: 0.
        """
        settings = self.config.datasets[what.dataset]
        if what.metric != "auroc" or len(settings.folds) > 1:
            return 0.0
        errors = self._cube(what, "outlier_error" if settings.own_parts else "error")
        if inlier is not None:
            errors = errors[:, :, [list(self.classes(what.dataset)).index(inlier)]]
        by_class = [np.mean(errors**2) for errors in by_inlier(errors) if errors.size]
        return float(np.sum(by_class)) / len(by_class) ** 2 if by_class else 0.0

    def overlap_variance(self, what: Quantity, redrawn: Redrawn = "both") -> float:
        """Variance of the percentage of overlap over test samples, mean over runs.

        ``redrawn`` says which samples would be others; see ``test_variance``.
        """
        bins = self.metrics.histograms
        rows = bins[
            (bins["dataset"] == what.dataset)
            & (bins["method"] == what.method)
            & (bins["component"] == what.component)
            & (bins["model"] == "best")
        ]
        variances = [
            overlap_draws(
                part["inliers"].to_numpy(int), part["outliers"].to_numpy(int), 200, redrawn=redrawn
            ).var()
            for _, part in rows.groupby(["fold", "seed"])
        ]
        return float(np.mean(variances)) if variances else 0.0

    def constant_classes(self, what: Quantity, inlier: int | None = None) -> str:
        """Names of the classes of which a run gives every image the same score."""
        rows = self._rows(replace(what, metric="auroc"))
        rows = rows[(rows["flag"] == "constant") & (inlier is None or rows["inlier"] == inlier)]
        return ", ".join(rows.sort_values("inlier")["class_name"].unique())

    def short_epochs(self, dataset: str, method: str, inlier: int | None = None) -> str:
        """The epochs of the complete runs if one has fewer than published; else empty."""
        expected = published_epochs(self.config, method)
        epochs = comparable_epochs(self.runs(dataset, method, inlier))
        short = expected is not None and epochs.size and epochs.min() < expected
        return span(epochs) if short else ""

    def other_settings(self, dataset: str, method: str, inlier: int | None = None) -> str:
        """Hyperparameters of the complete runs that differ from the published ones."""
        return differing_settings(self.config, self.runs(dataset, method, inlier))

    def _rows(self, what: Quantity) -> pd.DataFrame:
        of = (what.dataset, what.method, what.component, what.metric, what.ratio)
        return self.numbers.select(*of, beta_multiple=what.beta_multiple)

    def _cube(self, what: Quantity, column: str) -> Cube:
        classes = [POOLED] if what.metric in POOLED_METRICS else list(self.classes(what.dataset))
        rows = self._rows(what)
        # An overlap over some of the classes is of other images, so it is no number here.
        rows = rows[rows["flag"] != "incomplete"].assign(value=rows[column])
        folds = self.config.datasets[what.dataset].folds
        return spread_out(rows, self.config.seeds, folds, classes)


def by_inlier(cube: Cube) -> list[Array]:
    """The values of each inlier class, those of its runs that have one."""
    parts = (cube[:, :, index].ravel() for index in range(cube.shape[2]))
    return [part[np.isfinite(part)] for part in parts]


def by_run(cube: Cube) -> Array:
    """(seeds, folds, classes) values as (runs, classes): the folds of a seed, then the next."""
    return cube.reshape(-1, cube.shape[2])


def in_every_seed(cube: Cube) -> Cube:
    """Values of a method without chance: those of any seed, in the place of every seed."""
    number = np.isfinite(cube).sum(axis=0)
    mean = np.where(number > 0, np.nansum(cube, axis=0) / np.maximum(number, 1), np.nan)
    return np.broadcast_to(mean, cube.shape)
