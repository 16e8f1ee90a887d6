"""The four detectors of the paper: CAE and VAE, each with and without the gradient constraint.

>>> from gradcon import GradCon
>>> detector = GradCon(epochs=100).fit(train)  # (N, 28, 28, C) uint8, inliers only
>>> scores = detector.anomaly_score(test)  # (M,), higher is more anomalous
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from benchmark.detector import (
    FitFailed,
    Images,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    Scores,
)
from benchmark.errors import InputError
from benchmark.utils import tensors as checkpoints
from benchmark.utils.files import atomic
from gradcon.batches import to_unit
from gradcon.kernels.precision import full_float32
from gradcon.losses import RECONSTRUCTION
from gradcon.networks import (
    Autoencoder,
    VariationalAutoencoder,
    decoder_weights,
    initialised,
    latent_side,
)
from gradcon.scoring import CHUNK, score_images
from gradcon.settings import Settings
from gradcon.training import train
from gradcon.training_state import Model, Trained

ALPHA = 0.03
BETA = 4 * ALPHA
"""Weight of the gradient loss in the anomaly score (paper, section 5; official code: 0.12)."""
VALIDATION_SHARE = 0.1


class AutoencoderDetector:
    """What the four detectors share: everything but the hyperparameters."""

    components: ClassVar[tuple[str, ...]] = ("reconstruction", "gradient")
    network: ClassVar[type[Autoencoder]] = Autoencoder

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._trained: Trained | None = None
        self._image_shape: tuple[int, ...] = ()
        self._device = "cpu"

    def fit(
        self,
        train: Images,
        validation: Images | None = None,
        *,
        seed: int = 0,
        checkpoint: Path | None = None,
        milestones: Sequence[int] = (),
        device: str = "cpu",
    ) -> Self:
        """Train on inliers; see ``benchmark.detector.Detector.fit``.

        Without ``validation``, a tenth of ``train``, drawn by ``seed``, takes its place.
        """
        if validation is None:
            train, validation = _hold_out(train, seed)
        (outcome,) = type(self).fit_stack(
            [self],
            [train],
            [validation],
            seeds=[seed],
            checkpoint=checkpoint,
            milestones=milestones,
            device=device,
        )
        if outcome is not None:
            raise outcome
        return self

    @classmethod
    def fit_stack(
        cls,
        detectors: Sequence["AutoencoderDetector"],
        train_images: Sequence[Images],
        validation: Sequence[Images],
        *,
        seeds: Sequence[int],
        checkpoint: Path | None = None,
        milestones: Sequence[int] = (),
        device: str = "cpu",
    ) -> list[FitFailed | None]:
        """Fit several detectors of the same settings together, with the numbers of ``fit``.

        Returns:
            Per detector why it failed, or None.

        Raises:
            InputError: settings or image shapes differ, unsupported images, no images.
        """
        counts = [len(part) for part in (detectors, train_images, validation, seeds)]
        if set(counts) != {counts[0]} or not detectors:
            raise InputError(
                "a stack needs one detector at least, and training images, validation images and "
                f"a seed for each; found {counts}"
            )
        settings = detectors[0].settings
        data = [_tensor(images) for images in train_images]
        held = [_tensor(images) for images in validation]
        shapes = {images.shape[1:] for images in (*train_images, *validation)}
        if len(shapes) != 1:
            raise InputError(
                f"the detectors of a stack need images of one shape; found {sorted(shapes)}"
            )
        for detector in detectors:
            for name, value in asdict(detector.settings).items():
                if value != getattr(settings, name):
                    raise InputError(
                        f"the detectors of a stack need the same settings; {name} is "
                        f"{getattr(settings, name)!r} in one and {value!r} in another"
                    )
        outcomes = train(
            cls.network,
            settings,
            data,
            held,
            seeds=seeds,
            checkpoint=checkpoint,
            milestones=milestones,
            device=device,
        )
        failures: list[FitFailed | None] = []
        for detector, outcome in zip(detectors, outcomes, strict=True):
            detector._device = device
            detector._image_shape = shapes.copy().pop()
            if isinstance(outcome, FitFailed):
                failures.append(outcome)
            else:
                detector._trained = outcome
                failures.append(None)
        return failures

    @property
    def models(self) -> tuple[str, ...]:
        """``best``, ``last`` and the milestones reached."""
        return tuple(self._fitted().models)

    @property
    def history(self) -> Sequence[Mapping[str, float]]:
        """Per epoch: ``loss`` (what is minimised) and its parts, for training and validation."""
        return self._fitted().history

    @property
    def fit_seconds(self) -> float:
        """Time spent in epochs, over all sessions of a training that was resumed."""
        return self._fitted().seconds

    @property
    def facts(self) -> Mapping[str, Any]:
        """Parameters, epochs, the best model's epoch and its validation loss."""
        trained = self._fitted()
        best = trained.history[trained.best_epoch - 1]
        return {
            "parameters": sum(t.numel() for t in trained.models["best"].parameters.values()),
            "epochs": len(trained.history),
            "best_epoch": trained.best_epoch,
            "alpha": self.settings.alpha,
            "best_validation_loss": best["validation_loss"],
        }

    def score(self, images: Images, model: str = "best") -> Scores:
        """Losses of every image, (N,) each; higher is more anomalous.

        ``reconstruction`` is a mean over pixels, ``latent`` the Kullback-Leibler divergence
        divided by the number of pixels, ``gradient`` minus the mean cosine over the decoder's
        layers, in [-1, 1] (paper, equations 3 and 4).
        """
        network, reference = self._network(model)
        losses = score_images(
            network,
            reference,
            self._checked(images),
            RECONSTRUCTION[self.settings.reconstruction_loss],
        )
        pixels = int(np.prod(self._image_shape))
        losses["latent"] *= self.settings.latent_weight / pixels
        return {name: losses[name].float().numpy() for name in self.components}

    def anomaly_score(
        self, images: Images, beta: float = BETA, model: str = "best"
    ) -> npt.NDArray[np.float32]:
        """Reconstruction (+ latent) + beta * gradient loss, (N,); higher is more anomalous."""
        losses = self.score(images, model)
        gradient = losses.pop("gradient")
        return sum(losses.values(), start=np.float32(beta) * gradient)

    @full_float32()
    def reconstruct(self, images: Images, model: str = "best") -> Images:
        """What the autoencoder makes of the images, (N, H, W, C) uint8."""
        network, _ = self._network(model)
        with torch.no_grad():
            logits = torch.cat(
                [
                    network(to_unit(part.to(self._device))).logits
                    for part in torch.split(self._checked(images), CHUNK)
                ]
            )
        pixels = (torch.sigmoid(logits) * 255).round().to(torch.uint8)
        return pixels.permute(0, 2, 3, 1).cpu().numpy()

    def save(self, directory: Path) -> None:
        """Write ``detector.json``, ``best.safetensors`` and ``last.safetensors``."""
        trained = self._fitted()
        description = {
            "detector": type(self).__name__,
            "settings": asdict(self.settings),
            "image_shape": list(self._image_shape),
            "best_epoch": trained.best_epoch,
            "seconds": trained.seconds,
            "history": trained.history,
        }
        for name in ("best", "last"):
            model = trained.models[name]
            tensors = {f"parameters/{key}": value for key, value in model.parameters.items()}
            tensors |= {f"reference/{key}": value for key, value in model.reference.items()}
            checkpoints.write(directory / f"{name}.safetensors", tensors, {})
        with atomic(directory / "detector.json") as beside:
            beside.write_text(json.dumps(description, indent=1))

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read what ``save`` wrote.

        Raises:
            InputError: the directory holds another detector, or a damaged or foreign file.
        """
        path = directory / "detector.json"
        try:
            description = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise InputError(
                f"{path}: cannot be read ({error}); name a directory that save wrote"
            ) from error
        if description.get("detector") != cls.__name__:
            raise InputError(
                f"{path}: holds a {description.get('detector')}, not a {cls.__name__}; "
                f"load it with {description.get('detector')}.load"
            )
        detector = cls.__new__(cls)
        AutoencoderDetector.__init__(detector, Settings(**description["settings"]))
        detector._image_shape = tuple(description["image_shape"])
        models = {}
        for name in ("best", "last"):
            file = directory / f"{name}.safetensors"
            tensors, _ = checkpoints.read(file)
            model = Model(_group(tensors, "parameters"), _group(tensors, "reference"))
            _require_fitting(file, model, detector._fresh_network())
            models[name] = model
        detector._trained = Trained(
            models, description["history"], description["best_epoch"], description["seconds"]
        )
        return detector

    def _fitted(self) -> Trained:
        if self._trained is None:
            raise RuntimeError(f"{type(self).__name__} is not fitted: call fit or load first")
        return self._trained

    def _network(self, model: str) -> tuple[Autoencoder, Mapping[str, Tensor]]:
        trained = self._fitted()
        if model not in trained.models:
            raise KeyError(f"no model {model!r}; there are {', '.join(trained.models)}")
        network = self._fresh_network()
        network.load_state_dict(trained.models[model].parameters)
        return network.to(self._device), trained.models[model].reference

    def _fresh_network(self) -> Autoencoder:
        side, _, channels = self._image_shape
        return initialised(self.network, channels, side, seed=0)

    def _checked(self, images: Images) -> Tensor:
        _require_array(images)
        if images.shape[1:] != self._image_shape:
            raise ValueError(
                f"images of shape {images.shape[1:]} (height, width, channels), but the detector "
                f"was fitted to {self._image_shape}"
            )
        return _tensor(images)


class CAE(AutoencoderDetector):
    """Convolutional autoencoder without the constraint; it keeps a reference all the same."""

    def __init__(
        self,
        *,
        epochs: PositiveInt = 1000,
        batch_size: PositiveInt = 64,
        learning_rate: PositiveFloat = 1e-3,
        reference: Literal["total", "reconstruction"] = "total",
        precision: Literal["float32", "bfloat16"] = "float32",
        checkpoint_every: PositiveInt = 1,
    ) -> None:
        super().__init__(
            Settings(
                epochs=epochs,
                batch_size=batch_size,
                learning_rate=learning_rate,
                alpha=0.0,
                reference=reference,
                reconstruction_loss="squared_error",
                latent_weight=0.0,
                precision=precision,
                checkpoint_every=checkpoint_every,
            )
        )


class GradCon(AutoencoderDetector):
    """CAE + Grad: the convolutional autoencoder trained with the gradient constraint."""

    def __init__(
        self,
        *,
        epochs: PositiveInt = 1000,
        batch_size: PositiveInt = 64,
        learning_rate: PositiveFloat = 1e-3,
        alpha: NonNegativeFloat = ALPHA,
        reference: Literal["total", "reconstruction"] = "total",
        precision: Literal["float32", "bfloat16"] = "float32",
        checkpoint_every: PositiveInt = 1,
    ) -> None:
        super().__init__(
            Settings(
                epochs=epochs,
                batch_size=batch_size,
                learning_rate=learning_rate,
                alpha=alpha,
                reference=reference,
                reconstruction_loss="squared_error",
                latent_weight=0.0,
                precision=precision,
                checkpoint_every=checkpoint_every,
            )
        )


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
        reference: Literal["total", "reconstruction"] = "total",
        reconstruction_loss: Literal["squared_error", "cross_entropy"] = "cross_entropy",
        latent_weight: NonNegativeFloat = 1.0,
        precision: Literal["float32", "bfloat16"] = "float32",
        checkpoint_every: PositiveInt = 1,
    ) -> None:
        super().__init__(
            Settings(
                epochs=epochs,
                batch_size=batch_size,
                learning_rate=learning_rate,
                alpha=0.0,
                reference=reference,
                reconstruction_loss=reconstruction_loss,
                latent_weight=latent_weight,
                precision=precision,
                checkpoint_every=checkpoint_every,
            )
        )


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
        reference: Literal["total", "reconstruction"] = "total",
        reconstruction_loss: Literal["squared_error", "cross_entropy"] = "cross_entropy",
        latent_weight: NonNegativeFloat = 1.0,
        precision: Literal["float32", "bfloat16"] = "float32",
        checkpoint_every: PositiveInt = 1,
    ) -> None:
        super().__init__(
            Settings(
                epochs=epochs,
                batch_size=batch_size,
                learning_rate=learning_rate,
                alpha=alpha,
                reference=reference,
                reconstruction_loss=reconstruction_loss,
                latent_weight=latent_weight,
                precision=precision,
                checkpoint_every=checkpoint_every,
            )
        )


def _tensor(images: Images) -> Tensor:
    """(N, H, W, C) uint8 to a tensor of (N, C, H, W).

    Raises:
        InputError: another type or shape, no images, or an unsupported size.
    """
    _require_array(images)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] != images.shape[2]:
        raise InputError(
            f"images of shape {images.shape} and type {images.dtype}: "
            "give square ones as (N, H, W, C) uint8 in 0..255"
        )
    if len(images) == 0:
        raise InputError("no images: training, validation and scoring need at least one")
    latent_side(images.shape[1], images.shape[3])
    return torch.tensor(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def _require_array(images: object) -> None:
    if not isinstance(images, np.ndarray):
        raise InputError(
            f"images are a {type(images).__name__}; give an array of (N, H, W, C) uint8 in 0..255"
        )


def _require_fitting(file: Path, model: Model, network: Autoencoder) -> None:
    """Refuse weights of another architecture, by name and shape."""
    expected = {name: value.shape for name, value in network.named_parameters()}
    found = {name: value.shape for name, value in model.parameters.items()}
    means = {name: value.shape for name, value in model.reference.items()}
    if found != expected or means != {name: expected[name] for name in decoder_weights(network)}:
        raise InputError(
            f"{file}: weights of another architecture than detector.json beside it says; "
            "put back the file that save wrote"
        )


def _hold_out(images: Images, seed: int) -> tuple[Images, Images]:
    _require_array(images)
    if len(images) < 2:
        raise InputError(
            f"images: {len(images)}; training without validation images needs at least two"
        )
    order = np.random.default_rng(seed).permutation(len(images))
    held = max(1, round(VALIDATION_SHARE * len(images)))
    return images[order[held:]], images[order[:held]]


def _group(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    start = prefix + "/"
    return {key.removeprefix(start): v for key, v in tensors.items() if key.startswith(start)}
