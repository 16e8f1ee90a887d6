"""The base class of all methods, open to authors of others; it imports no deep-learning library."""

import inspect
import json
from abc import ABCMeta, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, get_type_hints

import numpy as np
import numpy.typing as npt
from pydantic import Field

from benchmark.detector import Images, NonNegativeInt, PositiveInt, Scores
from benchmark.errors import InputError
from benchmark.utils.files import atomic
from benchmark.utils.machine import require_gpu
from benchmark.utils.tensors import Arrays, read_tensors, write_tensors
from benchmark.utils.values import checked

Shape = Annotated[tuple[int, int, int], Field(description="height, width and channels")]
"""Height, width and channels of an image."""

Device = Annotated[str, Field(pattern=r"^(cpu|cuda(:\d+)?)$", description="cpu, cuda or cuda:1")]
"""A torch device."""

Milestones = Annotated[list[PositiveInt], Field(description="a list of epochs, each from 1")]

SAVED = ("best", "last")
OUTCOME = {"history": list[dict[str, Any]], "facts": dict[str, Any], "seconds": float}


@dataclass(frozen=True)
class Fitted:
    """What a training leaves behind."""

    shape: Shape
    models: Mapping[str, Arrays]
    """The tensors of each model, by its name."""
    history: Sequence[Mapping[str, float]]
    facts: Mapping[str, Any]
    seconds: float
    device: str = "cpu"
    """Where the models score: a torch device."""


class Checked(ABCMeta):
    """The type of classes whose arguments are checked and made plain before ``__init__``."""

    def __call__(cls, *unnamed: Any, **named: Any) -> Any:
        """Create an instance; ``InputError`` for a value that is not what its annotation says."""
        if unnamed:
            raise InputError(f"{cls.__name__}: give each hyperparameter by its name, as name=value")
        names = inspect.signature(cls).parameters
        if unknown := [name for name in named if name not in names]:
            raise InputError(
                f"{cls.__name__} has no hyperparameter {unknown[0]!r}; it has "
                + (", ".join(names) or "none")
            )
        types = get_type_hints(cls.__init__, include_extras=True)  # type: ignore[misc]
        plain = {k: checked(types.get(k, Any), named[k], k, cls.__name__) for k in named}
        return super().__call__(**plain)


