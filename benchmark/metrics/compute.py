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
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmark import layout
from benchmark.config import Config
from benchmark.errors import InputError
from benchmark.metrics import averages, challenge_study, cost
from benchmark.scores import (
    Run,
    TestScores,
    collect,
    combined,
    gradient_weight,
    read_key,
    read_scores,
)
from benchmark.splits import outlier_count
from benchmark.statistics.overlap import bin_edges, counts, overlap
from benchmark.statistics.roc import delong_error, f1, outlier_error, placements
from benchmark.utils.files import atomic

Array = npt.NDArray[np.float64]

POOLED = -1
"""The ``inlier`` of a number that is pooled over all inlier classes."""

COLUMNS = (
    *("dataset", "method", "fold", "inlier", "class_name", "seed", "model", "component"),
    *("beta_multiple", "outlier_ratio", "metric", "value", "error"),
    *("outlier_error", "flag"),
)
HISTOGRAM_COLUMNS = (
    *("dataset", "method", "fold", "seed", "model", "component", "outlier_ratio"),
    *("left", "right", "inliers", "outliers"),
)
RUN_NUMBERS = (
    *("parameters", "epochs", "best_epoch"),
    *("fit_seconds", "score_seconds", "n_scored", "memory_bytes"),
)
RUN_COLUMNS = (
    *("dataset", "method", "fold", "inlier", "seed", "class_name", "status", "reason"),
    *("config", *RUN_NUMBERS),
    *("python", "torch", "platform", "cpu", "threads", "device", "commit"),
    *("split_sha256", "scores_sha256", "code_digest"),
)


@dataclass(frozen=True)
class Metrics:
    """All numbers of a configuration.

    ``table`` has the columns ``COLUMNS``; ``runs`` one row per expected run with its status,
    reason, hyperparameters (``config``, as JSON), epochs and cost; ``histograms`` the counts per
    bin; ``averages`` and ``cost`` are made by the modules of these names; ``provenance`` has the
    configuration's and the runs' hashes.
    """

    table: pd.DataFrame
    runs: pd.DataFrame
    histograms: pd.DataFrame
    averages: pd.DataFrame
    cost: pd.DataFrame
    provenance: dict[str, str]


