"""The form that every data set is read into."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmark.detector import Images
from benchmark.errors import InputError

Labels = npt.NDArray[np.int64]
"""Class indices, (N,), in 0..K-1."""

FEWEST_IMAGES = 10
"""The smallest number of images in a class: a tenth of it, for validation, is still an image."""


@dataclass(frozen=True)
class Dataset:
    """Images with the class of each; a sample's id is its row.

    Attributes:
        images: (N, H, W, C) uint8, C = 1 (gray) or 3 (RGB).
        labels: (N,) int64, class indices.
        class_names: one name per class, in the order of the indices.
        n_train: the first ``n_train`` rows are the official training part and the others the
            official test part; None when the source has no such split.
        source: the name of the source, one of ``benchmark.data.SOURCES``.
        groups: (N,) int64, the same number for images of the same object, such as the frames of a
            film, which a split keeps together; None when each image is of another object.
    """

    images: Images
    labels: Labels
    class_names: tuple[str, ...]
    n_train: int | None
    source: str = ""
    groups: Labels | None = None


def check(dataset: Dataset, where: str | Path, inliers: Collection[int] | None = None) -> None:
    """Refuse a data set that splits and models cannot use.

    Args:
        dataset: what a reader returned.
        where: the file or source, for the messages.
        inliers: the classes that can be inliers, by default all; the others may be small or empty.

    Raises:
        InputError: images and labels of different lengths, a label without a class, fewer than
            two classes, two classes of one name, an empty class or one with fewer than ten images.
    """
    names = dataset.class_names
    if len(dataset.images) != len(dataset.labels):
        raise InputError(
            f"{where}: {len(dataset.images)} images but {len(dataset.labels)} labels; "
            "give each image one label"
        )
    if len(names) < 2:
        raise InputError(
            f"{where}: needs at least two classes, as one's outliers are the others; "
            f"has {len(names)}"
        )
    if len(set(names)) < len(names):
        raise InputError(f"{where}: class names repeat: {', '.join(names)}; make each unique")
    invalid = np.setdiff1d(dataset.labels, np.arange(len(names)))
    if len(invalid):
        raise InputError(
            f"{where}: label {invalid[0]} is not a class; label the {len(names)} classes "
            f"0 to {len(names) - 1}"
        )
    counts = np.bincount(dataset.labels, minlength=len(names)).tolist()
    for index in range(len(names)) if inliers is None else inliers:
        if counts[index] < FEWEST_IMAGES:
            raise InputError(
                f"{where}: class {names[index]!r} has {counts[index] or 'no'} images; a class "
                f"needs at least {FEWEST_IMAGES}: add images or leave the class out"
            )
