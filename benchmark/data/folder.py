"""A folder of images: ``<class>/*.png``, or ``train/<class>/*.png`` and ``test/<class>/*.png``.

Images may differ in size and format. They are read as gray when all of them are gray, and as RGB
otherwise. Folders beside ``train`` and ``test`` are passed over.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmark.data.dataset import Dataset
from benchmark.data.images import resize
from benchmark.detector import Images
from benchmark.errors import InputError

SUFFIXES = frozenset(
    {".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"},
)
"""The files that count as images, in lower or upper case; others are passed over."""

_LAYOUT = "sort them as <class>/*.png, or train/<class>/*.png and test/<class>/*.png"
_GRAY = frozenset({"1", "L", "LA"})
_COLOUR = frozenset({"P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"})


def class_names(path: Path) -> tuple[str, ...]:
    """The names of the class folders, sorted; lists folders only.

    With an official split, a class may stand in one of the parts only: such a class of the test
    part gives outliers but is no inlier class.
    """
    return tuple(sorted({folder.name for part in _parts(path) for folder in _classes(part)}))


def has_official_split(path: Path) -> bool:
    """Whether there are ``train/`` and ``test/``."""
    return len(_parts(path)) == 2


def read(path: Path, image_size: int) -> Dataset:
    """Read and resize all images, sorted by part, class and file name.

    Raises:
        InputError: a missing folder, images outside a class folder, or a file that cannot be read
            as an 8-bit image (names it).
    """
    names, parts = class_names(path), _parts(path)
    files: list[Path] = []
    labels: list[int] = []
    ends: list[int] = []
    for part in parts:
        for folder in _classes(part):
            found = _files(folder)
            files += found
            labels += [names.index(folder.name)] * len(found)
        ends.append(len(files))
    return Dataset(
        images=_images(files, image_size),
        labels=np.array(labels, np.int64),
        class_names=names,
        n_train=ends[0] if len(parts) == 2 else None,
    )


def _parts(path: Path) -> tuple[Path, ...]:
    if not path.is_dir():
        found = "is a file" if path.exists() else "no such folder"
        raise InputError(f"{path}: {found}; `path:` must be a folder of images by class")
    official = path / "train", path / "test"
    return official if set(official) <= set(_classes(path)) else (path,)


def _classes(part: Path) -> list[Path]:
    folders, images = _entries(part)
    if images:
        raise InputError(f"{images[0]}: an image outside a class folder; {_LAYOUT}")
    if not folders:
        raise InputError(f"{part}: no class folders; {_LAYOUT}")
    return folders


def _files(folder: Path) -> list[Path]:
    folders, images = _entries(folder)
    if folders:
        raise InputError(f"{folders[0]}: a folder inside a class folder; {_LAYOUT}")
    return images


def _entries(folder: Path) -> tuple[list[Path], list[Path]]:
    """The folders and the images in a folder, sorted by name."""
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be read ({error.strerror}); give read permission"
        ) from error
    folders = [entry for entry in entries if entry.is_dir()]
    images = [entry for entry in entries if entry.suffix.lower() in SUFFIXES]
    return folders, [image for image in images if image not in set(folders)]


def _images(files: Sequence[Path], image_size: int) -> Images:
    # Only headers are read here: the channels must be known before the first image is stored.
    mode = "L" if all(_mode(file) in _GRAY for file in files) else "RGB"
    images = np.empty((len(files), image_size, image_size, 1 if mode == "L" else 3), np.uint8)
    for file, target in zip(files, images, strict=True):
        target[...] = resize(_pixels(file, mode)[np.newaxis], image_size)[0]
    return images


def _mode(file: Path) -> str:
    from PIL import Image

    try:
        with Image.open(file) as picture:
            mode = picture.mode
    except Exception as error:
        raise _unreadable(file, error) from error
    if mode not in _GRAY | _COLOUR:
        raise InputError(f"{file}: more than 8 bits per channel (mode {mode}); convert it to 8")
    return mode


def _pixels(file: Path, mode: str) -> Images:
    from PIL import Image

    try:
        with Image.open(file) as picture:
            pixels = np.asarray(picture.convert(mode))
    except Exception as error:
        raise _unreadable(file, error) from error
    return pixels.reshape(*pixels.shape[:2], -1)


def _unreadable(file: Path, error: Exception) -> InputError:
    # Pillow's decoders raise errors of any type for a damaged file.
    reason = " ".join(str(error).split())
    return InputError(f"{file}: cannot be read as an image ({reason}); replace or remove it")
