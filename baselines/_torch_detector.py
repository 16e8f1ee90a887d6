"""The detector interface for methods made of torch networks.

An author writes the networks, the phases of training and the score; see ``TorchDetector``. The
loop is in ``_training``, the files are in ``_state``.
"""

import hashlib
import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from baselines._images import image_shape, in_batches, to_images, to_pixels
from baselines._networks import count_parameters
from baselines._state import State, StateFile, copy_state, read_tensors, write_tensors
from baselines._training import Phase, own_generators, run, seed_generators
from benchmark.detector import FitFailed, Images, Scores
from benchmark.utils.files import atomic

N = TypeVar("N", bound=nn.Module)

COLLAPSE_SAMPLES = 32
COLLAPSE_SPREAD = 1e-5
"""Share of the largest score under which the spread of scores is rounding."""


@dataclass(frozen=True)
class Fitted:
    """What fitting leaves behind; everything but ``device`` and ``seconds`` is saved."""

    shape: tuple[int, int, int]
    states: dict[str, State]
    history: list[dict[str, float]]
    facts: dict[str, Any]
    device: str = "cpu"
    seconds: float = 0.0


class TorchDetector(ABC, Generic[N]):
    """A detector (``benchmark.detector.Detector``) made of torch networks ``N``.

    A subclass has an ``__init__`` of keyword-only hyperparameters, each kept in an attribute of
    the same name, and the three abstract methods. Where the score needs more than the trained
    weights (a fitted density, the range of a term), it fills persistent buffers of the networks
    in ``calibrate``.
    """

    components: ClassVar[tuple[str, ...]] = ("score",)
    sizes: ClassVar[tuple[int, ...]] = (28,)
    """Supported image heights (= widths); empty for any."""
    score_batch: ClassVar[int] = 256
    """Images scored at once."""
    memory_format: ClassVar[torch.memory_format] = torch.channels_last
    """Of the weights of convolutions, which their results follow: on a CPU, channels last makes
    an epoch of these networks cost up to 1.8 times less (``performance/README.md``)."""

    _fitted: Fitted | None = None

    @abstractmethod
    def build(self, channels: int, size: int) -> N:
        """Make the networks for images of ``channels`` x ``size`` x ``size``."""

    @abstractmethod
    def phases(self, networks: N) -> Sequence[Phase]:
        """Say how the networks are trained."""

    @abstractmethod
    def anomaly(self, networks: N, images: Tensor) -> Mapping[str, Tensor]:
        """Score float images (B, C, H, W) in [0, 1]: each component (B,), higher is anomalous.

        Called without gradients and in evaluation mode, with generators seeded alike for every
        batch; a score may use ``torch.enable_grad`` on inputs of its own.
        """

    def calibrate(self, networks: N, train: Tensor, validation: Tensor) -> None:
        """Fill buffers that the score needs; called once for each kept model, without gradients.

        Args:
            networks: the model, in evaluation mode.
            train: all training images, uint8 (N, C, H, W); see ``in_batches``.
            validation: all validation images, likewise.
        """
        return None  # most scores need the weights only

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
        """Train on inliers; see ``benchmark.detector.Detector.fit``."""
        shape = self._check(train)
        if self._check(validation) != shape:
            raise ValueError(
                f"training images are {shape}, validation images {validation.shape[1:]}: "
                "make them alike"
            )
        if len(train) < 2 or len(validation) < 1:
            raise ValueError(
                f"{type(self).__name__} needs at least 2 training images and 1 validation image, "
                f"not {len(train)} and {len(validation)}"
            )
        with own_generators(device):
            seed_generators(device, seed)
            networks = self._placed(self.build(shape[2], shape[0]), device)
            identity = {
                "detector": class_path(type(self)),
                **self.hyperparameters,
                "seed": seed,
                "milestones": sorted(map(int, milestones)),
                "images": digest(str(shape), train, validation),
                "networks": digest(
                    *(f"{k} {tuple(v.shape)}" for k, v in networks.state_dict().items())
                ),
            }
            pixels = to_pixels(train, device), to_pixels(validation, device)
            training = run(
                networks,
                self.phases(networks),
                *pixels,
                seed=seed,
                milestones=milestones,
                state_file=StateFile(checkpoint, identity) if checkpoint else None,
                title=type(self).__name__,
            )
            reached = (f"epoch-{n}" for n in sorted(milestones))
            names = ["best", "last", *(name for name in reached if name in training.models)]
            states = {}
            for name in names:
                networks.load_state_dict(training.models[name])
                seed_generators(device, seed)
                with torch.no_grad():
                    self.calibrate(networks.eval(), *pixels)
                states[name] = copy_state(networks)
        facts = {
            "parameters": count_parameters(networks),
            "epochs": training.epoch,
            "best_epoch": training.best_epoch,
        }
        seconds = training.seconds
        self._fitted = Fitted(shape, states, training.history, facts, device, seconds)
        self._refuse_collapse(validation[:COLLAPSE_SAMPLES])
        return self

    def score(self, images: Images, model: str = "best") -> Scores:
        """Score images; see ``benchmark.detector.Detector.score``."""
        parts = list(self._apply(self.anomaly, images, model))
        empty = np.zeros(0, np.float32)
        return {
            name: np.concatenate([empty, *(part[name].float().cpu().numpy() for part in parts)])
            for name in self.components
        }

    @property
    def models(self) -> tuple[str, ...]:
        """The fitted models, none before ``fit``; see ``benchmark.detector.Detector.models``."""
        return tuple(self._fitted.states) if self._fitted else ()

    @property
    def history(self) -> Sequence[Mapping[str, float]]:
        """One row per epoch; see ``benchmark.detector.Detector.history``."""
        return self._fitted.history if self._fitted else []

    @property
    def facts(self) -> Mapping[str, Any]:
        """``parameters``, ``epochs`` and ``best_epoch``."""
        return self._fitted.facts if self._fitted else {}

    @property
    def fit_seconds(self) -> float:
        """Time that training took, interruptions apart."""
        return self._result.seconds

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The keyword arguments of ``__init__`` and their values here."""
        return {name: getattr(self, name) for name in _keywords(type(self))}

    def save(self, directory: Path) -> None:
        """Write ``detector.json``, ``best.safetensors`` and ``last.safetensors``."""
        fitted = self._result
        for name in ("best", "last"):
            write_tensors(directory / f"{name}.safetensors", fitted.states[name])
        description = {
            "detector": class_path(type(self)),
            "hyperparameters": self.hyperparameters,
            "shape": fitted.shape,
            "facts": fitted.facts,
            "history": fitted.history,
        }
        with atomic(directory / "detector.json") as beside:
            beside.write_text(json.dumps(description, indent=1) + "\n")

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read what ``save`` wrote; scores on the CPU."""
        path = directory / "detector.json"
        description = json.loads(path.read_text())
        if description["detector"] != class_path(cls):
            raise ValueError(
                f"{path} holds a {description['detector']}, not a {class_path(cls)}: "
                "load it with its own class"
            )
        keywords = description["hyperparameters"]
        if keywords.keys() != _keywords(cls).keys():
            raise ValueError(
                f"{path} has hyperparameters {sorted(keywords)}, but {cls.__name__} has "
                f"{sorted(_keywords(cls))}: fit it again with this version"
            )
        detector = cls(**keywords)
        height, width, channels = description["shape"]
        detector._fitted = Fitted(
            (height, width, channels),
            {name: read_tensors(directory / f"{name}.safetensors")[0] for name in ("best", "last")},
            description["history"],
            description["facts"],
        )
        return detector

    @property
    def _result(self) -> Fitted:
        if self._fitted is None:
            raise RuntimeError(f"{type(self).__name__} is not fitted: call fit or load first")
        return self._fitted

    def _check(self, images: Images) -> tuple[int, int, int]:
        return image_shape(images, self.sizes, type(self).__name__)

    def _networks(self, model: str) -> N:
        """Build one of the fitted models, ready for scoring."""
        fitted = self._result
        if model not in fitted.states:
            raise KeyError(f"no model '{model}': there are {', '.join(fitted.states)}")
        with own_generators(fitted.device):
            networks = self.build(fitted.shape[2], fitted.shape[0])
        networks.load_state_dict(fitted.states[model])
        return self._placed(networks, fitted.device).eval().requires_grad_(False)

    def _placed(self, networks: N, device: str) -> N:
        return networks.to(device).to(memory_format=self.memory_format)

    def _apply(
        self, function: Callable[[N, Tensor], Mapping[str, Tensor]], images: Images, model: str
    ) -> Iterator[Mapping[str, Tensor]]:
        """Yield what a function of networks and float images gives for each batch."""
        networks, fitted = self._networks(model), self._result
        if self._check(images) != fitted.shape:
            raise ValueError(
                f"fitted to images of {fitted.shape}, asked to score images of {images.shape[1:]}: "
                "fit and score images of the same shape"
            )
        for batch in in_batches(to_pixels(images, fitted.device), self.score_batch):
            with own_generators(fitted.device), torch.no_grad():
                seed_generators(fitted.device, 0)
                yield function(networks, batch)

    def _reconstructed(
        self, function: Callable[[N, Tensor], Tensor], images: Images, model: str
    ) -> Images:
        """Reconstruct uint8 images (N, H, W, C) with a function of networks and float images."""
        parts = self._apply(lambda networks, x: {"images": function(networks, x)}, images, model)
        return np.concatenate([images[:0], *(to_images(part["images"]) for part in parts)])

    def _refuse_collapse(self, images: Images) -> None:
        """Fail if a component gives inliers no number, or different ones the same number."""
        differ = (images != images[:1]).any()
        for name, values in self.score(images).items():
            if not np.isfinite(values).all():
                raise FitFailed(f"the component '{name}' of the best model is NaN or infinite")
            if differ and np.ptp(values) <= COLLAPSE_SPREAD * np.abs(values).max():
                raise FitFailed(
                    f"collapsed: the best model scores every validation image alike "
                    f"({name} {values[0]:.6g})"
                )


def class_path(cls: type) -> str:
    """Return ``package.module:Class``."""
    return f"{cls.__module__}:{cls.__qualname__}"


def digest(*parts: str | Images) -> str:
    """Return a short SHA-256 of texts and arrays."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part.encode() if isinstance(part, str) else np.ascontiguousarray(part).data)
        total.update(b"\0")
    return total.hexdigest()[:16]


def _keywords(cls: type) -> Mapping[str, inspect.Parameter]:
    signature = inspect.signature(cls.__init__)  # type: ignore[misc]
    return {
        name: parameter
        for name, parameter in signature.parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
