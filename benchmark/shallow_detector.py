"""The base class of methods without epochs: a subclass says how to fit and how to score, no more.

``docs/adding_a_method.md`` has an example of 30 lines.
"""

import time
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from benchmark.base_detector import SAVED, BaseDetector, Fitted
from benchmark.detector import Images, Scores
from benchmark.utils.tensors import Arrays

Facts = dict[str, Any]
"""Plain values for ``run.json``."""


class ShallowDetector(BaseDetector):
    """A detector that is fitted in one go and has the one component ``score``.

    A subclass has an ``__init__`` of keyword-only hyperparameters, each kept in an attribute of the
    same name, and the two abstract methods. Everything else is here: the arguments are checked, the
    arrays of the model are saved and loaded, the one model is both the best and the last. The
    validation images, the milestones and the device make no difference, and there is no state of
    training to continue from.
    """

    uses_gpu: ClassVar[bool] = False
    precision: str = "float64"
    score_batch: ClassVar[int] = 1000
    """Images scored at once."""

    @abstractmethod
    def fit_images(self, images: Images, seed: int) -> tuple[Arrays, Facts]:
        """Fit to inliers.

        Args:
            images: (N, H, W, C) uint8 in 0..255.
            seed: from 0; the only source of chance. A method that needs none says
                ``deterministic = True``.

        Returns:
            All arrays that a score needs, by name, and more facts for ``run.json``, which may be
            none.

        Raises:
            FitFailed: there is nothing to learn from these images.
        """

    @abstractmethod
    def score_images(self, model: Arrays, images: Images) -> npt.NDArray[Any]:
        """Score images, (N, H, W, C) uint8, with the arrays of ``fit_images``.

        Returns (N,), higher is more anomalous. The score of an image depends on no other image.
        """

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
        shape, train, validation, seed = self.check_training(
            train, validation, seed, device, milestones
        )
        begun = time.perf_counter()
        model, more = self.fit_images(train, seed)
        parameters = sum(np.asarray(array).size for array in model.values())
        facts = {"parameters": parameters, "epochs": 0, "best_epoch": 0, **more}
        models = dict.fromkeys(SAVED, model)
        self._fitted = Fitted(shape, models, [], facts, time.perf_counter() - begun)
        self.check_fit(validation)
        return self

    def check_fit(self, validation: Images) -> None:
        """Refuse what has been fitted, by inliers that it was not fitted to; here nothing is.

        Raises:
            FitFailed: the scores are of no use.
        """

    def score(self, images: Images, model: str = "best") -> Scores:
        """Score images; see ``benchmark.detector.Detector.score``."""
        arrays = self.fitted_to(images, model).models[model]
        parts = [
            self.score_images(arrays, images[start : start + self.score_batch])
            for start in range(0, len(images), self.score_batch)
        ]
        return {"score": np.concatenate([np.zeros(0), *parts]).astype(np.float32)}
