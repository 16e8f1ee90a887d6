"""What the runs say of a quantity: its values, and what it lacks to stand for the paper's.

A run, with its own seed and fold, is one draw: where a data set has several folds, their spread is
that of the split too.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from benchmark import captions
from benchmark import outputs as layout
from benchmark import published as papers
from benchmark.config import Config
from benchmark.measures import Array
from benchmark.methods import defaults
from benchmark.metrics import POOLED, Metrics
from benchmark.statistics import overlap_draws
from benchmark.summary import Cube, Numbers, spread_out

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
        return [
            key for key in self.config.datasets if papers.data_source(self.config, key) == source
        ]

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
        return counted_epochs(captions.span(trained))

    def otherwise(self, dataset: str, method: str, inlier: int | None = None) -> str:
        """The settings of complete runs that are not the paper's; see ``captions.otherwise``."""
        return captions.otherwise(self.config, self.runs(dataset, method, inlier))

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


def epochs(runs: pd.DataFrame) -> Array:
    """The epochs of some runs to hold against the paper's, of those that have any.

    The fewer of those trained and those asked for: what was trained counts every phase, such as the
    pre-training of Deep SVDD.
    """
    asked = [json.loads(stated).get("epochs", np.nan) for stated in runs["config"]]
    fewer = np.fmin(runs["epochs"].to_numpy(float), np.array(asked, dtype=np.float64))
    return np.asarray(fewer[fewer > 0])


def first(texts: Iterable[str]) -> str:
    """The first that says something, else nothing."""
    return next(filter(None, texts), "")


def paper_epochs(config: Config, method: str) -> int | None:
    """The fewest epochs that count as the paper's training; None where epochs mean nothing.

    For GradCon's own models they are known; for a compared method they are its default, which is
    what its own paper or code has.
    """
    if method in papers.GRADCON:
        return papers.EPOCHS
    stated = defaults(config.methods[method].detector).get("epochs")
    return stated if isinstance(stated, int) else None


def counted_epochs(span: str) -> str:
    """``20 epochs``, ``5 to 20 epochs``."""
    return captions.counted(int(span), "epoch") if span.isdigit() else f"{span} epochs"


def seeds(runs: pd.DataFrame) -> tuple[int, ...]:
    """The seeds of some runs."""
    return tuple(sorted({int(seed) for seed in runs["seed"]}))


def command(config: Config, dataset: str, methods: Sequence[str], inliers: Sequence[int]) -> str:
    """The command that makes runs of some methods and classes and everything after them."""
    settings = config.datasets[dataset]
    parts = [
        f"{config.anew.root}/runs/{dataset}",
        _braced(methods),
        f"fold-{_braced(settings.folds)}",
        f"inlier-{_braced(inliers)}",
        f"seed-{_braced(config.seeds)}",
        "run.json",
    ]
    call = f"snakemake --configfile config/{config.name}.yaml --cores"
    return f"{call} 8 {'/'.join(parts)} && {call} 1 reanalyse"


def _braced(values: Sequence[str] | Sequence[int]) -> str:
    """``3``, ``{0..9}`` or ``{0,2,5}``, as shells expand it."""
    if len(values) == 1:
        return str(values[0])
    if len(values) > 2 and _consecutive(values):
        return f"{{{values[0]}..{values[-1]}}}"
    return f"{{{','.join(str(value) for value in values)}}}"


def _consecutive(values: Sequence[Any]) -> bool:
    whole = all(isinstance(value, int) for value in values)
    return whole and list(values) == list(range(values[0], values[-1] + 1))
