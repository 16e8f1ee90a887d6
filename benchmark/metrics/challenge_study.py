"""The challenge study: how well each loss separates challenged from clean signs (the paper's A.4).

Computed from the runs' ``scores.parquet``: the label of a test image is its condition. One row per
challenge type, level, method and loss, and one per difference of two methods' losses. The interval
of a number is over test images and training seeds. The images of one sign are not independent, and
each clean image has its challenged counterparts in the same test set, so the variance over images
is that of clustered data (Obuchowski, Biometrics 1997), a cluster being all images of one sign.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmark import layout
from benchmark.config import Config
from benchmark.data.challenges.selection import Selection
from benchmark.data.prepared import GROUPS
from benchmark.scores import TestScores, collect, read_scores
from benchmark.statistics import replicates
from benchmark.statistics.roc import placements
from benchmark.utils.files import atomic

Array = npt.NDArray[np.float64]
Ids = npt.NDArray[np.intp]

STAND_IN = "gtsrb_challenges"
"""The source of the data sets that stand in for CURE-TSR."""


class Loss(NamedTuple):
    """A score component of a method."""

    method: str
    component: str


_NONE = Loss("", "")
PAIRS = (
    (Loss("cae_grad", "gradient"), Loss("cae", "reconstruction")),
    (Loss("vae_grad", "gradient"), Loss("vae", "reconstruction")),
    (Loss("vae_grad", "gradient"), Loss("vae", "latent")),
)
"""The differences, the first less the second; the first pair is the paper's."""

COLUMNS = (
    *("dataset", "images", "challenge", "level", "method", "component"),
    *("against_method", "against_component", "value", "low", "high"),
    *("p_not_above", "seeds", "missing_seeds", "inliers", "outliers", "clusters", "clustered"),
)
"""``against_*`` are empty for an AUROC, and name the second loss of a difference, of which
``p_not_above`` is the one-sided p-value. ``seeds`` is how many there are; ``missing_seeds`` are the
configured ones without a run, such as ``1 2``."""


class Influence(NamedTuple):
    """An AUROC and how much each cluster of test images moves it, (G,), in sum 0."""

    auroc: float
    of_cluster: Array


_ZERO = Influence(0.0, np.zeros(1))
"""What an AUROC alone is the difference to."""


class Part(NamedTuple):
    """Images of the test set: ``inliers`` clean ones, then those of one condition.

    ``rows`` are their places in the test set and ``cluster`` their clusters, 0 to G - 1, (n + m,).
    """

    rows: Ids
    cluster: Ids
    inliers: int


Influences = dict[Loss, dict[int, dict[tuple[str, int], Influence]]]
"""By loss, seed and condition (challenge type and level)."""


def influence(values: Array, part: Part) -> Influence:
    """AUROC of the scores of a part, (n + m,), with each cluster's influence on it.

    A cluster's influence is the sum, over its images, of DeLong's structural components less the
    AUROC, each over the number of its kind.
    """
    inliers, outliers = np.split(values, [part.inliers])
    of_inliers, of_outliers = 1 - placements(outliers, inliers), placements(inliers, outliers)
    auroc = float(of_outliers.mean())
    moved = (of_inliers - auroc) / inliers.size, (of_outliers - auroc) / outliers.size
    return Influence(auroc, np.bincount(part.cluster, np.concatenate(moved)).astype(np.float64))


class Estimate(NamedTuple):
    """A mean over seeds, its interval, and the one-sided p-value of it not being above 0."""

    value: float
    low: float
    high: float
    p_not_above: float


def estimate(values: Sequence[float], moved: Sequence[Array]) -> Estimate:
    """Mean over seeds, from each seed's value and influences, (G,) each.

    The variance is that over test images, of the mean's influences, plus that of the mean of the
    seeds where there are several, and the quantile Student's (``replicates.mean_interval``), as few
    seeds tell little of their spread; with one seed the interval is over test images only.
    """
    average = np.mean(moved, axis=0)
    variance = float((average**2).sum()) * average.size / max(average.size - 1, 1)
    runs = replicates.sample([np.asarray(values, np.float64)])
    low, high = replicates.mean_interval(runs, variance)
    return Estimate(runs.mean, low, high, replicates.mean_p_not_above(runs, variance))


