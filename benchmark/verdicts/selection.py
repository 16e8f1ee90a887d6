"""How far the choice of the model moves a number: last epoch, best validation loss, best on test.

The last is an oracle: of all models that were scored, each run takes the one of the highest AUROC
on its own test set. It needs the test labels, so it is no result; it shows how much of a published
number selection alone could explain.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmark.config import Config
from benchmark.layout import MAIN_RATIO
from benchmark.metrics.averages import by_class, estimate, spread_out
from benchmark.published import AVERAGE, Published, comparable, data_source, find
from benchmark.verdicts.reproduced import Reproduced

RULES = ("last", "best", "oracle")
"""The last epoch's model, that of the best validation loss, and the best on the test set."""


def frame(reproduced: Reproduced, published: tuple[Published, ...]) -> pd.DataFrame:
    """Average AUROC over the inlier classes by each rule, a row per data set, method, component.

    Returns:
        A frame of dataset, method, component, then of each rule its mean, its spread over seeds,
        ``<rule>_found`` of ``expected`` runs and whether one of them has constant scores;
        ``models`` is the largest number of models of a run that the oracle had the choice of,
        ``gain`` the oracle's mean minus that of the best validation loss, over the runs that have
        both. The published average is NaN where a class is missing.
    """
    table = reproduced.metrics.table
    main = table[
        (table["metric"] == "auroc")
        & (table["outlier_ratio"] == MAIN_RATIO)
        & table["beta_multiple"].isna()
    ]
    groups = dict(iter(main.groupby(["dataset", "method", "component"], sort=False)))
    return pd.DataFrame(
        [
            _row(reproduced, series, groups.get(series, main.iloc[:0]), published)
            for dataset in reproduced.config.datasets
            for method in reproduced.config.methods
            for component in reproduced.components(dataset, method, published)
            for series in [(dataset, method, component)]
        ]
    )


def _row(
    reproduced: Reproduced,
    series: tuple[str, str, str],
    scored: pd.DataFrame,
    published: Sequence[Published],
) -> dict[str, Any]:
    dataset, method, component = series
    config, classes = reproduced.config, list(reproduced.classes(dataset))
    parts = _by_rule(scored)
    estimates = {rule: by_class(part, config, dataset, classes) for rule, part in parts.items()}
    average = {rule: by_inlier[AVERAGE] for rule, by_inlier in estimates.items()}
    lacking = not all(each.found for by_inlier in estimates.values() for each in by_inlier.values())
    values = find(published, data_source(config, dataset), method, component, "AUROC")
    printed = comparable(values, config, dataset, lacking=lacking).get(AVERAGE)
    return {
        "dataset": dataset,
        "method": method,
        "component": component,
        **{f"{rule}": average[rule].mean for rule in RULES},
        **{f"{rule}_spread": average[rule].spread for rule in RULES},
        **{f"{rule}_found": average[rule].found for rule in RULES},
        **{f"{rule}_constant": average[rule].constant for rule in RULES},
        "expected": average["best"].expected,
        "gain": _gain(parts, config, dataset, classes),
        "models": _choice(scored),
        "published": printed.value if printed else np.nan,
        "published_recalled": printed.recalled if printed else None,
    }


def _by_rule(scored: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of the models that each rule chooses."""
    run = ["method", "fold", "inlier", "seed"]
    best = scored.dropna(subset="value").sort_values("value").drop_duplicates(run, keep="last")
    return {
        "last": scored[scored["model"] == "last"],
        "best": scored[scored["model"] == "best"],
        "oracle": best,
    }


def _gain(
    parts: Mapping[str, pd.DataFrame], config: Config, dataset: str, classes: Sequence[int]
) -> float:
    """What the oracle's choice adds to that of the best validation loss."""
    folds = config.datasets[dataset].folds
    oracle, best = (
        spread_out(parts[rule], config.seeds, folds, classes) for rule in ("oracle", "best")
    )
    return estimate(oracle - best).mean


def _choice(scored: pd.DataFrame) -> int:
    """How many models the run with most of them has; the best may be one of the milestones'."""
    if scored.empty:
        return 0
    return int(scored.groupby(["fold", "inlier", "seed"])["model"].nunique().max())
