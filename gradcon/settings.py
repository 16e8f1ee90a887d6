"""The hyperparameters of a training."""

import math
from dataclasses import dataclass
from numbers import Real
from typing import Literal, get_args

from benchmark.errors import InputError

AveragedLoss = Literal["total", "reconstruction"]
ReconstructionLoss = Literal["squared_error", "cross_entropy"]
Precision = Literal["float32", "tf32", "bfloat16"]


@dataclass(frozen=True)
class Settings:
    """Hyperparameters of a training; the defaults of the detectors are the paper's.

    Raises:
        InputError: a value out of its range.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    alpha: float
    """Weight of the gradient loss; 0 trains a plain autoencoder that still keeps a reference."""
    reference: AveragedLoss
    """The loss whose gradients the reference averages: the total loss, as in the official code, or
    the reconstruction loss, as the paper writes."""
    reconstruction_loss: ReconstructionLoss
    latent_weight: float
    """Weight of the latent loss per pixel: the sum of the losses over an image is
    reconstruction + latent_weight * latent."""
    precision: Precision
    """Of the forward and backward passes; weights, losses and Adam are float32 in all. ``tf32``
    rounds the factors of products and convolutions to 10 bits, which only a GPU can."""
    checkpoint_every: int
    """An epoch can become the best model only if its index (from 0) is a multiple of this, or if
    it is the last; 1 considers all, 5 is the official code's rule."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "checkpoint_every"):
            value = getattr(self, name)
            self._require(name, isinstance(value, int) and value >= 1, "a whole number from 1")
        rate = self.learning_rate
        self._require("learning_rate", _is_number(rate) and rate > 0, "a number above 0")
        for name in ("alpha", "latent_weight"):
            value = getattr(self, name)
            self._require(name, _is_number(value) and value >= 0, "a number from 0")
        for name, kind in (
            ("reference", AveragedLoss),
            ("reconstruction_loss", ReconstructionLoss),
            ("precision", Precision),
        ):
            choices = get_args(kind)
            self._require(name, getattr(self, name) in choices, " or ".join(choices))

    def _require(self, name: str, valid: bool, expected: str) -> None:
        if not valid:
            raise InputError(f"{name} is {getattr(self, name)!r}; give {expected}")


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and math.isfinite(value)
