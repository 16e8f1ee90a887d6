"""Arrays of images: their form and their size."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.detector import Images
from benchmark.errors import InputError


def as_images(array: npt.NDArray[Any], where: str | Path) -> Images:
    """Give gray images their channel axis, and hold every array to (N, H, W, C) uint8.

    Args:
        array: (N, H, W), (N, H, W, 1) or (N, H, W, 3), uint8.
        where: the file, and the array in it, for the message.

    Raises:
        InputError: another shape, channel count or dtype.
    """
    images = array[..., np.newaxis] if array.ndim == 3 else array
    fits = images.ndim == 4 and images.shape[-1] in (1, 3) and 0 not in images.shape[1:]
    if not fits or images.dtype != np.uint8:
        raise InputError(
            f"{where}: images are {array.dtype} of shape {array.shape}; save them as uint8 in "
            "0..255 of shape (N, H, W), (N, H, W, 1) or (N, H, W, 3), channels last"
        )
    return images


def resize(images: Images, size: int) -> Images:
    """Resize (N, H, W, C) to (N, size, size, C) with Pillow's antialiased Lanczos filter.

    The filter of the paper's CIFAR-10 (there still under its old name, antialias). Images that
    have the size already come back as they are.
    """
    if images.shape[1:3] == (size, size):
        return images
    from PIL import Image

    resized = np.empty((len(images), size, size, images.shape[3]), np.uint8)
    for image, target in zip(images, resized, strict=True):
        # Pillow has no (H, W, 1): squeeze going in, and shape it back coming out.
        picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
        picture = picture.resize((size, size), Image.Resampling.LANCZOS)
        target[...] = np.asarray(picture).reshape(target.shape)
    return resized
