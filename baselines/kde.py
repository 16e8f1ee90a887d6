"""KDE: a Gaussian kernel density estimate (Parzen, 1962), by scikit-learn.

Source: the tables' rows are from Abati et al. and Ruff et al.; this follows the latter's code.

Input: pixels in [0, 1], then PCA fitted to the training inliers, with the fewest directions that
keep 95 % of their variance; ``variance: null`` uses the pixels themselves.

Model: a Gaussian on every training image. All have the same bandwidth: the one of highest
log-likelihood in 5-fold cross-validation on the training inliers, which needs no labels. There are
two grids: 2^0.5, 2^1, ..., 2^5 (``paper``; also in their later code) and 2^-4.5, 2^-4, ..., 2^5
(``released``). On MNIST digits the likelihood is highest at far less than 2^0.5, so that the
paper's grid leads to its smallest bandwidth and a smoother density than that of highest likelihood.

The bandwidth is the one that ``sklearn.model_selection.GridSearchCV`` over
``sklearn.neighbors.KernelDensity`` chooses, with unshuffled folds. Here it is computed from one
matrix of distances instead of a tree for each bandwidth and fold: seconds instead of minutes for
6,000 images. Scores are those of ``KernelDensity`` with all images in one leaf of its tree. With
the default of 40 images in a leaf and a small bandwidth it is wrong by tens of nats where the
density is low, that is at the outliers (scikit-learn 1.9, bandwidths below 1 on digits).

Score: minus the log-density, in nats.

Deviations: no contrast normalisation before PCA, which Ruff et al. use for CIFAR-10. The model
consists of all training images, so that ``parameters`` grows with their number.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.model_selection import KFold
from sklearn.neighbors import KernelDensity

from baselines._pca_detector import Model, PCADetector, Points
from benchmark.detector import OpenFraction, PositiveFloat

Grid = Literal["paper", "released"]

GRIDS: Mapping[Grid, Sequence[float]] = {
    "paper": [2.0 ** (k / 2) for k in range(1, 11)],
    "released": [2.0 ** (k / 2) for k in range(-9, 11)],
}
"""Bandwidths to choose from."""

FOLDS = 5
BLOCK = 500
"""Number of held-out images whose distances to the others are in memory at once."""


def cross_validated(points: Points, bandwidths: Sequence[float]) -> npt.NDArray[np.float64]:
    """Return the log-likelihood of held-out points for each bandwidth, up to one constant.

    The folds are consecutive; the value is the mean over the folds of each fold's sum, in nats.

    Args:
        points: (N, D), N at least ``FOLDS``.
        bandwidths: to compare.
    """
    widths = np.asarray(bandwidths)
    total = np.zeros(len(widths))
    for kept, distances in _held_out(points):
        for k, width in enumerate(widths):
            total[k] += logsumexp(distances / (-2 * width**2), axis=1).sum()
            total[k] -= len(distances) * (np.log(kept) + points.shape[1] * np.log(width))
    means: npt.NDArray[np.float64] = total / FOLDS
    return means


def _held_out(points: Points) -> Iterator[tuple[int, Points]]:
    """Yield the number of points kept and the squared distances of held-out points to them."""
    for kept, held in KFold(FOLDS).split(points):
        for start in range(0, len(held), BLOCK):
            block = points[held[start : start + BLOCK]]
            yield len(kept), euclidean_distances(block, points[kept], squared=True)


class KDE(PCADetector):
    """Kernel density estimate; component ``score`` is minus the log-density.

    Args:
        bandwidth: of the Gaussians, in units of the [0, 1] pixel range; None to cross-validate.
        grid: the bandwidths to choose from.
        variance: share of the variance that PCA keeps; None for the pixels themselves.
    """

    least_images: ClassVar[int] = FOLDS

    def __init__(
        self,
        *,
        bandwidth: PositiveFloat | None = None,
        grid: Grid = "paper",
        variance: OpenFraction | None = 0.95,
    ) -> None:
        self.bandwidth = bandwidth
        self.grid: Grid = grid
        self.variance = variance

    def learn(self, points: Points) -> tuple[Model, dict[str, Any]]:
        """Keep the points; choose the bandwidth."""
        bandwidth = self.bandwidth
        if bandwidth is None:
            grid = GRIDS[self.grid]
            bandwidth = grid[int(cross_validated(points, grid).argmax())]
        model = {"points": points, "bandwidth": np.array([bandwidth])}
        return model, {"bandwidth": bandwidth}

    def anomaly(self, model: Model, points: Points) -> npt.NDArray[np.float64]:
        """Return minus the log-density."""
        centres, bandwidth = model["points"], float(model["bandwidth"][0])
        # One leaf: with more, the tree is inaccurate where the density is low.
        density = KernelDensity(bandwidth=bandwidth, leaf_size=len(centres)).fit(centres)
        return -np.asarray(density.score_samples(points), np.float64)
