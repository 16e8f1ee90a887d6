"""The detector interface for methods without epochs, on pixels as points or on their PCA.

These methods are deterministic and are fitted in one go: the seed, the validation images, the
milestones and the device make no difference, and there is no training state to continue from.
"""

import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA

from baselines._collapse import refuse_collapse
from benchmark.base_detector import SAVED, BaseDetector, Fitted
from benchmark.detector import FitFailed, Images, Scores

Points = npt.NDArray[np.float64]
"""Images as points, (N, D)."""

Model = Mapping[str, npt.NDArray[np.float64]]
"""All numbers that a score needs."""

SCORE_BATCH = 1000


class ShallowDetector(BaseDetector):
    """A detector that is fitted to points in one go.

    A subclass has the two abstract methods and, among its hyperparameters, ``variance``.
    """

    deterministic: ClassVar[bool] = True
    uses_gpu: ClassVar[bool] = False
    precision: str = "float64"

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

    def fit(
        self,
        train: Images,
        validation: Images | None = None,
        *,
        seed: int = 0,
        checkpoint: Path | str | None = None,
        milestones: Sequence[int] = (),
        device: str = "cpu",
    ) -> Self:
        """Fit to the training inliers; see ``benchmark.detector.Detector.fit``."""
        shape, train, validation, seed = self.check_training(train, validation, seed, device)
        begun = time.perf_counter()
        if (train == train[:1]).all():
            raise FitFailed("all training images are alike: there is no spread to learn")
        points = _flatten(train)
        projection = {} if self.variance is None else _pca(points, self.variance, self.whiten)
        points = _project(projection, points)
        learned, facts = self.learn(points)
        model = {**projection, **learned}
        facts = {
            "parameters": sum(values.size for values in model.values()),
            "epochs": 0,
            "best_epoch": 0,
            "dimensions": points.shape[1],
        } | facts
        models = dict.fromkeys(SAVED, model)
        self._fitted = Fitted(shape, models, [], facts, time.perf_counter() - begun)
        refuse_collapse(self, validation)
        return self

    def score(self, images: Images, model: str = "best") -> Scores:
        """Score images; see ``benchmark.detector.Detector.score``."""
        tensors = self.fitted_to(images, model).models[model]
        parts = [
            self.anomaly(tensors, _project(tensors, _flatten(images[k : k + SCORE_BATCH])))
            for k in range(0, len(images), SCORE_BATCH)
        ]
        return {"score": np.concatenate([np.zeros(0), *parts]).astype(np.float32)}


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
