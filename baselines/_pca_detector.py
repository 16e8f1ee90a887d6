"""The detector interface for methods on pixels as points, or on their PCA.

These methods are deterministic: the seed makes no difference.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA

from baselines._collapse import refuse_collapse
from benchmark.detector import FitFailed, Images
from benchmark.shallow_detector import ShallowDetector
from benchmark.utils.tensors import Arrays

Points = npt.NDArray[np.float64]
"""Images as points, (N, D)."""

Model = Mapping[str, npt.NDArray[np.float64]]
"""All numbers that a score needs."""


class PCADetector(ShallowDetector):
    """A detector that is fitted to points in one go.

    A subclass has the two abstract methods and, among its hyperparameters, ``variance``.
    """

    deterministic: ClassVar[bool] = True

    variance: float | None
    """Share of the variance that PCA keeps; None for the pixels themselves."""
    whiten: bool = False
    """Whether every direction of the PCA is scaled to variance 1."""

    @abstractmethod
    def learn(self, points: Points) -> tuple[Model, dict[str, Any]]:
        """Fit to points (N, D); return the model, and plain values for ``facts``."""

    @abstractmethod
    def anomaly(self, model: Model, points: Points) -> npt.NDArray[np.float64]:
        """Score points (N, D) with the model: (N,), higher is more anomalous."""

    def check_fit(self, validation: Images) -> None:
        """Refuse a model that scores all inliers alike."""
        refuse_collapse(self, validation)

    def fit_images(self, images: Images, seed: int) -> tuple[Arrays, dict[str, Any]]:
        """Project images, fit to the points."""
        if (images == images[:1]).all():
            raise FitFailed("all training images are alike: there is no spread to learn")
        points = _flatten(images)
        projection = {} if self.variance is None else _pca(points, self.variance, self.whiten)
        points = _project(projection, points)
        learned, facts = self.learn(points)
        return {**projection, **learned}, {"dimensions": points.shape[1], **facts}

    def score_images(self, model: Arrays, images: Images) -> npt.NDArray[np.float64]:
        """Project images, score the points."""
        return self.anomaly(model, _project(model, _flatten(images)))


def _flatten(images: Images) -> Points:
    return images.reshape(len(images), -1) / 255


def _pca(points: Points, variance: float, whiten: bool) -> Model:
    """Find the fewest directions that keep this share of the variance."""
    count, dimensions = points.shape
    solver = "covariance_eigh" if count > dimensions else "full"  # equal but for speed
    pca = PCA(variance, svd_solver=solver).fit(points)
    scale = np.sqrt(pca.explained_variance_)[:, None] if whiten else 1.0
    return {"mean": pca.mean_, "directions": np.ascontiguousarray(pca.components_ / scale)}


def _project(model: Model, points: Points) -> Points:
    if "directions" not in model:
        return points
    projected: Points = (points - model["mean"]) @ model["directions"].T
    return projected
