"""A folder of images: ``<class>/*.png``, or ``train/<class>/*.png`` and ``test/<class>/*.png``.

Images may differ in size and format. They are read as gray when all of them are gray, and as RGB
otherwise. Folders beside ``train`` and ``test`` are ignored.
"""

from pathlib import Path

import numpy as np

from benchmark.data.dataset import Dataset
from benchmark.data.images import open_image, read_images
from benchmark.errors import InputError

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""The files that count as images, in lower or upper case; others are ignored."""

_LAYOUT = "sort them as <class>/*.png, or train/<class>/*.png and test/<class>/*.png"
_GRAY = frozenset({"1", "L", "LA"})
_COLOUR = frozenset({"P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"})


def class_names(path: Path) -> tuple[str, ...]:
    """The names of the class folders, sorted; opens no image.

    A class may have images in the test part only: it gives outliers but cannot be an inlier class.
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
    labelled = [
        [(file, names.index(folder.name)) for folder in _classes(part) for file in _files(folder)]
        for part in parts
    ]
    files = [file for part in labelled for file, _ in part]
    # The channels must be known before the first image is stored; this reads headers only.
    mode = "L" if all(_mode(file) in _GRAY for file in files) else "RGB"
    return Dataset(
        images=read_images(files, image_size, mode),
        labels=np.array([label for part in labelled for _, label in part], np.int64),
        class_names=names,
        n_train=len(labelled[0]) if len(parts) == 2 else None,
    )


def _parts(path: Path) -> tuple[Path, ...]:
    """The folders ``train`` and ``test``, or else the folder itself."""
    if not path.is_dir():
        problem = "is a file" if path.exists() else "no such folder"
        raise InputError(f"{path}: {problem}; `path:` must be a folder of images by class")
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
    return folders, [image for image in images if not image.is_dir()]


def _mode(file: Path) -> str:
    """Pillow's name for the kind of pixels in a file, such as ``L`` or ``RGB``."""
    with open_image(file) as image:
        mode = image.mode
    if mode not in _GRAY | _COLOUR:
        raise InputError(f"{file}: more than 8 bits per channel (mode {mode}); convert it to 8")
    return mode
