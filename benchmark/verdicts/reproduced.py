"""What the runs say of a quantity: its values, and what it lacks to stand for the paper's.

A run, with its own seed and fold, is one draw: where a data set has several folds, their spread is
that of the split too.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from benchmark import layout
from benchmark.config import Config
from benchmark.metrics import Metrics, conditions
from benchmark.metrics.averages import Cube, Numbers, spread_out
from benchmark.metrics.compute import POOLED
from benchmark.metrics.conditions import epochs, paper_epochs
from benchmark.published import data_source
from benchmark.statistics import Array, overlap_draws
from benchmark.utils import text

WHOLE = ("overlap",)
"""Metrics of all inlier classes pooled."""


@dataclass(frozen=True)
class Quantity:
    """A number of each run, of a data set by its key in the configuration.

    ``ratio`` is the share of outliers in the test set. With ``beta_multiple`` n the anomaly score
    has the weight n alpha of the gradient loss.
    """

    dataset: str
    method: str
    component: str = "score"
    metric: str = "auroc"
    ratio: float = layout.MAIN_RATIO
    beta_multiple: float | None = None


@dataclass(frozen=True)
class Evidence:
    """The numbers of a configuration, found by quantity."""

    config: Config
    found: Metrics

    @cached_property
    def _numbers(self) -> Numbers:
        return Numbers(self.found.table)

    def datasets(self, source: str) -> list[str]:
        """The data sets that are what published rows call ``source``."""
        return [key for key in self.config.datasets if data_source(self.config, key) == source]

    def classes(self, dataset: str) -> dict[int, str]:
        """Inlier classes of a data set, index to name."""
        return self._classes.get(dataset, {})

    @cached_property
    def _classes(self) -> dict[str, dict[int, str]]:
        once = self.found.runs.drop_duplicates(["dataset", "inlier"])
        return {
            str(dataset): dict(zip(mine["inlier"].astype(int), mine["class_name"], strict=True))
            for dataset, mine in once.groupby("dataset", sort=False)
        }

    def runs(self, dataset: str, method: str, inlier: int | None = None) -> pd.DataFrame:
        """The complete runs of a method, maybe of one class."""
        mine = self._complete.get((dataset, method), self.found.runs.iloc[:0])
        return mine if inlier is None else mine[mine["inlier"] == inlier]

    @cached_property
    def _complete(self) -> dict[Any, pd.DataFrame]:
        done = self.found.runs[self.found.runs["status"] == "complete"]
        return dict(iter(done.groupby(["dataset", "method"], sort=False)))

    def values(self, what: Quantity) -> Cube:
        """Values by (seed, fold, class), NaN where there is none; one class for pooled numbers."""
        return self._cube(what, "value")

    def lacks(self, what: Quantity, inlier: int | None = None) -> str:
        """Why the quantity has no number over all its classes, or of one; empty if it has."""
        settings = self.config.datasets.get(what.dataset)
        if settings is None:
            return "not configured"
        if what.method not in self.config.methods:
            return "not configured"
        measured = what.metric != "parameters"
        if measured and what.ratio not in self.config.outlier_ratios:
            return f"no test sets with {what.ratio:.0%} outliers"
        there = self.runs(what.dataset, what.method)["inlier"].unique()
        if inlier is not None:
            return "" if inlier in there else "no complete run"
        if measured and settings.inliers is not None:
            return "an average over all classes, some of which are not in this configuration"
        classes = self.classes(what.dataset)
        if not len(there):
            return "no complete run"
        few = measured and len(there) < len(classes)
        return f"{len(there)} of {len(classes)} classes" if few else ""

    def test_variance(self, what: Quantity, inlier: int | None = None) -> float:
        """Variance, over test samples, of the average AUROC of one run per class.

        A new run by someone else has other test outliers than ours, but, with the official split,
        the same inliers; each is about half of the variance, on both sides of the comparison, so
        that it enters once. Where runs have several folds it is in their spread already, and for
        other metrics than AUROC it is not known: 0.
        """
        if what.metric != "auroc" or len(self.config.datasets[what.dataset].folds) > 1:
            return 0.0
        errors = self._cube(what, "error")
        if inlier is not None:
            errors = errors[:, :, [list(self.classes(what.dataset)).index(inlier)]]
        by_class = [np.mean(part**2) for part in columns(errors) if part.size]
        return float(np.sum(by_class)) / len(by_class) ** 2 if by_class else 0.0

    def constant(self, what: Quantity, inlier: int | None = None) -> str:
        """Tells the classes of which a run gives every image the same score; empty without."""
        rows = self._rows(replace(what, metric="auroc"))
        odd = rows[(rows["flag"] == "constant") & (inlier is None or rows["inlier"] == inlier)]
        names = ", ".join(odd.sort_values("inlier")["class_name"].unique())
        return names and f"constant scores of {names}"

    def overlap_variance(self, what: Quantity) -> float:
        """Variance of the percentage of overlap over test samples, mean over runs."""
        bars = self.found.histograms
        mine = bars[
            (bars["dataset"] == what.dataset)
            & (bars["method"] == what.method)
            & (bars["component"] == what.component)
            & (bars["model"] == "best")
        ]
        found = [
            overlap_draws(part["inliers"].to_numpy(int), part["outliers"].to_numpy(int), 200).var()
            for _, part in mine.groupby(["fold", "seed"])
        ]
        return float(np.mean(found)) if found else 0.0

    def short(self, dataset: str, method: str, inlier: int | None = None) -> str:
        """The epochs of the complete runs if one has fewer than the paper's; else empty."""
        least = paper_epochs(self.config, method)
        trained = epochs(self.runs(dataset, method, inlier))
        if least is None or not trained.size or trained.min() >= least:
            return ""
        return counted_epochs(text.span(trained))

    def otherwise(self, dataset: str, method: str, inlier: int | None = None) -> str:
        """The settings of complete runs that are not the paper's; see ``captions.otherwise``."""
        return conditions.otherwise(self.config, self.runs(dataset, method, inlier))

    def _rows(self, what: Quantity) -> pd.DataFrame:
        identity = (what.dataset, what.method, what.component, what.metric, what.ratio)
        if what.beta_multiple is None:
            return self._numbers.select(*identity)
        return self._swept.get((*identity, what.beta_multiple), self.found.table.iloc[:0])

    @cached_property
    def _swept(self) -> dict[Any, pd.DataFrame]:
        """The beta sweep of the best models."""
        table = self.found.table
        names = ["dataset", "method", "component", "metric", "outlier_ratio", "beta_multiple"]
        return dict(iter(table[table["model"] == "best"].groupby(names, sort=False)))

    def _cube(self, what: Quantity, column: str) -> Cube:
        classes = [POOLED] if what.metric in WHOLE else list(self.classes(what.dataset))
        rows = self._rows(what)
        # An overlap over some of the classes is of other images, so it is no number here.
        rows = rows[rows["flag"] != "incomplete"].assign(value=rows[column])
        folds = self.config.datasets[what.dataset].folds
        return spread_out(rows, self.config.seeds, folds, classes)


def columns(cube: Cube) -> list[Array]:
    """The values of each class, those of its runs that have one."""
    parts = (cube[:, :, index].ravel() for index in range(cube.shape[2]))
    return [part[np.isfinite(part)] for part in parts]


def counted_epochs(span: str) -> str:
    """``20 epochs``, ``5 to 20 epochs``."""
    return text.counted(int(span), "epoch") if span.isdigit() else f"{span} epochs"
