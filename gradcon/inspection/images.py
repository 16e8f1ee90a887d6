"""Images as they come, and what the detectors take: (N, S, S, C) uint8, C = 1 or 3.

>>> images = [np.zeros((40, 60), np.uint8), np.ones((32, 32), np.float32)]
>>> form = Form.of(items(images), size=28)
>>> next(form.batches(items(images))).shape
(2, 28, 28, 1)
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image
from tqdm import tqdm

from benchmark.data.folder import SUFFIXES
from benchmark.data.images import UnreadableImage, as_shown, open_image, resize
from benchmark.detector import Images
from benchmark.errors import InputError

Aspect = Literal["pad", "crop", "stretch"]
"""How an image becomes a square: it keeps its aspect ratio, and is made square by repeating its
edges (``pad``) or by cutting off both ends of its longer side (``crop``); or it does not
(``stretch``)."""

Source = Sequence[Any] | npt.NDArray[Any]
"""Single images, none of them opened yet: what can be counted, and sliced in order."""

Unreadable = dict[int, UnreadableImage]
"""Errors of files that cannot be read, by their places in a source."""

BATCH = 1024
"""Images held at once while a source is streamed."""

MANY = 2000
"""From so many images on, reading them has a progress bar."""

CHANNELS = (1, 3, 4)
TAKEN = (
    "an array or tensor (N, H, W) or (N, H, W, C) of uint8 or of floats in 0..1, "
    "a list of images or paths, or a folder"
)


def items(images: Any) -> Source:
    """The single images of whatever holds images, none of them opened yet.

    Args:
        images: an array or a tensor of shape (N, H, W), (N, H, W, C) or (N, C, H, W), with 1, 3 or
            4 channels (gray, RGB, RGBA), of uint8 or of floats in [0, 1]; a list of such images
            without N, of PIL images or of paths; the path of an image, or of a folder, whose images
            are all taken, those in folders below it too.

    Raises:
        InputError: something else; the message says what to write.
    """
    if isinstance(images, str | os.PathLike):
        return files(Path(os.fspath(images)))
    array = _as_array(images)
    if array is not None and array.dtype.kind not in "OSU":
        return _checked(array, "X")
    try:
        listed = list(images)
    except TypeError:
        raise InputError(f"X is a {type(images).__name__}; give {TAKEN}") from None
    if not listed:
        raise InputError(f"X is empty; give {TAKEN}")
    return listed


def files(path: Path) -> list[Path]:
    """The image files of a folder and of the folders below it, sorted; or the one that it is."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f"{path}: no such file or folder; correct the path")
    chosen = sorted(
        file
        for file in path.rglob("*")
        if file.suffix.lower() in SUFFIXES
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
    )
    if not chosen:
        kinds = ", ".join(sorted(SUFFIXES))
        raise InputError(f"{path}: no images in this folder; put some there ({kinds})")
    return chosen


