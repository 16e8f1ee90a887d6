"""The parts of GPND's score: Jacobians, the part of a residual normal to the manifold, densities.

Jacobians and all that is computed from them are float64, because the score is a sum of some
thousand logarithms.
"""

import math
import warnings
from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import FitError, gennorm
from torch import Tensor

Tails = Literal["extended", "falling"]
Vector = npt.NDArray[np.float64]

LOWEST_LOG = -1000.0
"""The least log density of a code dimension: the released code's value where it is not finite."""
TINY = 1e-308
"""The density of an empty bin in the 2020 code."""
SMALLEST = 1e-12
"""The least singular value and the least distance, so that their logarithms are finite."""


def encoder_tangents(encoder: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """The Jacobian of each image's code: one backward pass per code dimension, all in one batch.

    Args:
        encoder: (B, ...) to codes (B, n); a sample's code must not depend on the others.
        images: (B, ...), m values each.

    Returns:
        The Jacobians dz/dx, (B, n, m).
    """
    codes, pull = torch.func.vjp(encoder, images)  # type: ignore[misc]
    (rows,) = torch.func.vmap(pull)(_basis(codes))
    return _by_sample(rows)


def decoder_tangents(decoder: Callable[[Tensor], Tensor], codes: Tensor) -> Tensor:
    """The Jacobian of each code's image: one forward pass per code dimension, all in one batch.

    Args:
        decoder: codes (B, n) to (B, ...), m values each; a sample's image must not depend on the
            others.
        codes: (B, n).

    Returns:
        The transposed Jacobians (dx/dz)', (B, n, m).
    """

    def push(direction: Tensor) -> Tensor:
        moved: Tensor = torch.func.jvp(decoder, (codes,), (direction,))[1]
        return moved

    with warnings.catch_warnings():
        # The first forward derivative imports a part of torch that warns of deprecated calls.
        warnings.simplefilter("ignore", FutureWarning)
        rows = torch.func.vmap(push)(_basis(codes))
    return _by_sample(rows)


def _basis(codes: Tensor) -> Tensor:
    eye = torch.eye(codes.shape[1], dtype=codes.dtype, device=codes.device)
    return eye.unsqueeze(1).expand(-1, len(codes), -1)


def _by_sample(rows: Tensor) -> Tensor:
    tangents: Tensor = rows.flatten(2).transpose(0, 1).double()
    return tangents


def log_determinant(tangents: Tensor) -> Tensor:
    """Sum the logarithms of the singular values of each sample's (n, m) matrix: (B,)."""
    values: Tensor = torch.linalg.svdvals(tangents)
    return values.clamp_min(SMALLEST).log().sum(1)


def normal_part(residuals: Tensor, tangents: Tensor) -> Tensor:
    """Remove from each residual its part in the space that the tangents span.

    Args:
        residuals: (B, m).
        tangents: (B, n, m), independent rows.

    Returns:
        The normal parts, (B, m).
    """
    axes = torch.linalg.svd(tangents, full_matrices=False)[2]
    along = torch.einsum("bnm,bm->bn", axes, residuals)
    return residuals - torch.einsum("bnm,bn->bm", axes, along)


def fit_gennorm(codes: Vector) -> Vector:
    """Fit a generalised normal distribution to each code dimension by maximum likelihood.

    Args:
        codes: (N, n).

    Returns:
        Shape, location and scale as in ``scipy.stats.gennorm``, (3, n). Where the fit fails, or
        the codes do not vary, those of the normal distribution with their mean and deviation.
    """
    return np.stack([_fit_gennorm(values) for values in codes.T], axis=1)


def _fit_gennorm(values: Vector) -> Vector:
    location = float(values.mean())
    scale = math.sqrt(2) * max(float(values.std()), 1e-6)
    normal = np.array([2.0, location, scale])
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            fitted = np.array(gennorm.fit(values, 2.0, loc=location, scale=scale), np.float64)
    except FitError:
        return normal
    return fitted if np.isfinite(fitted).all() and min(fitted[0], fitted[2]) > 0 else normal


def gennorm_log_density(codes: Tensor, parameters: Tensor) -> Tensor:
    """Log density of each code dimension, at least ``LOWEST_LOG``: (B, n) to (B, n)."""
    shape, location, scale = parameters
    constant = (shape / (2 * scale)).log() - torch.lgamma(1 / shape)
    density: Tensor = constant - ((codes - location).abs() / scale).pow(shape)
    return density.clamp_min(LOWEST_LOG)


def fit_histogram(distances: Vector, bins: int, tails: Tails) -> tuple[Vector, Vector]:
    """Make the histogram of distances (N,): edges (bins + 1,) and densities (bins,).

    Bins of the right tail are empty by chance, because it has few samples. An empty bin gets half
    the least density of the others ("extended") or ``TINY`` ("falling").
    """
    density, edges = np.histogram(distances, bins, density=True)
    empty = density[density > 0].min() / 2 if tails == "extended" else TINY
    return edges, np.where(density > 0, density, empty)


def histogram_log_density(
    distances: Tensor, edges: Tensor, density: Tensor, tails: Tails
) -> Tensor:
    """Log density of distances (B,) by the histogram.

    Args:
        distances: positive.
        edges: (bins + 1,).
        density: positive, (bins,).
        tails: outside the histogram, the density of the nearest bin, or a density that falls
            linearly to 0 below the first edge and is ``TINY`` above the last.
    """
    values = density[torch.searchsorted(edges[1:-1].contiguous(), distances, right=True)]
    if tails == "falling":
        values = torch.where(distances < edges[0], values * distances / edges[0], values)
        values = torch.where(distances > edges[-1], TINY, values)
    return values.clamp_min(TINY).log()


def sphere_log_density(
    log_density: Tensor, distances: Tensor, dimensions: float, exponent: float
) -> Tensor:
    """Log density of a vector from that of its length, with a uniform direction.

    ``log p(r) - exponent log r + log Gamma(N / 2) - log(2 pi^(N / 2))`` with N = ``dimensions``.
    For the area of the sphere the exponent is N - 1.
    """
    area = math.log(2) + dimensions / 2 * math.log(math.pi) - math.lgamma(dimensions / 2)
    return log_density - exponent * distances.log() - area
