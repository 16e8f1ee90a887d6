"""The challenge study: how well each loss separates challenged from clean signs (the paper's A.4).

Computed from the runs' ``scores.parquet``: the label of a test image is its condition. One row per
challenge type, level, method and loss, and one per difference of two methods' losses. The interval
of a number is over test images and training seeds. The images of one sign are not independent, and
each clean image has its challenged counterparts in the same test set, so the variance over images
is that of clustered data (Obuchowski, Biometrics 1997), a cluster being all images of one sign.
"""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmark import layout
from benchmark.config import Config
from benchmark.data.prepared import GROUPS
from benchmark.scores import Run, TestScores, collect, read_scores
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


class Part(NamedTuple):
    """Clean test images and those of one condition: rows of the test set and their clusters."""

    inliers: npt.NDArray[np.intp]
    outliers: npt.NDArray[np.intp]
    inlier_cluster: Ids
    outlier_cluster: Ids
    clusters: int


def influence(inliers: Array, outliers: Array, part: Part) -> Influence:
    """AUROC of (n,) against (m,) scores, higher is more anomalous, with each cluster's influence.

    A cluster's influence is the sum, over its images, of DeLong's structural components less the
    AUROC, each over the number of its kind.
    """
    of_outliers = placements(inliers, outliers)
    auroc = float(of_outliers.mean())
    of_inliers = 1 - placements(outliers, inliers)
    moved = np.bincount(
        part.inlier_cluster, (of_inliers - auroc) / inliers.size, minlength=part.clusters
    ) + np.bincount(
        part.outlier_cluster, (of_outliers - auroc) / outliers.size, minlength=part.clusters
    )
    return Influence(auroc, np.asarray(moved, np.float64))


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
    conditions = settings.challenges.conditions if settings.challenges else ()
    influences: dict[Loss, dict[int, list[Influence]]] = {}
    parts: list[Part] = []
    groups = _groups(root, dataset)
    for run in collect(config, root):
        if run.key.dataset == dataset and run.usable:
            run, models = read_scores(run)
            if "best" in models:
                scores = models["best"]
                # All runs of a data set were scored on the same images: `collect` sees to it.
                parts = parts or [_part(scores, k + 1, groups) for k in range(len(conditions))]
                _add(run, scores, parts, influences)
    rows = []
    for k, (challenge, level) in enumerate(conditions if parts else ()):
        part = parts[k]
        about = {
            "dataset": dataset,
            "images": settings.title,
            "challenge": challenge,
            "level": level,
            "inliers": part.inliers.size,
            "outliers": part.outliers.size,
            "clusters": part.clusters,
            "clustered": groups is not None,
        }
        if part.inliers.size and part.outliers.size:
            rows += [about | row for row in _rows(influences, k, config.seeds)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def write(config: Config, root: Path) -> None:
    """Compute and write the numbers of every data set of challenges."""
    for dataset, path in layout.challenges(config, root).items():
        with atomic(Path(path)) as beside:
            compute(config, root, dataset).to_parquet(beside, index=False)


def load(config: Config, root: Path, dataset: str) -> pd.DataFrame:
    """What ``write`` wrote."""
    return pd.read_parquet(layout.challenges(config, root)[dataset])


def _groups(root: Path, dataset: str) -> npt.NDArray[np.int64] | None:
    path = layout.data(root, dataset) / GROUPS
    return np.load(path) if path.is_file() else None


def _part(scores: TestScores, label: int, groups: npt.NDArray[np.int64] | None) -> Part:
    inliers = np.flatnonzero(scores.rank < 0)
    outliers = np.flatnonzero(scores.label == label)
    ids = scores.sample_id[np.r_[inliers, outliers]]
    _, cluster = np.unique(ids if groups is None else groups[ids], return_inverse=True)
    split = np.split(cluster.astype(np.intp), [inliers.size])
    return Part(inliers, outliers, split[0], split[1], int(cluster.max(initial=-1)) + 1)


def _add(
    run: Run,
    scores: TestScores,
    parts: Sequence[Part],
    influences: dict[Loss, dict[int, list[Influence]]],
) -> None:
    for component, values in scores.components.items():
        if np.isfinite(values).all():
            by_seed = influences.setdefault(Loss(run.key.method, component), {})
            by_seed[run.key.seed] = [
                influence(values[part.inliers], values[part.outliers], part)
                if part.inliers.size and part.outliers.size
                else Influence(np.nan, np.empty(0))
                for part in parts
            ]


def _rows(
    influences: dict[Loss, dict[int, list[Influence]]], k: int, seeds: Sequence[int]
) -> Iterator[dict[str, float | int | str]]:
    """The AUROCs of condition k, then the differences."""
    for loss, by_seed in influences.items():
        here = [seed[k] for seed in by_seed.values()]
        whole = estimate([h.auroc for h in here], [h.of_cluster for h in here])
        ends = {"low": max(whole.low, 0.0), "high": min(whole.high, 1.0), "p_not_above": np.nan}
        numbers = {**whole._asdict(), **ends}
        yield {**loss._asdict(), **_against(None), **numbers, **_seeds(by_seed, seeds)}
    for first, second in PAIRS:
        common = sorted(influences.get(first, {}).keys() & influences.get(second, {}).keys())
        if common:
            both = [(influences[first][seed][k], influences[second][seed][k]) for seed in common]
            paired = estimate(
                [a.auroc - b.auroc for a, b in both], [a.of_cluster - b.of_cluster for a, b in both]
            )
            numbers = paired._asdict()
            yield {**first._asdict(), **_against(second), **numbers, **_seeds(common, seeds)}


def _against(loss: Loss | None) -> dict[str, str]:
    method, component = loss or ("", "")
    return {"against_method": method, "against_component": component}


def _seeds(scored: Collection[int], configured: Sequence[int]) -> dict[str, int | str]:
    missing = " ".join(str(seed) for seed in configured if seed not in scored)
    return {"seeds": len(scored), "missing_seeds": missing}


def of_loss(frame: pd.DataFrame, loss: Loss) -> "pd.Series[bool]":
    """Which rows of a study are of a loss, or of its difference to another one."""
    return (frame["method"] == loss.method) & (frame["component"] == loss.component)
