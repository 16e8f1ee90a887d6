"""How far the choice of the model moves a number: last epoch, best validation loss, best on test.

The last is an oracle: of all models that were scored, each run takes the one of the highest AUROC
on its own test set. Nobody can choose so without the test labels, so it is no result; it tells how
much of a published number selection alone could explain.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from benchmark.config import Config
from benchmark.evidence import Evidence, Quantity
from benchmark.published import AVERAGE, Published, data_source, find
from benchmark.summary import Estimate, by_class

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
        A frame of dataset, method, component, then of each rule its mean, its spread over seeds
        and ``<rule>_found`` of ``expected`` runs; ``models`` is the largest number of models of a
        run that the oracle had the choice of, ``gain`` the oracle's mean minus that of the best
        validation loss.
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
    records = []
    for method, components in methods.items():
        for component in components:
            scored = groups.get((method, component), mine.iloc[:0])
            found = _by_rule(scored, known.config, dataset, list(known.classes(dataset)))
            source = data_source(known.config, dataset)
            stated = find(published, source, method, component, "AUROC").get(AVERAGE)
            records.append(
                {
                    "dataset": dataset,
                    "method": method,
                    "component": component,
                    **{f"{rule}": found[rule].mean for rule in RULES},
                    **{f"{rule}_spread": found[rule].spread for rule in RULES},
                    **{f"{rule}_found": found[rule].found for rule in RULES},
                    "expected": found["best"].expected,
                    "gain": found["oracle"].mean - found["best"].mean,
                    "models": _choice(scored),
                    "published": stated.value if stated else np.nan,
                    "published_recalled": stated.recalled if stated else None,
                }
            )
    return pd.DataFrame(records)


def _by_rule(
    scored: pd.DataFrame, config: Config, dataset: str, classes: Sequence[int]
) -> dict[str, Estimate]:
    run = ["method", "fold", "inlier", "seed"]
    best = scored.dropna(subset="value").sort_values("value").drop_duplicates(run, keep="last")
    chosen = {
        "last": scored[scored["model"] == "last"],
        "best": scored[scored["model"] == "best"],
        "oracle": best,
    }
    return {
        rule: by_class(part, config, dataset, classes)[AVERAGE] for rule, part in chosen.items()
    }


def _choice(scored: pd.DataFrame) -> int:
    """How many models the run with most of them has; the best may be one of the milestones'."""
    if scored.empty:
        return 0
    return int(scored.groupby(["fold", "inlier", "seed"])["model"].nunique().max())
