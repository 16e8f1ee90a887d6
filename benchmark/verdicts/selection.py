"""How far the choice of the model moves a number: last epoch, best validation loss, best on test.

The last is an oracle (``metrics.averages``): it shows how much of a published number selection
alone could explain.
"""

from typing import Any, Literal

import numpy as np
import pandas as pd

from benchmark.layout import main_ratio
from benchmark.metrics.averages import Averages
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
    config, table = reproduced.config, reproduced.metrics.table
    averages = Averages(reproduced.metrics.averages, reproduced.metrics.runs, config)
    ratio = main_ratio(config)
    main = table[(table["metric"] == "auroc") & (table["outlier_ratio"] == ratio)]
    series = ["dataset", "method", "component"]
    by_run = (
        distinct(main, reproduced.metrics.runs)
        .groupby([*series, "fold", "inlier", "seed"])["model"]
        .nunique()
    )
    models = by_run.groupby(series).max().to_dict()

    def row(dataset: str, method: str, component: str) -> dict[str, Any]:
        of = (dataset, method, component)
        by_rule = {rule: averages.of(*of, "auroc", ratio, rule)[AVERAGE] for rule in RULES}
        lacking = any(average.lacking for average in by_rule.values())
        values = find(published, data_source(config, dataset), method, component, "AUROC")
        printed = comparable(values, config, dataset, lacking=lacking).get(AVERAGE)
        return {
            **dict(zip(series, of, strict=True)),
            **{rule: average.mean for rule, average in by_rule.items()},
            **{f"{rule}_spread": average.spread for rule, average in by_rule.items()},
            **{f"{rule}_found": average.found for rule, average in by_rule.items()},
            **{f"{rule}_constant": average.constant for rule, average in by_rule.items()},
            "expected": by_rule["best"].expected,
            "gain": averages.of(*of, "gain", ratio, "oracle")[AVERAGE].mean,
            "models": models.get(of, 0),
            "published": printed.value if printed else np.nan,
            "published_recalled": printed.recalled if printed else None,
        }

    return pd.DataFrame(
        [
            row(dataset, method, component)
            for dataset in config.datasets
            for method in config.methods
            for component in reproduced.components(dataset, method, published)
        ]
    )


def distinct(
    scored: pd.DataFrame, runs: pd.DataFrame, keep: Literal["last", "milestone"] = "milestone"
) -> pd.DataFrame:
    """Rows of ``metrics`` in which the model of a run's last epoch stands once.

    It is ``last``, and a milestone's too where one is at the last epoch.
    """
    key = ["dataset", "method", "fold", "inlier", "seed"]
    names = scored[[*key, "model"]].merge(runs[[*key, "epochs"]], on=key, how="left")
    final = "epoch-" + names["epochs"].fillna(0).astype(int).astype(str)
    is_final, is_last = names["model"] == final, names["model"] == "last"
    other = is_last if keep == "milestone" else is_final
    both = [pd.MultiIndex.from_frame(names.loc[rows, key]) for rows in (is_final, is_last)]
    own = pd.MultiIndex.from_frame(names[key])
    return scored[~(other.to_numpy() & own.isin(both[0]) & own.isin(both[1]))]
