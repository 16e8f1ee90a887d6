"""From scores to numbers: AUROC, F1 and the overlap of histograms, one long tidy table.

``metrics.parquet`` has one row per number: dataset, method, fold, inlier, class_name, seed, model
(``best``, ``last``, ``epoch-<n>``), component, beta_multiple, outlier_ratio, metric, value, error,
outlier_error, flag. ``error`` is the standard error of an AUROC over test samples (DeLong; empty
elsewhere), ``outlier_error`` its part over test outliers alone.
The component ``score`` is the anomaly score; ``beta_multiple`` is set for the beta sweep only.
An ``overlap`` is pooled over the inlier classes (``inlier`` -1), as is ``pooled auroc``, its
direction; of each class there are the ``class overlap`` and the ``overlap without`` it.
``flag`` is empty, ``not finite`` (then there is no value), ``constant``, ``below 0.5``,
``too few outliers`` (no value) or, where a pool lacks classes, ``incomplete``.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from benchmark import layout
from benchmark.config import Config
from benchmark.errors import InputError
from benchmark.metrics import averages, challenge_study, cost, kept, of_method
from benchmark.metrics.pool import HISTOGRAMS, NUMBERS, Tables
from benchmark.metrics.stalled import stalled
from benchmark.scores import Run, collect, read_key
from benchmark.utils.files import atomic

KEPT = "metrics/kept/{}/{}"
"""The folder, below the results, of what is kept of a data set and method."""

RUN_NUMBERS = (
    *("parameters", "epochs", "best_epoch"),
    *("fit_seconds", "score_seconds", "n_scored", "memory_bytes"),
)
RUN_COLUMNS = (
    *("dataset", "method", "fold", "inlier", "seed", "class_name", "status", "reason"),
    *("config", *RUN_NUMBERS),
    *("python", "torch", "platform", "cpu", "threads", "device", "commit"),
    *("split_sha256", "scores_sha256", "code_digest", "stalled"),
)


@dataclass(frozen=True)
class Metrics:
    """All numbers of a configuration.

    ``table`` has the columns ``NUMBERS``; ``runs`` one row per expected run with its status,
    reason, hyperparameters (``config``, as JSON), epochs, cost, and whether its training stalled
    (``benchmark.metrics.stalled``); ``histograms`` the counts per bin; ``averages`` and ``cost``
    are made by the modules of these names; ``provenance`` has the configuration's and the runs'
    hashes.
    """

    table: pd.DataFrame
    runs: pd.DataFrame
    histograms: pd.DataFrame
    averages: pd.DataFrame
    cost: pd.DataFrame
    provenance: dict[str, str]

    @cached_property
    def cost_by_method(self) -> dict[tuple[str, str], dict[str, Any]]:
        """What all runs of a method on a data set have in common: ``cost.by_method``."""
        return cost.by_method(self.cost)


def compute(config: Config, root: Path) -> Metrics:
    """All numbers of the runs under ``root`` (``results/<name>``).

    What was computed before is kept in ``root/metrics/kept`` and computed again only if scores,
    settings or code are others (``benchmark.metrics.kept``).
    """
    code = kept.code_key()
    runs: list[Run] = []
    tables = [Tables(NUMBERS.empty_table(), HISTOGRAMS.empty_table())]
    for key, group in groupby(collect(config, root), lambda run: run.key[:2]):
        folder = root / KEPT.format(*key)
        of_runs, of_tables = of_method.compute([*group], config, folder, code)
        runs += of_runs
        if of_tables.numbers.num_rows:
            tables.append(of_tables)
    run_table = _run_table(runs)
    # Of one data set and method at a time: their making needs ten times the memory of the numbers.
    means = [averages.compute(each.numbers.to_pandas(), run_table, config) for each in tables]
    table, bins = (pa.concat_tables(parts).to_pandas() for parts in zip(*tables, strict=True))
    return Metrics(
        table,
        run_table,
        bins,
        pd.concat(means, ignore_index=True),
        cost.compute(run_table, config),
        _provenance(runs, config),
    )


def write(config: Config, root: Path) -> None:
    """Compute all numbers, the challenge study's too, and write them under ``root/metrics``."""
    metrics = compute(config, root)
    *tables, provenance = (Path(path) for path in layout.metrics(config, root))
    *frames, _ = (getattr(metrics, field.name) for field in fields(Metrics))
    for path, frame in zip(tables, frames, strict=True):
        with atomic(path) as beside:
            frame.to_parquet(beside, index=False)
    with atomic(provenance) as beside:
        beside.write_text(json.dumps(metrics.provenance, indent=2) + "\n")
    challenge_study.write(config, root)


def load(config: Config, root: Path) -> Metrics:
    """What ``write`` wrote; ``InputError`` unless it was computed with the same settings."""
    *tables, provenance = (Path(path) for path in layout.metrics(config, root))
    if read_key(provenance, "config_sha256") != _config_sha256(config):
        raise InputError(
            f"{provenance}: these metrics were computed with other settings; "
            "run `snakemake all` or `python -m benchmark reanalyse` with these again"
        )
    table, runs, histograms, means, costs = (pd.read_parquet(path) for path in tables)
    return Metrics(table, runs, histograms, means, costs, json.loads(provenance.read_text()))


def _run_table(runs: Sequence[Run]) -> pd.DataFrame:
    rows = []
    for run in runs:
        manifest = run.manifest
        seconds = manifest.get("seconds") or {}
        values = {
            **(manifest.get("facts") or {}),
            **(manifest.get("environment") or {}),
            **manifest,
            "config": json.dumps(manifest.get("config") or {}, sort_keys=True),
            **{f"{step}_seconds": seconds.get(step) for step in ("fit", "score")},
            **run.key._asdict(),
            **{name: getattr(run, name) for name in ("class_name", "status", "reason")},
            "stalled": run.usable and stalled(run.directory),
        }
        rows.append([values.get(name) for name in RUN_COLUMNS])
    frame = pd.DataFrame(rows, columns=list(RUN_COLUMNS))
    return frame.astype(dict.fromkeys(RUN_NUMBERS, "float64"))


def _provenance(runs: Sequence[Run], config: Config) -> dict[str, str]:
    """What the numbers were made from; equal hashes mean equal numbers.

    ``commit`` names those that the complete runs were made at, ``+`` after one with changes.
    """
    hashes = ("scores_sha256", "epochs_sha256", "code_digest")
    lines = "\n".join(
        " ".join([run.key.path, run.status, *(str(run.manifest.get(name)) for name in hashes)])
        for run in runs
    )
    environments = (run.manifest.get("environment") or {} for run in runs if run.usable)
    commits = {str(each.get("commit") or "unknown") for each in environments}
    return {
        "commit": " ".join(sorted(commits)) or "unknown",
        "config": config.name,
        "config_sha256": _config_sha256(config),
        "runs_sha256": hashlib.sha256(lines.encode()).hexdigest(),
    }


def _config_sha256(config: Config) -> str:
    # Where images and results lie is no part of what was run: runs name their split by its hash.
    settings = config.model_dump(
        mode="json", exclude={"results": True, "datasets": {"__all__": {"path"}}}
    )
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def stamp(provenance: Mapping[str, str]) -> str:
    """One line that says which configuration and which scores a file was made from."""
    return ", ".join(f"{name} {value}" for name, value in provenance.items())
