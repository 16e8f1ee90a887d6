"""Real images for the tests: scikit-learn's digits at 28x28."""

from functools import cache

import numpy as np
import numpy.typing as npt

from benchmark.data import read


@cache
def digits() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Images, (1797, 28, 28, 1), and labels."""
    dataset = read("digits", None, 28)
    return dataset.images, dataset.labels


def of_class(label: int, count: int, channels: int = 1) -> npt.NDArray[np.uint8]:
    """The first images of a class, (count, 28, 28, channels)."""
    images, labels = digits()
    return np.repeat(images[labels == label][:count], channels, axis=3)
