"""The scores of a data set and method over all inlier classes: histograms and their overlap."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from benchmark.layout import RunKey
from benchmark.metrics.of_run import FINAL, SCHEMA, plain_scores, tested
from benchmark.scores import TestScores
from benchmark.statistics.intervals import Array
from benchmark.statistics.overlap import bin_edges, counts, overlap
from benchmark.statistics.roc import placements

POOLED = -1
"""The ``inlier`` of a number that is pooled over all inlier classes."""

OWNER = (
    *[(name, pa.string()) for name in ("dataset", "method")],
    *[(name, pa.int64()) for name in ("fold", "inlier")],
    ("class_name", pa.string()),
    ("seed", pa.int64()),
)
"""The columns that say which run or pool a number is of."""

NUMBERS = pa.schema([*OWNER, *SCHEMA])
"""The columns of ``metrics.parquet``."""

HISTOGRAMS = pa.schema(
    [
        *[(name, pa.string()) for name in ("dataset", "method")],
        *[(name, pa.int64()) for name in ("fold", "seed")],
        *[(name, pa.string()) for name in ("model", "component")],
        *[(name, pa.float64()) for name in ("outlier_ratio", "left", "right")],
        *[(name, pa.int64()) for name in ("inliers", "outliers")],
    ]
)
"""The columns of ``histograms.parquet``."""

Part = dict[tuple[str, str], tuple[Array, Array]]
"""What a pool needs of a run: scores of inliers and outliers by model and component."""

_Sides = dict[tuple[int, str], tuple[Array, Array]]
"""Scores of inliers and outliers by class, its index and name."""


class Tables(NamedTuple):
    """What a pool gives: rows of ``metrics.parquet`` and of ``histograms.parquet``."""

    numbers: pa.Table
    histograms: pa.Table


def part_of_run(
    models: Mapping[str, TestScores], weight: float, ratio: float, *, whole: bool = False
) -> Part:
    """The finite scores of a run's final models, with the share ``ratio`` of outliers.

    With ``whole`` they are those of every outlier. ``weight`` is that of the gradient loss in the
    run's anomaly score.
    """
    part = {}
    for model in models.keys() & set(FINAL):
        scores = models[model]
        plain = plain_scores(scores, weight)
        sides = scores.split(np.stack([*plain.values()]))
        for component, inliers, outliers in zip(plain, *sides, strict=True):
            some = outliers[: tested(inliers.size, outliers.size, ratio, whole=whole)]
            if np.isfinite(inliers).all() and np.isfinite(some).all():
                part[model, component] = inliers, some
    return part


class Pool:
    """The scores of one data set and method with the share ``ratio`` of outliers."""

    def __init__(self, dataset: str, method: str, ratio: float) -> None:
        self._owner, self._ratio = (dataset, method), ratio
        self._expected: Counter[tuple[int, int]] = Counter()
        self._parts: dict[tuple[str, str], dict[tuple[int, int], _Sides]] = {}
        """By model and component, fold and seed, then class."""

    def add(self, key: RunKey, class_name: str, part: Part) -> None:
        """Pool the scores of a run, if it has any; count its class."""
        self._expected[key.fold, key.seed] += 1
        for of, pair in part.items():
            sides = self._parts.setdefault(of, {}).setdefault((key.fold, key.seed), {})
            sides[key.inlier, class_name] = pair

    def tables(self) -> Tables:
        """Percentages of overlap, and counts per bin.

        The bins are those of all folds and seeds, for single classes too.
        """
        rows: list[tuple[Any, ...]] = []
        bins: list[pa.Table] = []
        for (model, component), parts in sorted(self._parts.items()):
            all_scores = [side for by in parts.values() for pair in by.values() for side in pair]
            edges = bin_edges(np.concatenate(all_scores))
            for (fold, seed), sides in sorted(parts.items()):
                by_class = {
                    key: np.array([counts(side, edges) for side in pair])
                    for key, pair in sides.items()
                }
                pooled = np.sum([*by_class.values()], axis=0)
                bins.append(self._histogram((fold, seed, model, component), edges, pooled))
                flag = "" if len(sides) == self._expected[fold, seed] else "incomplete"
                after = (seed, model, component, None, self._ratio)
                rows += [
                    (*self._owner, fold, *which, *after, metric, value, None, None, flag)
                    for *which, metric, value in _shares(sides, by_class, pooled)
                ]
        return Tables(_table(rows, NUMBERS), pa.concat_tables([_table([], HISTOGRAMS), *bins]))

    def _histogram(self, of: tuple[int, int, str, str], edges: Array, pooled: Array) -> pa.Table:
        head = [np.full(pooled.shape[-1], each) for each in (*self._owner, *of, self._ratio)]
        columns = [*head, edges[:-1], edges[1:], *pooled]
        return pa.table([*map(pa.array, columns)], names=HISTOGRAMS.names).cast(HISTOGRAMS)


def pool_key(ratio: float, whole: bool, runs: Iterable[tuple[RunKey, str, str]]) -> str:
    """A hash of what a pool is made from: key, class name and hash of the scores of each run."""
    parts = (ratio, whole, [(tuple(key), *rest) for key, *rest in runs])
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _shares(
    sides: _Sides, by_class: Mapping[tuple[int, str], Any], pooled: Any
) -> Iterator[tuple[int, str, str, float]]:
    """Class, its name, metric and value of what is measured of a fold and seed."""
    yield POOLED, "", "overlap", overlap(*pooled)
    yield POOLED, "", "pooled auroc", _pooled_auroc(sides)
    for (inlier, name), own in by_class.items():
        yield inlier, name, "class overlap", overlap(*own)
        yield inlier, name, "overlap without", overlap(*(pooled - own))


def _pooled_auroc(sides: _Sides) -> float:
    """AUROC of all classes' inliers against all their outliers."""
    inliers, outliers = (np.concatenate(side) for side in zip(*sides.values(), strict=True))
    return float(placements(inliers[np.newaxis], outliers[np.newaxis]).mean())


def _table(rows: list[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    arrays = [pa.array(each, kind.type) for each, kind in zip(columns, schema, strict=True)]
    return pa.table(arrays, schema=schema)
