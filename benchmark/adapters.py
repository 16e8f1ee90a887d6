"""Outlier detectors of scikit-learn and PyOD as methods, by their import paths.

In a configuration:

.. code-block:: yaml

    methods:
      forest:
        detector: "benchmark.adapters:Outlier"
        title: Isolation forest
        estimator: "sklearn.ensemble:IsolationForest"
        parameters: {n_estimators: 50}
      knn:
        detector: "benchmark.adapters:Outlier"
        estimator: "pyod.models.knn:KNN"
"""

import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.detector import Images
from benchmark.errors import InputError
from benchmark.shallow_detector import ShallowDetector
from benchmark.utils import imports
from benchmark.utils.tensors import Arrays


class Outlier(ShallowDetector):
    """Any outlier detector with ``fit(points)``, on pixels in [0, 1] as points.

    The two libraries orient their scores differently. They are told apart by what a fitted
    estimator has:

    - ``decision_scores_``, as in PyOD: ``decision_function`` is higher for outliers, and is the
      score;
    - else ``score_samples``, as in scikit-learn (density estimates too): it is higher for inliers,
      and the score is minus it.

    The saved model consists of the training images and the seed. ``load`` fits the estimator to
    them again, so that no file holds a pickle: the scores are the same where the library is of the
    same version.

    Args:
        estimator: import path of the class, ``package.module:Class``.
        parameters: its arguments. ``random_state``, where the class has it, is the seed of the run
            unless it is given; NumPy's and torch's global generators are seeded as well, and are
            afterwards as they were.
    """

    def __init__(
        self,
        *,
        estimator: str = "sklearn.ensemble:IsolationForest",
        parameters: dict[str, Any] | None = None,
    ) -> None:
        self.estimator = estimator
        self.parameters = parameters
        self._fitted_estimator: Any = None
        self._create(0)  # a mistake is told before anything is trained

    def fit_images(self, images: Images, seed: int) -> tuple[Arrays, dict[str, Any]]:
        """Fit the estimator; the model is what it was fitted to."""
        model = {"images": images, "seed": np.array(seed)}
        self._fitted_estimator = self._fit(model)
        return model, {"estimator": self.estimator}

    def score_images(self, model: Arrays, images: Images) -> npt.NDArray[Any]:
        """Score pixels with the estimator."""
        if self._fitted_estimator is None:
            self._fitted_estimator = self._fit(model)
        with _seeded(int(model["seed"])):
            return self._anomaly(self._fitted_estimator, _points(images))

    def _fit(self, model: Arrays) -> Any:
        seed, points = int(model["seed"]), _points(model["images"])
        estimator = self._create(seed)
        with _seeded(seed):
            estimator.fit(points)
            self._anomaly(estimator, points[:1])
        return estimator

    def _create(self, seed: int) -> Any:
        """The estimator, not fitted; ``InputError`` for a path or an argument that is wrong."""
        kind = imports.load(self.estimator)
        accepted = inspect.signature(kind).parameters
        given = dict(self.parameters or {})
        for name in given.keys() - accepted.keys():
            names = ", ".join(accepted) or "no arguments"
            raise InputError(f"parameters: {self.estimator} has no {name!r}; it takes {names}")
        if "random_state" in accepted:
            given.setdefault("random_state", seed)
        return kind(**given)

    def _anomaly(self, estimator: Any, points: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
        """Scores of points (N, D), (N,), higher is more anomalous."""
        if hasattr(estimator, "decision_scores_"):
            return np.asarray(estimator.decision_function(points))
        if hasattr(estimator, "score_samples"):
            return -np.asarray(estimator.score_samples(points))
        raise InputError(
            f"{self.estimator} scores no new images: it has neither score_samples, as in "
            "scikit-learn (LocalOutlierFactor needs parameters: {novelty: true}), nor, once "
            "fitted, decision_scores_, as in PyOD; name another class"
        )


def _points(images: Images) -> npt.NDArray[np.float64]:
    return images.reshape(len(images), -1) / 255


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the global generators, from which some estimators draw; put their states back after."""
    torch = sys.modules.get("torch")
    state = np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]) if torch else nullcontext():
        np.random.seed(seed % 2**32)  # noqa: NPY002
        if torch:
            torch.default_generator.manual_seed(seed)
        try:
            yield
        finally:
            np.random.set_state(state)  # noqa: NPY002
