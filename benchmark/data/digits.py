"""scikit-learn's handwritten digits: 1,797 embedded gray images, for the demo and the tests."""

from pathlib import Path

import numpy as np

from benchmark.data.dataset import Dataset
from benchmark.data.images import resize


def class_names(path: Path) -> tuple[str, ...]:
    """The ten digits."""
    return tuple("0123456789")


def has_official_split(path: Path) -> bool:
    """scikit-learn has no split."""
    return False


def labels(path: Path) -> None:
    """Every digit has more than 170 images."""


def files(path: Path) -> tuple[Path, ...]:
    """None: they are part of scikit-learn."""
    return ()


def read(path: Path, image_size: int) -> Dataset:
    """Scale the 8x8 images from 0..16 to 0..255, and resize them."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
    return Dataset(
        images=resize(images, image_size),
        labels=digits.target.astype(np.int64),
        class_names=class_names(path),
        n_train=None,
    )
