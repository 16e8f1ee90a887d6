"""The four detectors of the paper: CAE and VAE, each with and without the gradient constraint.

>>> from gradcon import GradCon
>>> detector = GradCon(epochs=100).fit(train)  # (N, 28, 28, C) uint8, inliers only
>>> scores = detector.anomaly_score(test)  # (M,), higher is more anomalous
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from benchmark.base_detector import BaseDetector, Fitted, Shape
from benchmark.detector import (
    FitFailed,
    Images,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    Scores,
)
from benchmark.errors import InputError
from benchmark.utils.precision import full_float32
from benchmark.utils.tensors import Arrays
from benchmark.utils.values import checked
from gradcon.batches import to_unit
from gradcon.losses import RECONSTRUCTION
from gradcon.networks import Autoencoder, VariationalAutoencoder, initialised
from gradcon.scoring import CHUNK, score_images
from gradcon.settings import AveragedLoss, Precision, ReconstructionLoss, Settings
from gradcon.training import train
from gradcon.training_state import Model, Trained

ALPHA = 0.03
BETA = 4 * ALPHA
"""Weight of the gradient loss in the anomaly score (paper, section 5; official code: 0.12)."""


class AutoencoderDetector(BaseDetector):
    """The four detectors but for their hyperparameters, which ``Settings`` explains.

    A hyperparameter that a detector does not have keeps the value that it has here.
    """

    components: ClassVar[tuple[str, ...]] = ("reconstruction", "gradient")
    sizes: ClassVar[Sequence[int]] = range(12, 1021, 16)  # see ``networks.latent_side``
    least_images: ClassVar[int] = 1
    network: ClassVar[type[Autoencoder]] = Autoencoder

    alpha: float = 0.0
    reconstruction_loss: ReconstructionLoss = "squared_error"
    latent_weight: float = 0.0

    @property
    def settings(self) -> Settings:
        """The hyperparameters as the training takes them."""
        return Settings(**{field.name: getattr(self, field.name) for field in fields(Settings)})

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
        _, train, validation, seed = self.check_training(
            train, validation, seed, device, milestones
        )
        (failure,) = type(self).fit_stack(
            [self],
            [train],
            [validation],
            seeds=[seed],
            checkpoint=checkpoint,
            milestones=milestones,
            device=device,
        )
        if failure is not None:
            raise failure
        return self

    @classmethod
    def fit_stack(
        cls,
        detectors: Sequence["AutoencoderDetector"],
        train_images: Sequence[Images],
        validation: Sequence[Images],
        *,
        seeds: Sequence[int],
        checkpoint: Path | str | None = None,
        milestones: Sequence[int] = (),
        device: str = "cpu",
    ) -> list[FitFailed | None]:
        """Fit several detectors of the same settings together, with the numbers of ``fit``.

        Returns:
            Per detector why it failed, or None.

        Raises:
            InputError: settings or image shapes differ, an unsupported argument, no images.
        """
        counts = [len(part) for part in (detectors, train_images, validation, seeds)]
        if set(counts) != {counts[0]} or not detectors:
            raise InputError(
                "a stack needs one detector at least, and training images, validation images and "
                f"a seed for each; found {counts}"
            )
        settings = _common_settings(detectors)
        parts = zip(train_images, validation, seeds, strict=True)
        shapes, train_images, validation, seeds = zip(
            *(detectors[0].check_training(*part, device, milestones) for part in parts), strict=True
        )
        if len(set(shapes)) != 1:
            raise InputError(
                f"the detectors of a stack need images of one shape; found {sorted(set(shapes))}"
            )
        shape = shapes[0]
        outcomes = train(
            cls.network,
            settings,
            [_tensor(images) for images in train_images],
            [_tensor(images) for images in validation],
            seeds=seeds,
            checkpoint=None if checkpoint is None else Path(checkpoint),
            milestones=milestones,
            device=device,
        )
        for detector, outcome in zip(detectors, outcomes, strict=True):
            if isinstance(outcome, Trained):
                detector._fitted = _fitted(outcome, settings, shape, device)
        return [outcome if isinstance(outcome, FitFailed) else None for outcome in outcomes]

    def score(self, images: Images, model: str = "best") -> Scores:
        """Losses of every image, (N,) each; higher is more anomalous.

        ``reconstruction`` is a mean over pixels, ``latent`` the Kullback-Leibler divergence
        divided by the number of pixels and times ``latent_weight``, ``gradient`` minus the mean
        cosine over the decoder's layers, in [-1, 1] (paper, equations 3 and 4).
        """
        network, reference = self._trained(images, model)
        losses = score_images(
            network, reference, _tensor(images), RECONSTRUCTION[self.reconstruction_loss]
        )
        losses["latent"] *= self.latent_weight / math.prod(self.fitted.shape)
        return {name: losses[name].float().numpy() for name in self.components}

    def anomaly_score(
        self, images: Images, *, beta: float | None = None, model: str = "best"
    ) -> npt.NDArray[np.float32]:
        """Reconstruction (+ latent) + beta * gradient loss, (N,); higher is more anomalous.

        By default beta is the paper's 0.12, and 0 for a detector without the constraint, whose
        anomaly score in the paper leaves the gradient loss out.
        """
        if beta is None:
            beta = BETA if self.alpha > 0 else 0.0
        beta = checked(float, beta, "beta", type(self).__name__)
        losses = self.score(images, model)
        gradient = losses.pop("gradient")
        return sum(losses.values(), start=np.float32(beta) * gradient)

    @full_float32()
    def reconstruct(self, images: Images, model: str = "best") -> Images:
        """The autoencoder's output for the images, (N, H, W, C) uint8."""
        network, _ = self._trained(images, model)
        device = self.fitted.device
        with torch.no_grad():
            logits = torch.cat(
                [
                    network(to_unit(part.to(device))).logits
                    for part in torch.split(_tensor(images), CHUNK)
                ]
            )
        pixels = (torch.sigmoid(logits) * 255).round().to(torch.uint8)
        return pixels.permute(0, 2, 3, 1).cpu().numpy()

    def _trained(self, images: Images, model: str) -> tuple[Autoencoder, Mapping[str, Tensor]]:
        """The network and the reference gradients of a model that can score the images."""
        fitted = self.fitted_to(images, model)
        side, _, channels = fitted.shape
        network = initialised(self.network, channels, side, seed=0)
        network.load_state_dict(_group(fitted.models[model], "parameters"))
        return network.to(fitted.device), _group(fitted.models[model], "reference")