@dataclass(frozen=True)
class Form:
    """What every image is turned into, before it is fitted to or scored."""

    size: int
    """Height and width in pixels."""
    channels: int
    """1, gray, or 3, RGB."""
    aspect: Aspect = "pad"

    @classmethod
    def of(cls, images: Source, size: int, aspect: Aspect = "pad") -> "Form":
        """Gray if all images are gray, and RGB otherwise; of files only the headers are read."""
        if isinstance(images, np.ndarray):
            colour = images.ndim == 4 and images.shape[3] > 1
        else:
            colour = any(_is_colour(item, f"image {k}") for k, item in enumerate(images))
        return cls(size, 3 if colour else 1, aspect)

    def batches(
        self, images: Source, title: str = "", unreadable: Unreadable | None = None
    ) -> Iterator[Images]:
        """All images in this form, at most ``BATCH`` at a time: (B, S, S, C) uint8.

        They are opened as they are needed, by as many threads as there are processors, with a
        progress bar if there are many. The first file that cannot be read is an error, unless
        there is a dictionary ``unreadable`` for such errors: then its image is black.
        """
        numbers = range(0, len(images), BATCH)
        bar = tqdm(total=len(images), desc=title, unit=" images", disable=len(images) < MANY)
        with bar, ThreadPoolExecutor(os.cpu_count()) as threads:
            for start in numbers:
                part = images[start : start + BATCH]
                yield self._converted(part, start, threads, unreadable)
                bar.update(len(part))

    def all(self, images: Source) -> Images:
        """All images in this form, (N, S, S, C) uint8."""
        whole = np.empty((len(images), self.size, self.size, self.channels), np.uint8)
        start = 0
        for batch in self.batches(images, "Reading"):
            whole[start : start + len(batch)] = batch
            start += len(batch)
        return whole

    def none(self) -> Images:
        """No image, in this form: (0, S, S, C) uint8."""
        return np.empty((0, self.size, self.size, self.channels), np.uint8)

    def description(self, images: Source) -> str:
        """What is done to these images, in one line."""
        shape = f"{self.size}x{self.size} {'RGB' if self.channels == 3 else 'gray'}"
        if self._fits(images):
            return f"{len(images):,} images of {shape}, taken as they are"
        how = {
            "pad": "filled up with the colours of their edges, the aspect ratio kept",
            "crop": "cropped at both ends, the aspect ratio kept",
            "stretch": "stretched, the aspect ratio not kept",
        }
        how_many = f"{len(images):,} images, resized to {shape}"
        return f"{how_many}; those that are not square are {how[self.aspect]}"

    def _fits(self, images: Source) -> bool:
        if not isinstance(images, np.ndarray):
            return False
        channels = images.shape[3] if images.ndim == 4 else 1
        return (*images.shape[1:3], channels) == (self.size, self.size, self.channels)

    def _converted(
        self,
        images: Source,
        start: int,
        threads: ThreadPoolExecutor,
        unreadable: Unreadable | None,
    ) -> Images:
        if self._fits(images):
            return _as_uint8(np.asarray(images)).reshape(-1, self.size, self.size, self.channels)

        def convert(image: Any, number: int) -> Images:
            try:
                return self._one(image, f"image {number}")
            except UnreadableImage as error:
                if unreadable is None:
                    raise
                unreadable[number] = error
                return np.zeros((self.size, self.size, self.channels), np.uint8)

        numbers = range(start, start + len(images))
        return np.stack([*threads.map(convert, images, numbers)])

    def _one(self, image: Any, name: str) -> Images:
        """One image in this form, (S, S, C)."""
        pixels = _square(_opened(image, name, "RGB" if self.channels == 3 else "L"), self.aspect)
        resized: Images = resize(pixels[np.newaxis], self.size)[0]
        return resized


def _as_array(images: Any) -> npt.NDArray[Any] | None:
    """An array or a tensor as an array; None for anything else."""
    if hasattr(images, "detach"):
        images = images.detach().cpu().numpy()
    return images if isinstance(images, np.ndarray) else None


