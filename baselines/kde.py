"""KDE: a Gaussian kernel density estimate (Parzen, 1962), by scikit-learn.

Source: the rows are from Abati et al. and Ruff et al.; this follows the latter's code.

Input: pixels in [0, 1], then PCA fitted to the training inliers, with the fewest directions that
keep 95 % of their variance; ``variance: null`` leaves the pixels as they are.

Model: a Gaussian on every training image, all of one bandwidth, which is the one of highest
log-likelihood in 5-fold cross-validation on the training inliers (clean: no label is seen). Two
grids: 2^0.5, 2^1, ..., 2^5 (``paper``; also in their later code) and 2^-4.5, 2^-4, ..., 2^5
(``released``). The likelihood of MNIST digits is highest far under 2^0.5, so the paper's grid gives
its smallest bandwidth, and a smoother density than the likelihood asks for.

The choice equals that of ``sklearn.model_selection.GridSearchCV`` over
``sklearn.neighbors.KernelDensity``, folds unshuffled; it is made from one matrix of distances
instead of a tree for each bandwidth and fold, which takes seconds instead of minutes for 6,000
images. Scores are those of ``KernelDensity`` with all images in one leaf of its tree. With its
default of 40 images a leaf it is wrong where the density is low, by tens of nats and so at the
outliers, when the bandwidth is small (scikit-learn 1.9, bandwidths under 1 on digits).

Score: minus the log-density, in nats.

Deviations: no contrast normalisation before PCA, which Ruff et al. use for CIFAR-10. The model
keeps all training images, so ``parameters`` grows with them.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.model_selection import KFold
from sklearn.neighbors import KernelDensity

from baselines._sklearn_detector import Model, Points, ShallowDetector
from benchmark.detector import OpenFraction, PositiveFloat

Grid = Literal["paper", "released"]

GRIDS: Mapping[Grid, Sequence[float]] = {
    "paper": [2.0 ** (k / 2) for k in range(1, 11)],
    "released": [2.0 ** (k / 2) for k in range(-9, 11)],
}
"""Bandwidths to choose from."""

FOLDS = 5
BLOCK = 500
"""Held-out images whose distances to the others are in memory at once."""


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
    """Yield squared distances of held-out points to the others, and how many others there are."""
    for kept, held in KFold(FOLDS).split(points):
        for start in range(0, len(held), BLOCK):
            block = points[held[start : start + BLOCK]]
            yield len(kept), euclidean_distances(block, points[kept], squared=True)


class KDE(ShallowDetector):
    """Kernel density estimate; component ``score`` is minus the log-density.

    Args:
        bandwidth: of the Gaussians, in units of the [0, 1] pixel range; None to cross-validate.
        grid: the bandwidths to choose from.
        variance: share of the variance that PCA keeps; None for pixels.
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
        # One leaf, so no walk through the tree, which is wrong by far where the density is low.
        density = KernelDensity(bandwidth=bandwidth, leaf_size=len(centres)).fit(centres)
        return -np.asarray(density.score_samples(points), np.float64)
