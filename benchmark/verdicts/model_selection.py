"""How far the choice of the model moves a number: last epoch, best validation loss, best on test.

The last is an oracle: of all models that were scored, each run takes the one of the highest AUROC
on its own test set. Nobody can choose so without the test labels, so it is no result; it tells how
much of a published number selection alone could explain.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from benchmark.config import Config
from benchmark.metrics.averages import by_class, estimate, spread_out
from benchmark.published import AVERAGE, Published, comparable, data_source, find
from benchmark.verdicts.reproduced import Evidence, Quantity

RULES = ("last", "best", "oracle")
"""The last epoch's model, that of the best validation loss, and the best on the test set."""


def rows(
    known: Evidence,
    dataset: str,
    methods: Mapping[str, Sequence[str]],
    published: Sequence[Published],
) -> pd.DataFrame:
    """Average AUROC over the inlier classes by each rule, one row per method and component.

    Args:
        known: the numbers.
        dataset: key of the data set.
        methods: components of each method.
        published: for the published average beside.

    Returns:
        A frame of dataset, method, component, then of each rule its mean, its spread over seeds,
        ``<rule>_found`` of ``expected`` runs and whether one of them has constant scores;
        ``models`` is the largest number of models of a run that the oracle had the choice of,
        ``gain`` the oracle's mean minus that of the best validation loss, over the runs that have
        both. The published average is NaN where a class is missing.
    """
    table = known.found.table
    ratio = Quantity(dataset, "").ratio
    mine = table[
        (table["dataset"] == dataset)
        & (table["metric"] == "auroc")
        & (table["outlier_ratio"] == ratio)
        & table["beta_multiple"].isna()
    ]
    groups = dict(iter(mine.groupby(["method", "component"], sort=False)))
    source, classes = data_source(known.config, dataset), list(known.classes(dataset))
    records = []
    for method, components in methods.items():
        for component in components:
            scored = groups.get((method, component), mine.iloc[:0])
            parts = _by_rule(scored)
            by_rule = {
                rule: by_class(part, known.config, dataset, classes) for rule, part in parts.items()
            }
            found = {rule: each[AVERAGE] for rule, each in by_rule.items()}
            lacking = not all(each.found for ours in by_rule.values() for each in ours.values())
            values = find(published, source, method, component, "AUROC")
            stated = comparable(values, known.config, dataset, lacking=lacking).get(AVERAGE)
            records.append(
                {
                    "dataset": dataset,
                    "method": method,
                    "component": component,
                    **{f"{rule}": found[rule].mean for rule in RULES},
                    **{f"{rule}_spread": found[rule].spread for rule in RULES},
                    **{f"{rule}_found": found[rule].found for rule in RULES},
                    **{f"{rule}_constant": found[rule].constant for rule in RULES},
                    "expected": found["best"].expected,
                    "gain": _gain(parts, known.config, dataset, classes),
                    "models": _choice(scored),
                    "published": stated.value if stated else np.nan,
                    "published_recalled": stated.recalled if stated else None,
                }
            )
    return pd.DataFrame(records)


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
