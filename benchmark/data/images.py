"""Images: reading them from files, their form as arrays, and their size."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from benchmark.detector import Images
from benchmark.errors import InputError

if TYPE_CHECKING:  # a check of the configuration does without Pillow
    from PIL.Image import Image


class UnreadableImage(InputError):
    """An image file that cannot be read; ``reason`` is what the decoder says, in one line."""

    def __init__(self, file: Path, error: Exception) -> None:
        self.reason = " ".join(str(error).split())
        super().__init__(
            f"{file}: cannot be read as an image ({self.reason}); replace or remove it"
        )


@contextmanager
def open_image(file: Path) -> Iterator["Image"]:
    """Open an image file with Pillow; ``UnreadableImage`` if it is missing or damaged."""
    from PIL import Image

    try:
        # Given a name, Pillow 13 maps gray TIFF files into memory, and mixes up the rows of those
        # that lie on their side.
        with file.open("rb") as stream, Image.open(stream) as image:
            yield image
    except Exception as error:  # Pillow's decoders raise errors of any type for a damaged file.
        raise UnreadableImage(file, error) from error


def read_image(file: Path, size: int, mode: str = "RGB") -> Images:
    """Read an image file as a viewer shows it, and resize it to (size, size, C) uint8.

    The mode is ``RGB``, C = 3, or ``L``, gray, C = 1. Raises ``UnreadableImage`` for a missing or
    damaged file.
    """
    with open_image(file) as image:
        pixels = as_shown(image, mode)
    resized: Images = resize(pixels[np.newaxis], size)[0]
    return resized


def as_shown(image: "Image", mode: str) -> Images:
    """The pixels of an image as a viewer shows it, (H, W, C) uint8.

    It is upright, as its orientation says, and stands on white where it is transparent. The
    mode is ``RGB``, C = 3, or ``L``, gray, C = 1.
    """
    from PIL import Image, ImageOps

    picture = ImageOps.exif_transpose(image)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    pixels = np.asarray(picture.convert(mode))
    return pixels.reshape(*pixels.shape[:2], -1)


def read_images(files: Sequence[Path], size: int, mode: str = "RGB", title: str = "") -> Images:
    """Read image files into (N, size, size, C), with a progress bar if it gets a title.

    Other arguments and errors are those of ``read_image``.
    """
    images = np.empty((len(files), size, size, 1 if mode == "L" else 3), np.uint8)
    progress = tqdm(files, title, unit=" images", mininterval=1, disable=not title)
    for row, file in enumerate(progress):
        images[row] = read_image(file, size, mode)
    return images


def as_images(array: npt.NDArray[Any], where: str | Path) -> Images:
    """Give gray images their channel axis; errors as ``check_form``.

    >>> as_images(np.zeros((5, 8, 8), np.uint8), "mine.npz").shape
    (5, 8, 8, 1)
    """
    check_form(array.shape, array.dtype, where)
    return array[..., np.newaxis] if array.ndim == 3 else array


def check_form(shape: tuple[int, ...], dtype: np.dtype[Any], where: str | Path) -> None:
    """``InputError`` unless images are uint8, (N, H, W), (N, H, W, 1) or (N, H, W, 3)."""
    fits = len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3))
    if not fits or 0 in shape[1:] or dtype != np.uint8:
        raise InputError(
            f"{where}: images are {dtype} of shape {shape}; save them as uint8 in "
            "0..255 of shape (N, H, W), (N, H, W, 1) or (N, H, W, 3), channels last"
        )


def resize(images: Images, size: int) -> Images:
    """Resize (N, H, W, C) to (N, size, size, C) with Pillow's antialiased Lanczos filter.

    It is the filter of the paper's CIFAR-10, which names it antialias, as Pillow did then. Images
    that have the size already are returned as they are.
    """
    if images.shape[1:3] == (size, size):
        return images
    from PIL import Image

    resized = np.empty((len(images), size, size, images.shape[3]), np.uint8)
    for image, target in zip(images, resized, strict=True):
        # Pillow takes gray images without a channel axis.
        picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
        picture = picture.resize((size, size), Image.Resampling.LANCZOS)
        target[...] = np.asarray(picture).reshape(target.shape)
    return resized
