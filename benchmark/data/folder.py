"""A folder of images: ``<class>/*.png``, or ``train/<class>/*.png`` and ``test/<class>/*.png``.

Images may differ in size and format. They are read as gray when all of them are gray, and as RGB
otherwise; upright, as their orientation says; on white where they are transparent; and the first
picture where a file has several. What of this was done, and what was passed over, such as folders
beside ``train`` and ``test``, is in the data set's ``notes``.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import compress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmark.data.dataset import Dataset, Labels
from benchmark.data.images import open_image, read_images
from benchmark.errors import InputError

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""The files that count as images, in lower or upper case; others are passed over."""

_LAYOUT = "sort them as <class>/*.png, or train/<class>/*.png and test/<class>/*.png"
_GRAY = frozenset({"1", "L", "LA"})
_COLOUR = frozenset({"P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"})
_ORIENTATION = 0x0112
"""The tag of the orientation in EXIF and TIFF."""
_TURNED = range(2, 9)
"""The orientations that are not upright; values beyond the eight that are defined count as 1."""


class _Entries(NamedTuple):
    """What lies in a folder, sorted by name, without hidden files."""

    folders: list[Path]
    images: list[Path]
    others: list[Path]


class _Header(NamedTuple):
    """What a file says of its picture."""

    colour: bool
    turned: bool
    transparent: bool
    several: bool


def class_names(path: Path) -> tuple[str, ...]:
    """The names of the class folders, sorted; opens no image.

    A class may have images in the test part only: it gives outliers but cannot be an inlier class.
    """
    return tuple(sorted({folder.name for part in _parts(path) for folder in _classes(part)}))


def has_official_split(path: Path) -> bool:
    """Whether there are ``train/`` and ``test/``."""
    return len(_parts(path)) == 2


def labels(path: Path) -> tuple[Labels, int | None]:
    """The class of each image, and the length of the training part; opens no image."""
    names, parts = class_names(path), _parts(path)
    folders = [file.parent for file in files(path)]
    n_train = sum(folder.parent == parts[0] for folder in folders) if len(parts) == 2 else None
    return np.array([names.index(folder.name) for folder in folders], np.int64), n_train


def files(path: Path) -> list[Path]:
    """The image files, sorted by part, class and name."""
    return [file for part in _parts(path) for folder in _classes(part) for file in _files(folder)]


def read(path: Path, image_size: int) -> Dataset:
    """Read and resize all images, sorted by part, class and file name."""
    images = files(path)
    # The channels must be known before the first image is stored; this reads headers only.
    headers = [_header(file) for file in images]
    classes, n_train = labels(path)
    return Dataset(
        images=read_images(images, image_size, "RGB" if any(h.colour for h in headers) else "L"),
        labels=classes,
        class_names=class_names(path),
        n_train=n_train,
        notes=(*_notes(path, images, headers), *_passed_over(path)),
    )


def _parts(path: Path) -> tuple[Path, ...]:
    """The folders ``train`` and ``test``, or else the folder itself."""
    if not path.is_dir():
        problem = "is a file" if path.exists() else "no such folder"
        raise InputError(f"{path}: {problem}; `path:` must be a folder of images by class")
    official = path / "train", path / "test"
    return official if set(official) <= set(_classes(path)) else (path,)


def _classes(part: Path) -> list[Path]:
    folders, images, _ = _entries(part)
    if images:
        raise InputError(f"{images[0]}: an image outside a class folder; {_LAYOUT}")
    if not folders:
        raise InputError(f"{part}: no class folders; {_LAYOUT}")
    for folder in folders:
        try:
            folder.name.encode()
        except UnicodeEncodeError:
            raise InputError(
                f"{part}: the name of the class folder {folder.name!a} is not UTF-8; rename it"
            ) from None
    return folders


def _files(folder: Path) -> list[Path]:
    folders, images, _ = _entries(folder)
    if folders:
        raise InputError(f"{folders[0]}: a folder inside a class folder; {_LAYOUT}")
    return images


def _entries(folder: Path) -> _Entries:
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be read ({error.strerror}); give read permission"
        ) from error
    sorted_out = _Entries([], [], [])
    for entry in entries:
        is_image = entry.suffix.lower() in SUFFIXES
        sorted_out[0 if entry.is_dir() else 1 if is_image else 2].append(entry)
    return sorted_out


def _header(file: Path) -> _Header:
    with open_image(file) as image:
        mode = image.mode
        turned = image.getexif().get(_ORIENTATION) in _TURNED
        several = getattr(image, "n_frames", 1) > 1
        header = _Header(mode not in _GRAY, turned, image.has_transparency_data, several)
    if mode not in _GRAY | _COLOUR:
        raise InputError(f"{file}: more than 8 bits per channel (mode {mode}); convert it to 8")
    return header


def _notes(path: Path, images: list[Path], headers: Iterable[_Header]) -> Iterator[str]:
    """What was done to the pictures, with how many, and the first, that it was done to."""
    done = (
        "in colour, so all are read as RGB",
        "turned upright, as their orientation says",
        "transparent, and stand on white",
        "the first of several in their file",
    )
    for text, flags in zip(done, zip(*headers, strict=True), strict=True):
        chosen = list(compress(images, flags))
        if chosen and not (text == done[0] and len(chosen) == len(images)):
            first = chosen[0].relative_to(path)
            yield f"{len(chosen):,} of {len(images):,} images {text} (first {first})"


def _passed_over(path: Path) -> Iterator[str]:
    """How many files are no images, by suffix, and which folders hold no part."""
    parts = _parts(path)
    searched = {path, *parts, *(folder for part in parts for folder in _classes(part))}
    others = [file for folder in searched for file in _entries(folder).others]
    if others:
        suffixes = Counter(file.suffix.lower() or "no suffix" for file in others)
        kinds = ", ".join(f"{number:,} of {suffix}" for suffix, number in sorted(suffixes.items()))
        yield f"files passed over, as of no image format: {kinds}"
    beside = [folder.name for folder in _classes(path) if folder not in searched]
    if beside:
        yield f"folders passed over beside train and test: {', '.join(beside)}"
