"""Means over runs and inlier classes, and what they leave out: ``averages.parquet``.

One row per number, by the columns ``AXES`` and ``inlier``: the index of a class, or ``AVERAGE`` for
all classes, over which some numbers are pooled already. The other columns are those of ``Average``.

Beside the models of the table there is the ``oracle``: of all models of a run that were scored, the
one of the highest AUROC on its own test set. It needs the test labels, so it is no result. A run
that has scores of fewer models than others of its kind has no oracle. The metric ``gain`` is what
its AUROC has more than that of the best validation loss.
"""

from dataclasses import dataclass, fields
from itertools import product
from typing import Any

import pandas as pd

from benchmark import layout
from benchmark.config import Config
from benchmark.metrics.numbers import AXES
from benchmark.published import AVERAGE

OF = [name for name in AXES if name != "beta_multiple"]
"""The columns that say what an average is of, beside its class; those of the beta sweep apart."""


@dataclass(frozen=True)
class Average:
    """A mean over runs, then over classes, which weigh the same.

    Attributes:
        mean: NaN where there is no number.
        spread: standard deviation between the means of the seeds that lack nothing; NaN with fewer
            than two.
        found: how many of the ``expected`` numbers there are; a pool that lacks a class is none,
            and is in the mean only where no pool is whole.
        expected: one per seed that the method is configured to run with, fold and class.
        constant: whether one of them comes from constant scores.
        lacking: whether a class has no number at all.
    """

    mean: float = float("nan")
    spread: float = float("nan")
    found: int = 0
    expected: int = 0
    constant: bool = False
    lacking: bool = True

    @property
    def complete(self) -> bool:
        """Whether no number is missing."""
        return self.found == self.expected


def compute(table: pd.DataFrame, runs: pd.DataFrame, config: Config) -> pd.DataFrame:
    """The averages of all numbers of ``table``, given all expected ``runs``."""
    rows = _for_each_average(table, runs, config)
    by = [*AXES, "inlier"]
    # Grouped several times below, and by one number sooner than by eight columns.
    rows = rows.assign(average=rows.groupby(by, sort=False).ngroup())
    pool = rows["flag"] == "incomplete"
    rows = rows[~pool | ~rows.groupby("average")["found"].transform("any")]
    groups = rows.groupby("average", sort=False)
    classes = rows.groupby(["average", "class"], sort=False)["value"].mean()
    of_classes = classes.groupby("average", sort=False)
    seeds = rows.groupby(["average", "seed"], sort=False)
    whole = seeds["value"].count() == seeds["per_seed"].first()
    seeds_of = {method: len(config.seeds_of(method)) for method in config.methods}
    first = groups[[*by, "per_seed", "classes"]].first()
    frame = first[by].assign(
        mean=of_classes.mean(),
        spread=seeds["value"].mean()[whole].groupby("average", sort=False).std(),
        found=groups["found"].sum(),
        expected=first["per_seed"] * first["method"].map(seeds_of),
        constant=groups["constant"].any(),
        lacking=of_classes.count() < first["classes"],
        beta_multiple=first["beta_multiple"].where(first["beta_multiple"] >= 0),
    )
    return frame.reset_index(drop=True)


def _for_each_average(table: pd.DataFrame, runs: pd.DataFrame, config: Config) -> pd.DataFrame:
    """Every number twice, for its class and for all classes, with how many there should be.

    ``inlier`` is then that of the average, ``class`` that of the number; ``classes`` and
    ``per_seed`` are how many classes the average has, and how many numbers of a seed.
    """
    rows = pd.concat([table, _oracle(table, layout.main_ratio(config))])
    rows = rows.assign(
        # NaN is no key; no multiple is negative.
        beta_multiple=rows["beta_multiple"].astype(float).fillna(-1.0),
        found=rows["value"].notna() & (rows["flag"] != "incomplete"),
        constant=rows["flag"] == "constant",
    )
    pooled = rows["inlier"] == AVERAGE
    classes = rows["dataset"].map(runs.groupby("dataset")["inlier"].nunique())
    rows = rows.assign(**{"class": rows["inlier"]})
    whole = rows.assign(inlier=AVERAGE, classes=classes.mask(pooled, 1).astype(int))
    both = pd.concat([whole, rows[~pooled].assign(classes=1)])
    folds = {dataset: len(settings.folds) for dataset, settings in config.datasets.items()}
    return both.assign(per_seed=both["dataset"].map(folds).astype(int) * both["classes"])


class Averages:
    """The averages, looked up by what they are of."""

    def __init__(self, frame: pd.DataFrame, runs: pd.DataFrame, config: Config) -> None:
        self._known: dict[Any, dict[int, Average]] = {}
        rows = frame[frame["beta_multiple"].isna()]
        names = [field.name for field in fields(Average)]
        keys, values = (rows[columns].itertuples(index=False, name=None) for columns in (OF, names))
        for key, inlier, value in zip(keys, rows["inlier"], values, strict=True):
            self._known.setdefault(key, {})[inlier] = Average(*value)
        self._nothing: dict[tuple[str, str], dict[int, Average]] = {}
        for (dataset, settings), method in product(config.datasets.items(), config.methods):
            classes = runs.loc[runs["dataset"] == dataset, "inlier"].unique().tolist()
            each = len(config.seeds_of(method)) * len(settings.folds)
            of_class = dict.fromkeys(classes, Average(expected=each))
            whole = Average(expected=each * len(classes))
            self._nothing[dataset, method] = {AVERAGE: whole, **of_class}

    def of(
        self,
        dataset: str,
        method: str,
        component: str,
        metric: str,
        outlier_ratio: float,
        model: str = "best",
    ) -> dict[int, Average]:
        """The average over all classes (``AVERAGE``), then over the runs of each class."""
        known = self._known.get((dataset, method, component, metric, outlier_ratio, model), {})
        return self._nothing[dataset, method] | known


def of_every_model(scored: pd.DataFrame) -> pd.DataFrame:
    """Rows of the runs that have scores of as many models as any of their series.

    A choice among fewer, where those on the way were not kept, would be of another kind.
    """
    series = ["dataset", "method", "component"]
    models = scored.groupby([*series, "fold", "inlier", "seed"])["model"].transform("nunique")
    most = models.groupby([scored[name] for name in series]).transform("max")
    return scored[models == most]


def _oracle(table: pd.DataFrame, outlier_ratio: float) -> pd.DataFrame:
    """Rows of the model ``oracle`` and of the metric ``gain``."""
    scored = of_every_model(
        table[
            (table["metric"] == "auroc")
            & (table["outlier_ratio"] == outlier_ratio)
            & table["beta_multiple"].isna()
        ]
    )
    run = ["dataset", "method", "component", "fold", "inlier", "seed"]
    ascending = scored.dropna(subset="value").sort_values("value", kind="stable")
    oracle = ascending.drop_duplicates(run, keep="last").assign(model="oracle")
    best = scored.loc[scored["model"] == "best", [*run, "value"]]
    both = oracle.merge(best, on=run, suffixes=("", "_of_best"))
    gain = both.assign(metric="gain", value=both["value"] - both["value_of_best"])
    return pd.concat([oracle, gain[oracle.columns]])
