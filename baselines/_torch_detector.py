"""The detector interface for methods made of torch networks.

An author writes the networks, the phases of training and the score; see ``TorchDetector``. The
training loop is ``_training.run``.
"""

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Generic, Self, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from baselines._collapse import refuse_collapse
from baselines._images import in_batches, to_images, to_pixels
from baselines._networks import count_parameters
from baselines._state import StateFile, copy_state, load_state
from baselines._training import Phase, own_generators, run, seed_generators
from benchmark.base_detector import BaseDetector, Fitted, class_path
from benchmark.detector import Images, Scores
from benchmark.utils.precision import full_float32

N = TypeVar("N", bound=nn.Module)


class TorchDetector(BaseDetector, Generic[N]):
    """A detector made of torch networks ``N``.

    A subclass has an ``__init__`` of keyword-only hyperparameters, each kept in an attribute of
    the same name, and the three abstract methods. Where the score needs more than the trained
    weights (a fitted density, the range of a term), it fills persistent buffers of the networks
    in ``calibrate``.
    """

    sizes: ClassVar[tuple[int, ...]] = (28,)
    score_batch: ClassVar[int] = 256
    """Images scored at once."""
    memory_format: ClassVar[torch.memory_format] = torch.channels_last
    """Layout of the convolutions' weights, and so of their outputs. On a CPU, channels last makes
    an epoch of these networks up to 1.8 times as fast (``performance/README.md``)."""

    @abstractmethod
    def build(self, channels: int, size: int) -> N:
        """Make the networks for images of ``channels`` x ``size`` x ``size``."""

    @abstractmethod
    def phases(self, networks: N) -> Sequence[Phase]:
        """Define how the networks are trained."""

    @abstractmethod
    def anomaly(self, networks: N, images: Tensor) -> Mapping[str, Tensor]:
        """Score float images (B, C, H, W) in [0, 1]: each component (B,), higher is more anomalous.

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
        return None  # most scores need nothing but the trained weights

    @full_float32()
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
        """Train on inliers; see ``benchmark.detector.Detector.fit``."""
        shape, train, validation, seed = self.check_training(
            train, validation, seed, device, milestones
        )
        with own_generators(device):
            seed_generators(device, seed)
            networks = self._placed(self.build(shape[2], shape[0]), device)
            identity = {
                "detector": class_path(type(self)),
                **self.hyperparameters,
                "seed": seed,
                "milestones": sorted(map(int, milestones)),
                "images": _sha256(str(shape), train, validation),
                "networks": _sha256(
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
                state_file=StateFile(Path(checkpoint), identity) if checkpoint else None,
                title=type(self).__name__,
            )
            reached = (f"epoch-{n}" for n in sorted(milestones))
            names = ["best", "last", *(name for name in reached if name in training.models)]
            models = {}
            for name in names:
                load_state(networks, training.models[name])
                seed_generators(device, seed)
                with torch.no_grad():
                    self.calibrate(networks.eval(), *pixels)
                models[name] = copy_state(networks)
        facts = {
            "parameters": count_parameters(networks),
            "epochs": training.epoch,
            "best_epoch": training.best_epoch,
        }
        self._fitted = Fitted(shape, models, training.history, facts, training.seconds, device)
        refuse_collapse(self, validation)
        return self

    def score(self, images: Images, model: str = "best") -> Scores:
        """Score images; see ``benchmark.detector.Detector.score``."""
        parts = list(self._apply(self.anomaly, images, model))
        empty = np.zeros(0, np.float32)
        return {
            name: np.concatenate([empty, *(part[name].float().cpu().numpy() for part in parts)])
            for name in self.components
        }

    def _networks(self, model: str) -> N:
        """Build one of the fitted models, ready for scoring."""
        fitted = self.fitted
        with own_generators(fitted.device):
            networks = self.build(fitted.shape[2], fitted.shape[0])
        load_state(networks, fitted.models[model])
        return self._placed(networks, fitted.device).eval().requires_grad_(False)

    def _placed(self, networks: N, device: str) -> N:
        return networks.to(device).to(memory_format=self.memory_format)

    def _apply(
        self, function: Callable[[N, Tensor], Mapping[str, Tensor]], images: Images, model: str
    ) -> Iterator[Mapping[str, Tensor]]:
        """Yield the results of a function of networks and float images, batch by batch."""
        device = self.fitted_to(images, model).device
        networks = self._networks(model)
        for batch in in_batches(to_pixels(images, device), self.score_batch):
            with own_generators(device), torch.no_grad(), full_float32():
                seed_generators(device, 0)
                yield function(networks, batch)

    def _reconstructed(
        self, function: Callable[[N, Tensor], Tensor], images: Images, model: str
    ) -> Images:
        """Reconstruct uint8 images (N, H, W, C) with a function of networks and float images."""
        parts = self._apply(lambda networks, x: {"images": function(networks, x)}, images, model)
        return np.concatenate([images[:0], *(to_images(part["images"]) for part in parts)])


def _sha256(*parts: str | Images) -> str:
    """The first 16 digits of the SHA-256 of texts and arrays."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part.encode() if isinstance(part, str) else np.ascontiguousarray(part).data)
        total.update(b"\0")
    return total.hexdigest()[:16]
