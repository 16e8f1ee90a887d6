"""The networks of GPND (Pidhorskyi et al., NeurIPS 2018) and the densities that its score fits."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

Architecture = Literal["released_2018", "released_2020"]

SIDE = 32
BINS = 30

Make = Callable[..., nn.Module]


class Networks(nn.Module):
    """Encoder, generator and both discriminators, whose outputs are logits (B,).

    The original's last layer is ``tanh(a) / 2 + 1 / 2 = sigmoid(2 a)``. The generator here returns
    a, half a logit, from which the cross entropy is computed without rounding to 0 or 1.

    Attributes:
        gennorm: shape, location and scale of each code dimension, (3, latent).
        edges: of the histogram of distances, (31,).
        density: in each of its bins, (30,).
    """

    gennorm: Tensor
    edges: Tensor
    density: Tensor

    def __init__(
        self, architecture: Architecture, channels: int, *, width: int, latent: int
    ) -> None:
        super().__init__()
        half = max(width // 2, 1)
        first = half if architecture == "released_2018" else width
        self.encoder = _down(channels, first, width, latent)
        self.generator = _up(latent, width, channels)
        self.visual = nn.Sequential(_down(channels, half, width, 1), nn.Flatten(0))
        self.latent = _dense(latent, width)
        self.apply(_initialise)
        self.register_buffer("gennorm", torch.zeros(3, latent, dtype=torch.float64))
        self.register_buffer("edges", torch.zeros(BINS + 1, dtype=torch.float64))
        self.register_buffer("density", torch.zeros(BINS, dtype=torch.float64))

    def generate(self, codes: Tensor) -> Tensor:
        """Turn codes (B, latent) into images (B, C, 32, 32) in (0, 1)."""
        return torch.sigmoid(2 * self.generator(codes))


def enlarge(images: Tensor) -> Tensor:
    """Resize images (B, C, H, H) to 32x32."""
    return interpolate(images, size=(SIDE, SIDE), mode="bilinear")


def reduce(images: Tensor, size: int) -> Tensor:
    """Resize images (B, C, 32, 32) back to ``size`` x ``size``."""
    return interpolate(images, size=(size, size), mode="bilinear", antialias=True)


def _block(make: Make, before: int, after: int, activation: nn.Module) -> list[nn.Module]:
    layer = make(before, after, 4, stride=2, padding=1)
    return [layer, nn.BatchNorm2d(after), activation]


def _down(channels: int, first: int, width: int, outputs: int) -> nn.Sequential:
    leaky = nn.LeakyReLU(0.2)
    return nn.Sequential(
        nn.Conv2d(channels, first, 4, stride=2, padding=1),
        leaky,
        *_block(nn.Conv2d, first, 2 * width, leaky),
        *_block(nn.Conv2d, 2 * width, 4 * width, leaky),
        nn.Conv2d(4 * width, outputs, 4),
        nn.Flatten(),
    )


def _up(latent: int, width: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Unflatten(1, (latent, 1, 1)),
        nn.ConvTranspose2d(latent, 2 * width, 4),
        nn.BatchNorm2d(2 * width),
        nn.ReLU(),
        *_block(nn.ConvTranspose2d, 2 * width, 2 * width, nn.ReLU()),
        *_block(nn.ConvTranspose2d, 2 * width, width, nn.ReLU()),
        nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1),
    )


def _dense(latent: int, width: int) -> nn.Sequential:
    leaky = nn.LeakyReLU(0.2)
    layers = nn.Linear(latent, width), leaky, nn.Linear(width, width), leaky, nn.Linear(width, 1)
    return nn.Sequential(*layers, nn.Flatten(0))


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