class CAE(AutoencoderDetector):
    """Convolutional autoencoder without the constraint; it keeps a reference all the same."""

    def __init__(
        self,
        *,
        epochs: PositiveInt = 1000,
        batch_size: PositiveInt = 64,
        learning_rate: PositiveFloat = 1e-3,
        reference: AveragedLoss = "total",
        precision: Precision = "float32",
        checkpoint_every: PositiveInt = 1,
    ) -> None:
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.reference: AveragedLoss = reference
        self.precision: Precision = precision
        self.checkpoint_every = checkpoint_every


class GradCon(AutoencoderDetector):
    """CAE + Grad: the convolutional autoencoder trained with the gradient constraint."""

    def __init__(
        self,
        *,
        epochs: PositiveInt = 1000,
        batch_size: PositiveInt = 64,
        learning_rate: PositiveFloat = 1e-3,
        alpha: NonNegativeFloat = ALPHA,
        reference: AveragedLoss = "total",
        precision: Precision = "float32",
        checkpoint_every: PositiveInt = 1,
    ) -> None:
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.alpha = alpha
        self.reference: AveragedLoss = reference
        self.precision: Precision = precision
        self.checkpoint_every = checkpoint_every


class VAE(AutoencoderDetector):
    """Variational autoencoder without the constraint.

    The paper's loss weights are not published. Here the loss of an image is the negative evidence
    lower bound: the reconstruction loss summed over pixels plus ``latent_weight`` times the
    Kullback-Leibler divergence summed over the latent vector, divided by the number of pixels.
    """

    components: ClassVar[tuple[str, ...]] = ("reconstruction", "latent", "gradient")
    network: ClassVar[type[Autoencoder]] = VariationalAutoencoder

    def __init__(
        self,
        *,
        epochs: PositiveInt = 1000,
        batch_size: PositiveInt = 64,
        learning_rate: PositiveFloat = 1e-3,
        reference: AveragedLoss = "total",
        reconstruction_loss: ReconstructionLoss = "cross_entropy",
        latent_weight: NonNegativeFloat = 1.0,
        precision: Precision = "float32",
        checkpoint_every: PositiveInt = 1,
    ) -> None:
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.reference: AveragedLoss = reference
        self.reconstruction_loss: ReconstructionLoss = reconstruction_loss
        self.latent_weight = latent_weight
        self.precision: Precision = precision
        self.checkpoint_every = checkpoint_every


