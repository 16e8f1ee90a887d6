"""The form that every data set is read into."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmark.detector import Images
from benchmark.errors import InputError

Labels = npt.NDArray[np.int64]
"""Class indices, (N,), in 0..K-1."""

FEWEST_IMAGES = 10
"""The smallest number of images in an inlier class: a tenth of it, to validate, is still one."""

FOLD_COUNT = 5
"""How many folds the protocol ``folds`` has: three to train, one to validate, one to test."""


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
        notes: what the reader did to images or passed over, a line each.
    """

    images: Images
    labels: Labels
    class_names: tuple[str, ...]
    n_train: int | None
    source: str = ""
    groups: Labels | None = None
    notes: tuple[str, ...] = ()


def outlier_count(n_inliers: int, ratio: float) -> int:
    """How many outliers make up the share ``ratio`` of a test set with ``n_inliers`` inliers.

    Raises:
        InputError: a ratio that is not between 0 and 1.
    """
    if not 0 < ratio < 1:
        raise InputError(
            f"outlier ratio {ratio}: must be between 0 and 1; 0.5 is as many as inliers"
        )
    return round(n_inliers * ratio / (1 - ratio))


def check(dataset: Dataset, where: str | Path, required: Collection[int] | None = None) -> None:
    """Refuse a data set that no split can use; ``where`` is its file or source.

    Raises:
        InputError: images and labels of different lengths, or what ``check_classes`` refuses.
    """
    if len(dataset.images) != len(dataset.labels):
        raise InputError(
            f"{where}: {len(dataset.images)} images but {len(dataset.labels)} labels; "
            "give each image one label"
        )
    check_classes(dataset.labels, dataset.class_names, where, required)


def check_classes(
    labels: Labels,
    names: Sequence[str],
    where: str | Path | None,
    required: Collection[int] | None = None,
) -> None:
    """Refuse labels that do not fit the names of the classes.

    Raises:
        InputError: a label without a class, fewer than two classes, two of one name, or no image
            of a ``required`` class, by default of any.
    """
    if len(names) < 2:
        raise InputError(
            f"{where}: needs at least two classes, as one's outliers are the others; "
            f"has {len(names)}"
        )
    if len(set(names)) < len(names):
        raise InputError(f"{where}: class names repeat: {', '.join(names)}; make each unique")
    invalid = np.setdiff1d(labels, np.arange(len(names)))
    if len(invalid):
        raise InputError(
            f"{where}: label {invalid[0]} is not a class; label the {len(names)} classes "
            f"0 to {len(names) - 1}"
        )
    present = set(labels.tolist())
    for index in range(len(names)) if required is None else required:
        if index not in present:
            raise InputError(
                f"{where}: class {names[index]!r} has no images; add some or leave it out"
            )


def shuffled(ids: Labels, seed: int, *purpose: int) -> Labels:
    """The ids in random order, the same with any version of NumPy.

    Another ``purpose`` has independent randomness.
    """
    # Not Generator.shuffle, whose results may change from one version of NumPy to the next.
    generator = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=purpose))
    return ids[np.argsort(generator.random_raw(len(ids)), kind="stable")]
