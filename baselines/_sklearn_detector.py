"""The detector interface for methods without epochs, on pixels as points or on their PCA.

Deterministic: the seed, the validation images, the milestones and the device have no use, and
there is nothing to continue from. A fitted model is a few arrays, which is what is saved.
"""

import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.decomposition import PCA

from baselines._images import image_shape
from baselines._state import read_tensors, write_tensors
from baselines._torch_detector import class_path
from benchmark.detector import FitFailed, Images, Scores
from benchmark.utils.files import atomic

Points = npt.NDArray[np.float64]
"""Images as points, (N, D)."""

Model = Mapping[str, npt.NDArray[np.float64]]
"""All numbers that a score needs."""

MODELS = ("best", "last")
SCORE_BATCH = 1000


@dataclass(frozen=True)
class Fitted:
    """What fitting leaves behind; all of it is saved."""

    shape: tuple[int, int, int]
    model: Model
    facts: dict[str, Any]


class ShallowDetector(ABC):
    """A detector (``benchmark.detector.Detector``) that is fitted in one go.

    A subclass has an ``__init__`` of keyword-only hyperparameters, each kept in an attribute of the
    same name, ``variance`` among them, and the two abstract methods.
    """

    components: ClassVar[tuple[str, ...]] = ("score",)
    least: ClassVar[int] = 2
    """Training images that the method cannot do without."""

    variance: float | None
    """Share of the variance that PCA keeps; None for the pixels themselves."""

    _fitted: Fitted | None = None

    @abstractmethod
    def learn(self, points: Points) -> tuple[Model, dict[str, Any]]:
        """Fit to points (N, D); return the model, and facts worth keeping as plain values."""

    @abstractmethod
    def anomaly(self, model: Model, points: Points) -> npt.NDArray[np.float64]:
        """Score points (N, D) with the model: (N,), higher is anomalous."""

    def fit(
        self,
        train: Images,
        validation: Images,
        *,
        seed: int,
        checkpoint: Path | None = None,
        milestones: Sequence[int] = (),
        device: str = "cpu",
    ) -> Self:
        """Fit to the training inliers; see ``benchmark.detector.Detector.fit``."""
        name = type(self).__name__
        shape = self._check(train)
        if self._check(validation) != shape:
            raise ValueError(
                f"training images are {shape}, validation images {validation.shape[1:]}: "
                "make them alike"
            )
        if len(train) < self.least:
            raise ValueError(
                f"{name} needs at least {self.least} training images, not {len(train)}"
            )
        if (train == train[:1]).all():
            raise FitFailed("all training images are alike: there is no spread to learn")
        points = _flatten(train)
        projection = {} if self.variance is None else _pca(points, self.variance)
        points = _project(projection, points)
        learned, facts = self.learn(points)
        model = {**projection, **learned}
        size = sum(values.size for values in model.values())
        facts = {
            "parameters": size,
            "epochs": 0,
            "best_epoch": 0,
            "dimensions": points.shape[1],
        } | facts
        self._fitted = Fitted(shape, model, facts)
        self._refuse_collapse(validation)
        return self

    def score(self, images: Images, model: str = "best") -> Scores:
        """Score images; see ``benchmark.detector.Detector.score``."""
        fitted = self._result
        if model not in MODELS:
            raise KeyError(f"no model '{model}': there are {', '.join(MODELS)}")
        if self._check(images) != fitted.shape:
            raise ValueError(
                f"fitted to images of {fitted.shape}, asked to score images of {images.shape[1:]}: "
                "fit and score images of the same shape"
            )
        parts = [
            self.anomaly(
                fitted.model, _project(fitted.model, _flatten(images[k : k + SCORE_BATCH]))
            )
            for k in range(0, len(images), SCORE_BATCH)
        ]
        return {"score": np.concatenate([np.zeros(0), *parts]).astype(np.float32)}

    @property
    def models(self) -> tuple[str, ...]:
        """The one model under both names, none before ``fit``."""
        return MODELS if self._fitted else ()

    @property
    def history(self) -> Sequence[Mapping[str, float]]:
        """No rows: there are no epochs."""
        return []

    @property
    def facts(self) -> Mapping[str, Any]:
        """``parameters`` (all numbers that a score needs), ``epochs`` (0) and the method's own."""
        return self._fitted.facts if self._fitted else {}

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The keyword arguments of ``__init__`` and their values here."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def save(self, directory: Path) -> None:
        """Write ``detector.json``, ``best.safetensors`` and ``last.safetensors``."""
        fitted = self._result
        tensors = {name: torch.from_numpy(values.copy()) for name, values in fitted.model.items()}
        for name in MODELS:
            write_tensors(directory / f"{name}.safetensors", tensors)
        description = {
            "detector": class_path(type(self)),
            "hyperparameters": self.hyperparameters,
            "shape": fitted.shape,
            "facts": fitted.facts,
            "history": [],
        }
        with atomic(directory / "detector.json") as beside:
            beside.write_text(json.dumps(description, indent=1) + "\n")

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read what ``save`` wrote."""
        path = directory / "detector.json"
        description = json.loads(path.read_text())
        if description["detector"] != class_path(cls):
            raise ValueError(
                f"{path} holds a {description['detector']}, not a {class_path(cls)}: "
                "load it with its own class"
            )
        keywords, known = description["hyperparameters"], inspect.signature(cls).parameters
        if keywords.keys() != known.keys():
            raise ValueError(
                f"{path} has hyperparameters {sorted(keywords)}, but {cls.__name__} has "
                f"{sorted(known)}: fit it again with this version"
            )
        detector = cls(**keywords)
        height, width, channels = description["shape"]
        tensors, _ = read_tensors(directory / "best.safetensors")
        model = {name: tensor.numpy() for name, tensor in tensors.items()}
        detector._fitted = Fitted((height, width, channels), model, description["facts"])
        return detector

    @property
    def _result(self) -> Fitted:
        if self._fitted is None:
            raise RuntimeError(f"{type(self).__name__} is not fitted: call fit or load first")
        return self._fitted

    def _check(self, images: Images) -> tuple[int, int, int]:
        return image_shape(images, (), type(self).__name__)

    def _refuse_collapse(self, images: Images) -> None:
        """Fail if inliers get no number, or different ones the same number."""
        scores = self.score(images)["score"]
        if not np.isfinite(scores).all():
            raise FitFailed("a score of a validation image is NaN or infinite")
        if len(scores) and np.ptp(scores) == 0 and (images != images[:1]).any():
            raise FitFailed(f"collapsed: every validation image has the score {scores[0]:.6g}")


def _flatten(images: Images) -> Points:
    return images.reshape(len(images), -1) / 255


def _pca(points: Points, variance: float) -> Model:
    """Find the fewest directions that keep this share of the variance."""
    count, dimensions = points.shape
    solver = "covariance_eigh" if count > dimensions else "full"  # equal but for speed
    pca = PCA(variance, svd_solver=solver).fit(points)
    return {"mean": pca.mean_, "directions": np.ascontiguousarray(pca.components_)}


def _project(model: Model, points: Points) -> Points:
    if "directions" not in model:
        return points
    projected: Points = (points - model["mean"]) @ model["directions"].T
    return projected
