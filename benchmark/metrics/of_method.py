"""The numbers of all runs of a data set and method, and of their pool; each is computed once.

Numbers are kept by a hash of the settings and of the scores that they are of, which are read and
hashed every time.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from benchmark import layout
from benchmark.config import Config
from benchmark.metrics import kept
from benchmark.metrics.of_run import SCHEMA, Settings, numbers
from benchmark.metrics.pool import NUMBERS, OWNER, Part, Pool, Tables, part_of_run, pool_key
from benchmark.scores import Run, TestScores, gradient_weight, models_in, verified

NO_NUMBERS = SCHEMA.empty_table()
"""The numbers of a run without scores."""


class OfMethod(NamedTuple):
    """All runs, those without readable scores refused, and their numbers."""

    runs: list[Run]
    tables: Tables


def compute(expected: Sequence[Run], config: Config, folder: Path, code: str) -> OfMethod:
    """The numbers of runs and of their pool.

    Args:
        expected: all runs of one data set and method.
        config: of the runs.
        folder: where numbers are kept.
        code: a key of the code that computes them.
    """
    file = folder / "runs.arrow"
    before = _by_key(kept.read(file, code))
    measured = [_of_run(run, config, before) for run in expected]
    parts = {each.key: each.numbers for each in measured if each.key}
    if parts.keys() != before.keys():
        kept.write(file, code, _keyed(parts))
    pooled = _pool(measured, config, folder, code)
    rows = pa.concat_tables([_with_owners(measured), pooled.numbers])
    return OfMethod([each.run for each in measured], Tables(rows, pooled.histograms))


class _Measured(NamedTuple):
    """A run, refused if its scores are not readable, and its numbers.

    Without scores the key is empty. ``part`` is what is pooled, unless the numbers were kept.
    """

    run: Run
    key: str
    numbers: pa.Table
    part: Part | None


def _of_run(run: Run, config: Config, before: Mapping[str, pa.Table]) -> _Measured:
    run, files = verified(run) if run.usable else (run, {})
    if files:
        settings = _settings(run, config)
        key = settings.key(files)
        if key in before:
            return _Measured(run, key, before[key], None)
        run, models = models_in(run, files)
        if run.usable:
            return _Measured(run, key, numbers(models, settings), _part(models, settings))
    return _Measured(run, "", NO_NUMBERS, {})


def _settings(run: Run, config: Config) -> Settings:
    return Settings(
        tuple(config.outlier_ratios),
        layout.main_ratio(config),
        config.alpha,
        tuple(config.beta_multiples),
        ("best", "last", *(f"epoch-{epoch}" for epoch in config.milestones)),
        gradient_weight(run.manifest, config.beta),
        config.datasets[run.key.dataset].whole,
    )


def _part(models: Mapping[str, TestScores], settings: Settings) -> Part:
    """What is pooled of a run."""
    return part_of_run(models, settings.weight, settings.main_ratio, whole=settings.whole)


def _keyed(parts: Mapping[str, pa.Table]) -> pa.Table:
    """The numbers of runs as they are kept, with the key of each run."""
    of = np.repeat(np.arange(len(parts)), [len(part) for part in parts.values()])
    rows = pa.concat_tables([NO_NUMBERS, *parts.values()])
    return rows.append_column("key", pa.array([*parts], pa.string()).take(pa.array(of)))


def _by_key(table: pa.Table | None) -> dict[str, pa.Table]:
    """The numbers of each run from what was kept."""
    if table is None:
        return {}
    keys = table["key"].combine_chunks().dictionary_encode()
    # The rows of a run follow each other.
    begins = np.flatnonzero(np.diff(keys.indices.to_numpy(), prepend=-1))
    lengths = np.diff(begins, append=len(table))
    rows = table.drop_columns("key")
    slices = zip(begins.tolist(), lengths.tolist(), strict=True)
    names = keys.dictionary.to_pylist()
    return {name: rows.slice(*part) for name, part in zip(names, slices, strict=True)}


def _pool(measured: Sequence[_Measured], config: Config, folder: Path, code: str) -> Tables:
    """The tables of the pool of some runs."""
    ratio = layout.main_ratio(config)
    whole = config.datasets[measured[0].run.key.dataset].whole

    def key_of(keys: Iterable[str]) -> str:
        runs = (each.run for each in measured)
        parts = ((run.key, run.class_name, key) for run, key in zip(runs, keys, strict=True))
        return f"{code} {pool_key(ratio, whole, parts)}"

    files = [folder / "pool.arrow", folder / "histograms.arrow"]
    key = key_of(one.key for one in measured)
    numbers, histograms = (kept.read(file, key) for file in files)
    if numbers is not None and histograms is not None:
        return Tables(numbers, histograms)
    pool, keys = Pool(*measured[0].run.key[:2], ratio), []
    for run, key, _, part in measured:
        if part is None:
            # They may have changed since they were hashed: the pool is kept by what is in it.
            settings, (_, content) = _settings(run, config), verified(run)
            key, part = settings.key(content), _part(models_in(run, content)[1], settings)
        pool.add(run.key, run.class_name, part)
        keys.append(key)
    tables = pool.tables()
    for file, table in zip(files, tables, strict=True):
        kept.write(file, key_of(keys), table)
    return tables


def _with_owners(measured: Sequence[_Measured]) -> pa.Table:
    """The numbers of runs with the columns that say which run they are of."""
    runs = [each.run for each in measured]
    owners = [(*run.key[:4], run.class_name, run.key.seed) for run in runs]
    kinds = zip(zip(*owners, strict=True), OWNER, strict=True)
    columns = [pa.array(values, kind) for values, (_, kind) in kinds]
    of = pa.array(np.repeat(np.arange(len(runs)), [len(each.numbers) for each in measured]))
    rows = pa.concat_tables([each.numbers for each in measured])
    return pa.table([*(column.take(of) for column in columns), *rows.columns], schema=NUMBERS)
