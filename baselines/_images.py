"""Images as arrays, images as tensors: the only place where the torch baselines convert."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from benchmark.detector import Images

CHANNELS = (1, 3)


def image_shape(images: Images, sizes: Sequence[int], method: str) -> tuple[int, int, int]:
    """Return (H, W, C) of a batch of images that a method supports.

    Args:
        images: anything that claims to be a batch of images.
        sizes: the supported heights (= widths); empty for any square image.
        method: name for the message.

    Raises:
        ValueError: not a uint8 array (N, H, W, C), or a size or channel count not supported.
    """
    if images.ndim != 4 or images.dtype != np.uint8:
        raise ValueError(
            f"{method} takes uint8 images of shape (N, H, W, C), "
            f"not {images.dtype} of shape {tuple(images.shape)}"
        )
    height, width, channels = (int(n) for n in images.shape[1:])
    if height != width or (sizes and height not in sizes) or channels not in CHANNELS:
        supported = " or ".join(f"{size}x{size}" for size in sizes) or "square"
        raise ValueError(
            f"{method} supports {supported} images of 1 or 3 channels, "
            f"not {height}x{width} of {channels}: set image_size"
        )
    return height, width, channels


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
