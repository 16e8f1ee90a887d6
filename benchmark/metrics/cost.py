"""What the runs of each method cost: ``cost.parquet``."""

from itertools import product
from typing import Any

import pandas as pd

from benchmark.config import Config
from benchmark.utils.text import span


def compute(runs: pd.DataFrame, config: Config) -> pd.DataFrame:
    """A row per data set and method of the configuration, means over its complete ``runs``.

    Returns:
        Columns dataset, method, ``parameters``, ``epochs`` (least to most) and ``seeds`` as text,
        ``fit_seconds`` of a run, ``epoch_seconds`` of an epoch, ``score_milliseconds`` of a test
        image, ``memory_megabytes`` at most, names of the ``device``, how many ``runs`` are complete
        and how many ``expected_runs`` there should be. Means are NaN where none is.
    """
    groups: dict[Any, pd.DataFrame] = dict(iter(runs.groupby(["dataset", "method"])))
    rows = []
    for dataset, method in product(config.datasets, config.methods):
        group = groups.get((dataset, method), runs.iloc[:0])
        done = group[group["status"] == "complete"]
        trained = done[done["epochs"] > 0]
        rows.append(
            {
                "dataset": dataset,
                "method": method,
                "parameters": done["parameters"].mean(),
                "epochs": span(done["epochs"]),
                "seeds": " ".join(str(seed) for seed in sorted(set(done["seed"]))),
                "fit_seconds": done["fit_seconds"].mean(),
                "epoch_seconds": (trained["fit_seconds"] / trained["epochs"]).mean(),
                "score_milliseconds": 1000 * (done["score_seconds"] / done["n_scored"]).mean(),
                "memory_megabytes": done["memory_bytes"].mean() / 1e6,
                "device": ", ".join(sorted({str(name) for name in done["device"].dropna()})),
                "runs": len(done),
                "expected_runs": len(group),
            }
        )
    return pd.DataFrame(rows)


def of_method(cost: pd.DataFrame, dataset: str, method: str) -> "pd.Series[Any]":
    """The row of a data set and method."""
    ((_, row),) = cost[(cost["dataset"] == dataset) & (cost["method"] == method)].iterrows()
    return row
