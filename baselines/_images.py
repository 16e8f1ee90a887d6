"""Conversions between images as arrays and images as tensors, for the torch baselines."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from benchmark.detector import Images


def to_pixels(images: Images, device: str) -> Tensor:
    """Copy (N, H, W, C) uint8 images into a uint8 tensor (N, C, H, W) on the device."""
    # A copy: images may be a read-only memory map, which torch must not alias.
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)).copy()).to(device)


def to_images(batch: Tensor) -> Images:
    """Turn a float batch (N, C, H, W) into uint8 images (N, H, W, C), clipping to [0, 1]."""
    pixels = (batch.clamp(0, 1) * 255).round().to(torch.uint8)
    return np.ascontiguousarray(pixels.permute(0, 2, 3, 1).cpu().numpy())


def to_unit(pixels: Tensor) -> Tensor:
    """Turn uint8 pixels into float32 in [0, 1]."""
    return pixels.to(torch.float32) / 255


def in_batches(pixels: Tensor, size: int) -> Iterator[Tensor]:
    """Yield all pixels in their order, as float batches (at most ``size``, C, H, W) in [0, 1]."""
    for part in torch.split(pixels, size):
        if len(part):
            yield to_unit(part)


def add_noise(images: Tensor, deviation: float) -> Tensor:
    """Add Gaussian noise of this standard deviation to images in [0, 1], and clip to [0, 1]."""
    return (images + deviation * torch.randn_like(images)).clamp(0, 1)