class BaseDetector(metaclass=Checked):
    """The parts of a detector (``benchmark.detector.Detector``) that all methods have in common.

    A subclass has an ``__init__`` of keyword-only hyperparameters, each kept in an attribute of
    the same name; a method ``fit`` that begins with ``check_training`` and sets ``_fitted``; and a
    method ``score`` that begins with ``fitted_to``.
    """

    components: ClassVar[tuple[str, ...]] = ("score",)
    anomaly_component: ClassVar[str] = "score"
    """The component that ``anomaly_score`` returns."""
    sizes: ClassVar[Sequence[int]] = ()
    """Supported image heights (= widths) in pixels; empty for any."""
    deterministic: ClassVar[bool] = False
    """Whether it gives the same scores for every seed, so that one is enough."""
    least_images: ClassVar[int] = 2
    """Training images that the method needs at least."""
    uses_gpu: ClassVar[bool] = True
    """Whether it is to be given a GPU where there is one; not so without a network."""
    precision: str = "float32"
    """Of the arithmetic of training, for ``run.json``."""

    _fitted: Fitted | None = None

    def __init_subclass__(cls) -> None:
        """Refuse an ``__init__`` whose arguments could not be saved by name."""
        super().__init_subclass__()
        own = cls.__init__ is not object.__init__
        arguments = [*inspect.signature(cls.__init__).parameters.values()][1:] if own else []
        if any(argument.kind is not argument.KEYWORD_ONLY for argument in arguments):
            raise InputError(
                f"{class_path(cls)}: write `def __init__(self, *, ...)`, with named arguments only"
            )
        cls.__signature__ = inspect.Signature(arguments)  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        values = (f"{name}={value!r}" for name, value in self.hyperparameters.items())
        return f"{type(self).__name__}({', '.join(values)})"

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The keyword arguments of ``__init__`` and their values here."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def check_images(self, images: Images) -> Shape:
        """The shape of each image of (N, H, W, C) uint8; ``InputError`` if it is not supported."""
        name = type(self).__name__
        if not isinstance(images, np.ndarray):
            raise InputError(f"images are a {type(images).__name__}; give {name} a NumPy array")
        if images.dtype != np.uint8 or images.ndim != 4:
            raise InputError(
                f"{name} takes uint8 images of shape (N, H, W, C), "
                f"not {images.dtype} of shape {images.shape}; convert them"
            )
        height, width, channels = images.shape[1:]
        if height != width or height not in (self.sizes or [height]) or channels not in (1, 3):
            supported = " or ".join(f"{size}x{size}" for size in self.sizes[:5]) or "square"
            raise InputError(
                f"{name} supports {supported} images of 1 or 3 channels, "
                f"not {height}x{width} of {channels}: resize them (image_size in a configuration)"
            )
        return height, width, channels

    def check_training(
        self,
        train: Images,
        validation: Images | None,
        seed: int,
        device: str,
        milestones: Sequence[int] = (),
    ) -> tuple[Shape, Images, Images, int]:
        """The shape of each image, and the arguments of ``fit`` as plain values.

        Without validation images, a tenth of ``train``, drawn by the seed, takes their place.
        Raises ``InputError`` for what ``fit`` cannot take.
        """
        name, shape = type(self).__name__, self.check_images(train)
        seed = checked(NonNegativeInt, seed, "seed", name)
        checked(Device, device, "device", name)
        each = list(milestones) if isinstance(milestones, Iterable) else milestones
        checked(Milestones, each, "milestones", name)
        if self.uses_gpu:
            require_gpu(device)
        if validation is None:
            order = np.random.default_rng(seed).permutation(len(train))
            validation, train = np.split(train[order], [max(1, round(0.1 * len(train)))])
        if isinstance(validation, np.ndarray) and validation.ndim != 4:
            raise InputError(
                f"validation images are of shape {validation.shape}; give {name} inliers of shape "
                "(M, H, W, C), and no labels"
            )
        if shape != (other := self.check_images(validation)):
            raise InputError(
                f"training images are {shape}, validation {other}: give both the same shape"
            )
        if len(train) < self.least_images or len(validation) < 1:
            raise InputError(
                f"{name} needs at least {self.least_images} training images and "
                f"1 validation image, not {len(train)} and {len(validation)}: add some"
            )
        return shape, train, validation, seed

    @abstractmethod
    def score(self, images: Images, model: str = "best") -> Scores:
        """Each component of the score, (N,) of images (N, H, W, C); higher is more anomalous."""

    def anomaly_score(self, images: Images, *, model: str = "best") -> npt.NDArray[np.float32]:
        """The component ``anomaly_component`` of the score, (N,); higher is more anomalous."""
        return self.score(images, model)[self.anomaly_component]

    @property
    def fitted(self) -> Fitted:
        """What ``fit`` or ``load`` left behind; ``RuntimeError`` before either."""
        if self._fitted is None:
            raise RuntimeError(f"{type(self).__name__} is not fitted: call fit or load first")
        return self._fitted

    def fitted_to(self, images: Images, model: str) -> Fitted:
        """The fit; ``KeyError`` without this model, ``InputError`` for images of another shape."""
        if model not in self.fitted.models:
            names, epochs = ", ".join(self.models), self.facts.get("epochs", 0)
            raise KeyError(f"no model {model!r}: there are {names}, of {epochs} epochs")
        shape = self.check_images(images)
        if shape != self.fitted.shape:
            raise InputError(
                f"images of shape {shape} (height, width, channels), but {type(self).__name__} was "
                f"fitted to {self.fitted.shape}: fit and score images of the same shape"
            )
        return self.fitted

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the fitted models; none before ``fit``."""
        return tuple(self._fitted.models) if self._fitted else ()

    @property
    def history(self) -> Sequence[Mapping[str, float]]:
        """One row per epoch: ``epoch`` (1-based), ``train_<loss>``, ``validation_<loss>``."""
        return self._fitted.history if self._fitted else ()

    @property
    def facts(self) -> Mapping[str, Any]:
        """Plain values for ``run.json``: ``parameters``, ``epochs``, ``best_epoch`` and more."""
        return self._fitted.facts if self._fitted else {}

    @property
    def fit_seconds(self) -> float:
        """Time that training took, interruptions apart."""
        return self.fitted.seconds

    def save(self, directory: Path | str) -> None:
        """Write ``detector.json``, ``best.safetensors`` and ``last.safetensors``."""
        fitted, identity = self.fitted, self._identity(self.fitted.shape)
        for model in SAVED:
            path = Path(directory) / f"{model}.safetensors"
            write_tensors(path, fitted.models[model], identity, {})
        outcome = {key: getattr(fitted, key) for key in OUTCOME}
        with atomic(Path(directory) / "detector.json") as beside:
            beside.write_text(json.dumps(identity | outcome, indent=1) + "\n")

    @classmethod
    def load(cls, directory: Path | str) -> Self:
        """Read what ``save`` wrote; ``InputError`` if a file is missing, damaged or foreign."""
        path = Path(str(directory)) / "detector.json"
        advice = f"name a directory that {cls.__name__} has saved"
        try:
            saved = checked(dict[str, Any], json.loads(path.read_bytes()), "content", "it")
            if saved["detector"] != class_path(cls):
                raise InputError(f"holds a {saved['detector']}, not a {class_path(cls)}")
            kinds = {"hyperparameters": dict[str, Any], "shape": Shape, **OUTCOME}
            parameters, shape, *outcome = (checked(kinds[k], saved[k], k, "it") for k in kinds)
            detector = cls(**parameters)
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = f"no {error} in it" if isinstance(error, KeyError) else error
            reason = getattr(error, "strerror", None) or reason
            raise InputError(f"{path}: cannot be read ({reason}); {advice}") from error
        identity = detector._identity(shape)
        try:
            models = {m: read_tensors(path.parent / f"{m}.safetensors", identity)[0] for m in SAVED}
        except InputError as error:  # which advises to delete the file, as one may a checkpoint
            raise InputError(f"{str(error).rpartition(';')[0]}; {advice}") from error
        detector._fitted = Fitted(shape, models, *outcome)
        return detector

    def _identity(self, shape: Shape) -> dict[str, Any]:
        name = class_path(type(self))
        return {"detector": name, "hyperparameters": self.hyperparameters, "shape": shape}


def class_path(cls: type) -> str:
    """``package.module:Class``."""
    return f"{cls.__module__}:{cls.__qualname__}"
