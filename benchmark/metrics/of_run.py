"""The numbers of one run: AUROC and F1 of its models, a row per number."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from benchmark.scores import ScoreFile, TestScores, combined
from benchmark.splits import outlier_count
from benchmark.statistics.intervals import Array
from benchmark.statistics.roc import Ranked, delong_error, outlier_error, placements

FINAL = ("best", "last")
"""The models that all numbers are of; those of milestones have an AUROC only."""

SCHEMA = pa.schema(
    [
        *[(name, pa.string()) for name in ("model", "component")],
        *[(name, pa.float64()) for name in ("beta_multiple", "outlier_ratio")],
        ("metric", pa.string()),
        *[(name, pa.float64()) for name in ("value", "error", "outlier_error")],
        ("flag", pa.string()),
    ]
)
"""The columns of ``numbers``, as ``metrics.parquet`` has them."""


class Settings(NamedTuple):
    """What the numbers of a run depend on beside its scores; the names are the configuration's.

    ``main_ratio`` is the share of outliers of all numbers but those by outlier ratio, ``weight``
    that of the gradient loss in the run's anomaly score, and ``models`` are those asked for. With
    ``whole`` every outlier is tested, whatever the ratio (protocol ``whole``).
    """

    outlier_ratios: tuple[float, ...]
    main_ratio: float
    alpha: float
    beta_multiples: tuple[float, ...]
    models: tuple[str, ...]
    weight: float
    whole: bool = False

    def key(self, files: Mapping[str, ScoreFile]) -> str:
        """A hash of these settings and of scores: equal ones have equal numbers."""
        hashes = [(name, file.sha256) for name, file in files.items()]
        return hashlib.sha256(repr((tuple(self), hashes)).encode()).hexdigest()


def numbers(models: Mapping[str, TestScores], settings: Settings) -> pa.Table:
    """The numbers of a run's models, those asked for, with the columns ``SCHEMA``."""
    asked = ((name, scores) for name, scores in models.items() if name in settings.models)
    rows = [row for name, scores in asked for row in _of_model(name, scores, settings)]
    columns = zip(*rows, strict=True) if rows else [()] * len(SCHEMA)
    arrays = [pa.array(each, kind.type) for each, kind in zip(columns, SCHEMA, strict=True)]
    return pa.table(arrays, schema=SCHEMA)


def tested(inliers: int, outliers: int, ratio: float, *, whole: bool) -> int:
    """How many of the outliers stand against so many inliers: every one if ``whole``."""
    return outliers if whole else outlier_count(inliers, ratio)


def plain_scores(scores: TestScores, weight: float) -> dict[str, Array]:
    """The scores of each component, (N,), and last the anomaly score, if the method has one."""
    parts = {name: values for name, values in scores.components.items() if name != "score"}
    score = combined(scores.components, weight)
    return parts if score is None else parts | {"score": score}


_Row = tuple[float | str | None, ...]
"""The values of ``SCHEMA``."""


def _of_model(model: str, scores: TestScores, settings: Settings) -> Iterator[_Row]:
    final = model in FINAL
    plain = plain_scores(scores, settings.weight)
    values = np.stack([*plain.values()])
    inliers, outliers = scores.split(values)
    ranked, flags = Ranked(inliers, outliers), _flags(values)
    placed = ranked.of_outliers()
    by_ratio = final and not settings.whole
    for ratio in settings.outlier_ratios if by_ratio else [settings.main_ratio]:
        wanted = tested(inliers.shape[-1], outliers.shape[-1], ratio, whole=settings.whole)
        enough = 0 < wanted <= outliers.shape[-1]
        count = wanted if enough else outliers.shape[-1]
        some = placed[:, :count]
        errors = np.full((2, len(plain)), np.nan)
        if final:
            errors[:] = delong_error(ranked.of_inliers(count), some), outlier_error(some)
        about = zip(plain, flags, some.mean(axis=-1).tolist(), *errors.tolist(), strict=True)
        for name, flag, auroc, *error in about:
            numbers = _checked("auroc", auroc, error, flag, enough=enough)
            yield model, name, None, ratio, "auroc", *numbers
        if final and ratio == settings.main_ratio:
            for multiple, auroc, flag in _sweep(scores, settings, count):
                numbers = _checked("auroc", auroc, (np.nan, np.nan), flag, enough=enough)
                yield model, "score", multiple, ratio, "auroc", *numbers
        if final:
            for name, flag, value in zip(plain, flags, ranked.f1(count).tolist(), strict=True):
                numbers = _checked("f1", value, (np.nan, np.nan), flag, enough=enough)
                yield model, name, None, ratio, "f1", *numbers


def _sweep(
    scores: TestScores, settings: Settings, count: int
) -> Iterator[tuple[float, float, str]]:
    """Beta multiple, AUROC with the first ``count`` outliers and flag, if there is a gradient."""
    weights = [multiple * settings.alpha for multiple in settings.beta_multiples]
    rows = [combined(scores.components, weight) for weight in weights]
    swept = [row for row in rows if row is not None and "gradient" in scores.components]
    if not swept:
        return
    values = np.stack(swept)
    aurocs = placements(*scores.split(values))[:, :count].mean(axis=-1)
    yield from zip(settings.beta_multiples, aurocs.tolist(), _flags(values), strict=True)


def _checked(
    metric: str, value: float, errors: Sequence[float], flag: str, *, enough: bool
) -> tuple[float | str | None, ...]:
    """The value and its two errors, or None where there is none to give, and the flag."""
    if flag == "not finite" or not enough:
        return None, None, None, flag or "too few outliers"
    return value, *errors, flag or ("below 0.5" if metric == "auroc" and value < 0.5 else "")


def _flags(values: Array) -> list[str]:
    """What is wrong with each row of scores, (C, N): a flag of the table, or empty."""
    finite = np.isfinite(values).all(axis=-1)
    constant = values.min(axis=-1) == values.max(axis=-1)
    flags = np.where(finite, np.where(constant, "constant", ""), "not finite")
    return [str(flag) for flag in flags]
