"""What the runs of each method cost: ``cost.parquet``."""

from itertools import product
from typing import Any

import pandas as pd

from benchmark.config import Config
from benchmark.utils.text import span


def compute(runs: pd.DataFrame, config: Config) -> pd.DataFrame:
    """What the complete ``runs`` cost: a row per data set, method and device that they ran on.

    Returns:
        Of all runs of the method on the data set, the same in each of its rows: dataset, method,
        ``parameters``, ``epochs`` (least to most) and ``seeds`` as text, how many ``runs`` are
        complete and how many ``expected_runs`` there should be. Of those on one ``device``
        (empty where none is complete), how many there are, ``device_runs``, and their means:
        ``fit_seconds`` of a run, ``epoch_seconds`` of an epoch, ``score_milliseconds`` of a test
        image, ``memory_megabytes`` at most. Means are NaN where no run is complete.
    """
    groups: dict[Any, pd.DataFrame] = dict(iter(runs.groupby(["dataset", "method"])))
    rows: list[dict[str, Any]] = []
    for dataset, method in product(config.datasets, config.methods):
        group = groups.get((dataset, method), runs.iloc[:0])
        done = group[group["status"] == "complete"]
        of_all = {
            "dataset": dataset,
            "method": method,
            "parameters": done["parameters"].mean(),
            "epochs": span(done["epochs"]),
            "seeds": " ".join(str(seed) for seed in sorted(set(done["seed"]))),
            "runs": len(done),
            "expected_runs": len(group),
        }
        by_device = list(done.groupby(done["device"].fillna("").astype(str))) or [("", done)]
        rows += [{**of_all, "device": name, **_measured(on_it)} for name, on_it in by_device]
    return pd.DataFrame(rows)


def _measured(done: pd.DataFrame) -> dict[str, float]:
    """How many runs there are on a device, and the means of their times and memory."""
    trained = done[done["epochs"] > 0]
    return {
        "device_runs": len(done),
        "fit_seconds": done["fit_seconds"].mean(),
        "epoch_seconds": (trained["fit_seconds"] / trained["epochs"]).mean(),
        "score_milliseconds": 1000 * (done["score_seconds"] / done["n_scored"]).mean(),
        "memory_megabytes": done["memory_bytes"].mean() / 1e6,
    }


def by_method(cost: pd.DataFrame) -> dict[tuple[str, str], dict[str, Any]]:
    """What the rows have of all runs of a method on a data set: no times, no memory, no device.

    The keys are the data set and the method.
    """
    of, of_all = ["dataset", "method"], ["parameters", "epochs", "seeds", "runs", "expected_runs"]
    once = cost.drop_duplicates(of)
    keys, values = (once[columns].itertuples(index=False, name=None) for columns in (of, of_all))
    return {
        key: dict(zip(of_all, each, strict=True)) for key, each in zip(keys, values, strict=True)
    }