def compute(config: Config, root: Path, dataset: str) -> pd.DataFrame:
    """The numbers of one data set of challenges under ``root``; columns are ``COLUMNS``."""
    settings = config.datasets[dataset]
    path = layout.data(root, dataset) / GROUPS
    groups = np.load(path) if path.is_file() else None
    influences: Influences = {}
    parts: dict[tuple[str, int], Part] = {}
    for run in collect(config, root, dataset):
        models = read_scores(run)[1] if run.usable else {}
        if scores := models.get("best"):
            # All runs of a data set were scored on the same images: `collect` sees to it.
            parts = parts or _parts(scores, settings.challenges, groups)
            for component, values in scores.components.items():
                if np.isfinite(values).all():
                    by_seed = influences.setdefault(Loss(run.key.method, component), {})
                    by_seed[run.key.seed] = {
                        condition: influence(values[part.rows], part)
                        for condition, part in parts.items()
                    }
    rows = []
    for condition, part in parts.items():
        about = {
            "dataset": dataset,
            "images": settings.title,
            "challenge": condition[0],
            "level": condition[1],
            "inliers": part.inliers,
            "outliers": part.rows.size - part.inliers,
            "clusters": part.cluster.max() + 1,
            "clustered": groups is not None,
        }
        rows += [about | row for row in _rows(influences, condition, config.seeds)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def write(config: Config, root: Path) -> None:
    """Compute and write the numbers of every data set of challenges."""
    for dataset, path in layout.challenges(config, root).items():
        with atomic(Path(path)) as beside:
            compute(config, root, dataset).to_parquet(beside, index=False)


def load(config: Config, root: Path, dataset: str) -> pd.DataFrame:
    """What ``write`` wrote."""
    return pd.read_parquet(layout.challenges(config, root)[dataset])


def _parts(
    scores: TestScores, selection: Selection | None, groups: npt.NDArray[np.int64] | None
) -> dict[tuple[str, int], Part]:
    """The part of each condition that has images."""
    parts = {}
    inliers = np.flatnonzero(scores.rank < 0)
    for label, condition in enumerate(selection.conditions if selection else (), start=1):
        outliers = np.flatnonzero(scores.label == label)
        rows = np.r_[inliers, outliers]
        ids = scores.sample_id[rows]
        _, cluster = np.unique(ids if groups is None else groups[ids], return_inverse=True)
        if inliers.size and outliers.size:
            parts[condition] = Part(rows, cluster, inliers.size)
    return parts


def _rows(
    influences: Influences, condition: tuple[str, int], seeds: Sequence[int]
) -> Iterator[dict[str, float | int | str]]:
    """The AUROCs of a condition, then the differences."""
    for loss, against in (*((loss, _NONE) for loss in influences), *PAIRS):
        first, second = influences.get(loss, {}), influences.get(against, {})
        scored = sorted(first if against == _NONE else first.keys() & second.keys())
        if not scored:
            continue
        ours = [first[seed][condition] for seed in scored]
        theirs = [second[seed][condition] if second else _ZERO for seed in scored]
        numbers = estimate(
            [a.auroc - b.auroc for a, b in zip(ours, theirs, strict=True)],
            [a.of_cluster - b.of_cluster for a, b in zip(ours, theirs, strict=True)],
        )
        if against == _NONE:
            low, high = max(numbers.low, 0.0), min(numbers.high, 1.0)
            numbers = Estimate(numbers.value, low, high, np.nan)
        yield {
            **loss._asdict(),
            "against_method": against.method,
            "against_component": against.component,
            **numbers._asdict(),
            "seeds": len(scored),
            "missing_seeds": " ".join(str(seed) for seed in seeds if seed not in scored),
        }


def of_loss(frame: pd.DataFrame, loss: Loss) -> "pd.Series[bool]":
    """Which rows of a study are of a loss, or of its difference to another one."""
    return (frame["method"] == loss.method) & (frame["component"] == loss.component)