class GradConVAE(AutoencoderDetector):
    """VAE + Grad: the variational autoencoder trained with the gradient constraint.

    The constrained gradient is that of the reconstruction loss at the transposed convolutions'
    weights, as for CAE + Grad; the latent loss has none there. For the losses see ``VAE``.
    """

    components: ClassVar[tuple[str, ...]] = ("reconstruction", "latent", "gradient")
    network: ClassVar[type[Autoencoder]] = VariationalAutoencoder

    def __init__(
        self,
        *,
        epochs: PositiveInt = 1000,
        batch_size: PositiveInt = 64,
        learning_rate: PositiveFloat = 1e-3,
        alpha: NonNegativeFloat = ALPHA,
        reference: AveragedLoss = "total",
        reconstruction_loss: ReconstructionLoss = "cross_entropy",
        latent_weight: NonNegativeFloat = 1.0,
        precision: Precision = "float32",
        checkpoint_every: PositiveInt = 1,
    ) -> None:
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.alpha = alpha
        self.reference: AveragedLoss = reference
        self.reconstruction_loss: ReconstructionLoss = reconstruction_loss
        self.latent_weight = latent_weight
        self.precision: Precision = precision
        self.checkpoint_every = checkpoint_every


def _common_settings(detectors: Sequence[AutoencoderDetector]) -> Settings:
    """The settings of all detectors of a stack; ``InputError`` if they differ."""
    settings = detectors[0].settings
    for detector in detectors:
        for name, value in vars(detector.settings).items():
            if value != getattr(settings, name):
                raise InputError(
                    f"the detectors of a stack need the same settings; {name} is "
                    f"{getattr(settings, name)!r} in one and {value!r} in another"
                )
    return settings


def _fitted(trained: Trained, settings: Settings, shape: Shape, device: str) -> Fitted:
    best = trained.history[trained.best_epoch - 1]
    facts = {
        "parameters": sum(t.numel() for t in trained.models["best"].parameters.values()),
        "epochs": len(trained.history),
        "best_epoch": trained.best_epoch,
        "alpha": settings.alpha,
        "form": trained.form,
        "best_validation_loss": best["validation_loss"],
    }
    models = {name: _arrays(model) for name, model in trained.models.items()}
    return Fitted(shape, models, trained.history, facts, trained.seconds, device)


def _arrays(model: Model) -> Arrays:
    return {
        f"{group}/{name}": tensor.numpy()
        for group, tensors in vars(model).items()
        for name, tensor in tensors.items()
    }


def _group(arrays: Arrays, group: str) -> dict[str, Tensor]:
    """The parameters or the references among the tensors of a model."""
    start = group + "/"
    return {
        name.removeprefix(start): torch.from_numpy(array)
        for name, array in arrays.items()
        if name.startswith(start)
    }


def _tensor(images: Images) -> Tensor:
    """(N, H, W, C) uint8 to a tensor of (N, C, H, W)."""
    return torch.tensor(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