def compute(config: Config, root: Path) -> Metrics:
    """All numbers of the runs under ``root`` (``results/<name>``)."""
    rows: list[tuple[Any, ...]] = []
    histograms: list[pd.DataFrame] = []
    runs: list[Run] = []
    expected = collect(config, root)
    asked = {"best", "last", *(f"epoch-{epoch}" for epoch in config.milestones)}
    for (dataset, method), group in groupby(expected, lambda run: run.key[:2]):
        pool = _Pool(dataset, method, config)
        for run in group:
            models: dict[str, TestScores] = {}
            if run.usable:
                run, every = read_scores(run)
                models = {name: scores for name, scores in every.items() if name in asked}
                rows += _numbers(run, models, config)
            pool.add(run, models)
            runs.append(run)
        for histogram, shares in pool.binned():
            histograms.append(histogram)
            rows += shares
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    bins = pd.concat(histograms) if histograms else pd.DataFrame(columns=list(HISTOGRAM_COLUMNS))
    run_table = _run_table(runs)
    return Metrics(
        table,
        run_table,
        bins,
        averages.compute(table, run_table, config),
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


def _numbers(run: Run, models: dict[str, TestScores], config: Config) -> Iterable[tuple[Any, ...]]:
    """The rows of one run."""
    main = layout.main_ratio(config)
    whole = config.datasets[run.key.dataset].protocol == "whole"
    head = (*run.key[:4], run.class_name, run.key.seed)
    weight = gradient_weight(run.manifest, config.beta)
    for model, scores in models.items():
        final = model in ("best", "last")
        columns = _columns(scores, weight, config, swept=final)
        names, values = list(columns), np.stack(list(columns.values()))
        inliers, outliers = scores.split(values)
        placed = placements(inliers, outliers)
        flags = _flags(values)
        # F1 is for the plain columns, which come first; milestones have only an AUROC.
        plain = sum(multiple is None for _, multiple in names) if final else 0
        for ratio in config.outlier_ratios if final and not whole else [main]:
            some_of = outlier_count(inliers.shape[-1], ratio)
            count = outliers.shape[-1] if whole else some_of
            enough = 0 < count <= outliers.shape[-1]
            taken = slice(count if enough else None)
            some = outliers[:plain, taken]
            errors = np.full((len(names), 2), np.nan)
            errors[:plain, 0] = delong_error(
                placements(some, inliers[:plain]), placed[:plain, taken]
            )
            errors[:plain, 1] = outlier_error(placed[:plain, taken])
            measured = {
                "auroc": (placed[:, taken].mean(axis=-1), errors),
                "f1": (f1(inliers[:plain], some), np.full((plain, 2), np.nan)),
            }
            for metric, values_and_errors in measured.items():
                parts = zip(names, flags, *values_and_errors, strict=False)
                for name, flag, value, error in parts:
                    if name[1] is None or ratio == main:
                        where = (*head, model, *name, ratio, metric)
                        number = float(value), error.tolist(), flag
                        yield (*where, *_checked(metric, *number, enough=enough))


def _checked(
    metric: str, value: float, errors: list[float], flag: str, *, enough: bool
) -> tuple[float | str | None, ...]:
    """The value and its two errors, or None where there is none to give, and the flag."""
    if flag == "not finite" or not enough:
        return None, None, None, flag or "too few outliers"
    return value, *errors, flag or ("below 0.5" if metric == "auroc" and value < 0.5 else "")


def _flags(values: Array) -> list[str]:
    """What is wrong with each row of scores, (C, N): a flag of the table, or empty."""
    return [
        "not finite" if not np.isfinite(row).all() else "constant" if np.ptp(row) == 0 else ""
        for row in values
    ]


def _columns(
    scores: TestScores, weight: float, config: Config, *, swept: bool
) -> dict[tuple[str, float | None], Array]:
    """Scores, (N,), by component and beta multiple: the components, the score, the sweep."""
    parts = scores.components
    columns: dict[tuple[str, float | None], Array | None] = {
        (name, None): values for name, values in parts.items() if name != "score"
    }
    columns["score", None] = combined(parts, weight)
    if swept and "gradient" in parts:
        for multiple in config.beta_multiples:
            columns["score", multiple] = combined(parts, multiple * config.alpha)
    return {name: values for name, values in columns.items() if values is not None}


_Sides = dict[tuple[int, str], tuple[Array, Array]]
"""Scores of inliers and outliers by class, its index and name."""


class _Pool:
    """The scores of one data set and method over all inlier classes, for the histograms."""

    def __init__(self, dataset: str, method: str, config: Config) -> None:
        self.owner = (dataset, method)
        self.config = config
        self.ratio = layout.main_ratio(config)
        self.whole = config.datasets[dataset].protocol == "whole"
        self.expected: Counter[tuple[int, int]] = Counter()
        self.parts: dict[tuple[str, str], dict[tuple[int, int], _Sides]] = {}
        """Scores of inliers and outliers by model, component, fold and seed, then class."""

    def add(self, run: Run, models: dict[str, TestScores]) -> None:
        """Pool the scores of a run's best and last models, if it has any; count its class."""
        self.expected[run.key.fold, run.key.seed] += 1
        for model in models.keys() & {"best", "last"}:
            scores, weight = models[model], gradient_weight(run.manifest, self.config.beta)
            columns = _columns(scores, weight, self.config, swept=False)
            for (component, _), values in columns.items():
                inliers, outliers = scores.split(values)
                if not self.whole:
                    outliers = outliers[: outlier_count(inliers.size, self.ratio)]
                if np.isfinite(inliers).all() and np.isfinite(outliers).all():
                    pooled = self.parts.setdefault((model, component), {})
                    sides = pooled.setdefault((run.key.fold, run.key.seed), {})
                    sides[run.key.inlier, run.class_name] = inliers, outliers

    def binned(self) -> Iterator[tuple[pd.DataFrame, list[tuple[Any, ...]]]]:
        """Counts per bin as a frame, and their percentages of overlap as rows of the table.

        One frame per model, component, fold and seed; the bins are those of all folds and seeds,
        for single classes too.
        """
        for (model, component), parts in sorted(self.parts.items()):
            all_scores = [side for by in parts.values() for pair in by.values() for side in pair]
            edges = bin_edges(np.concatenate(all_scores))
            for (fold, seed), sides in sorted(parts.items()):
                by_class = {
                    key: np.array([counts(side, edges) for side in pair])
                    for key, pair in sides.items()
                }
                inliers, outliers = pooled = np.sum([*by_class.values()], axis=0)
                head = (*self.owner, fold, seed, model, component, self.ratio)
                bins = zip(edges[:-1], edges[1:], inliers, outliers, strict=True)
                frame = pd.DataFrame([(*head, *b) for b in bins], columns=list(HISTOGRAM_COLUMNS))
                flag = "" if len(sides) == self.expected[fold, seed] else "incomplete"
                values = [
                    (POOLED, "", "overlap", overlap(inliers, outliers)),
                    (POOLED, "", "pooled auroc", _pooled_auroc(sides)),
                ]
                for (inlier, name), own in by_class.items():
                    values.append((inlier, name, "class overlap", overlap(*own)))
                    values.append((inlier, name, "overlap without", overlap(*(pooled - own))))
                after = (seed, model, component, None, self.ratio)
                yield (
                    frame,
                    [
                        (*self.owner, fold, *which, *after, metric, value, None, None, flag)
                        for *which, metric, value in values
                    ],
                )


def _pooled_auroc(sides: _Sides) -> float:
    """AUROC of all classes' inliers against all their outliers."""
    inliers, outliers = (np.concatenate(side) for side in zip(*sides.values(), strict=True))
    return float(placements(inliers[np.newaxis], outliers[np.newaxis]).mean())


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