def _checked(images: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    """Images (N, H, W) or (N, H, W, C), from either order of the axes."""
    shape, given = images.shape, f"{name} has the shape {images.shape}"
    if images.ndim == 4 and shape[3] not in CHANNELS and shape[1] in CHANNELS:
        images = images.transpose(0, 2, 3, 1)
    elif images.ndim == 2 and shape[1] > 1:
        side = round(shape[1] ** 0.5)
        example = side if side**2 == shape[1] else "height"
        raise InputError(
            f"{given}, rows of numbers; give images (N, H, W) or (N, H, W, C), such as "
            f"{name}.reshape(-1, {example}, {example if example == side else 'width'})"
        )
    elif images.ndim == 3 and shape[2] in CHANNELS:
        raise InputError(
            f"{given}, as one image has; give several, (N, H, W, C), or write {name}[None]"
        )
    elif images.ndim not in (3, 4) or (images.ndim == 4 and shape[3] not in CHANNELS):
        raise InputError(f"{given}; give (N, H, W) or (N, H, W, C) with 1, 3 or 4 channels")
    if 0 in shape:
        raise InputError(f"{given}, so there is no pixel in it; give {TAKEN}")
    _check_values(images, name)
    return images


def _check_values(images: npt.NDArray[Any], name: str) -> None:
    """Refuse all but uint8 and floats in [0, 1]."""
    if images.dtype == np.uint8:
        return
    if images.dtype.kind not in "biuf":
        raise InputError(f"{name} holds {images.dtype} values; give uint8, or floats in 0..1")
    low, high = images.min(), images.max()
    if np.isnan(low):
        raise InputError(f"{name} holds NaN; replace it, as np.nan_to_num({name}) does")
    given = f"{name} holds {images.dtype} values from {low:.4g} to {high:.4g}"
    if images.dtype.kind == "b":
        raise InputError(f"{name} holds True and False; write {name}.astype('uint8') * 255")
    if images.dtype.kind == "f":
        if low >= 0 and high <= 1:
            return
        remedy = f"write {name} / 255" if low >= 0 and high <= 255 else "scale them to 0..1"
        raise InputError(f"{given}, but floats are taken in 0..1; {remedy}")
    if low >= 0 and high <= 255:
        raise InputError(f"{given}; write {name}.astype('uint8')")
    raise InputError(
        f"{given}; scale them to 0..1, for 16 bits by {name}.astype('float32') / 65535"
    )


def _as_uint8(images: npt.NDArray[Any]) -> Images:
    if images.dtype == np.uint8:
        return images
    pixels: Images = np.rint(images * images.dtype.type(255)).astype(np.uint8)
    return pixels


def _is_colour(item: Any, name: str) -> bool:
    """Whether an image has colour channels; of a file only the header is read."""
    if isinstance(item, str | os.PathLike):
        with open_image(Path(os.fspath(item))) as image:
            mode = image.mode
        return _has_colour(mode, str(item))
    if isinstance(item, Image.Image):
        return _has_colour(item.mode, name)
    array = _single(item, name)
    return array.ndim == 3 and array.shape[2] > 1


def _has_colour(mode: str, name: str) -> bool:
    """Whether a mode of Pillow has colour channels."""
    if mode.startswith(("I", "F")):
        raise InputError(f"{name}: more than 8 bits per channel (mode {mode}); convert it to 8")
    return mode not in ("1", "L", "LA", "La")


def _single(item: Any, name: str) -> npt.NDArray[Any]:
    """An image that is an array or a tensor as (H, W) or (H, W, C)."""
    array = _as_array(item)
    if array is None:
        kind = type(item).__name__
        raise InputError(f"{name} is a {kind}; give an array, a tensor, a PIL image or a path")
    if array.ndim not in (2, 3):
        raise InputError(f"{name} has the shape {array.shape}; give (H, W) or (H, W, C)")
    checked: npt.NDArray[Any] = _checked(array[np.newaxis], name)[0]
    return checked


def _opened(item: Any, name: str, mode: str) -> Images:
    """The pixels of an image, (H, W, C) uint8, on white where it is transparent."""
    if isinstance(item, str | os.PathLike):
        _is_colour(item, name)
        with open_image(Path(os.fspath(item))) as image:
            return as_shown(image, mode)
    if isinstance(item, Image.Image):
        _is_colour(item, name)
        return as_shown(item, mode)
    pixels = _as_uint8(_single(item, name))
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        pixels = pixels.reshape(pixels.shape[:2])
    return as_shown(Image.fromarray(np.ascontiguousarray(pixels)), mode)


def _square(pixels: Images, aspect: Aspect) -> Images:
    """Make an image (H, W, C) a square one, or leave that to the resizing."""
    height, width = pixels.shape[:2]
    if aspect == "stretch" or height == width:
        return pixels
    if aspect == "crop":
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        return pixels[top : top + side, left : left + side]
    lacking = np.array([max(height, width)] * 2) - (height, width)
    around = [(int(n) // 2, int(n) - int(n) // 2) for n in lacking]
    return np.pad(pixels, [*around, (0, 0)], mode="edge")
