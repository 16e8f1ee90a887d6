"""CURE-TSR as a data set, in the folders of its distribution; see ``benchmark.data.challenges``."""

from pathlib import Path

from benchmark.data.challenges import file_names
from benchmark.data.challenges.selection import Selection
from benchmark.data.dataset import Dataset
from benchmark.errors import InputError

TRAIN, TEST = "Real_Train", "Real_Test"


def class_names(path: Path, selection: Selection) -> tuple[str, ...]:
    """``clean`` and the chosen conditions; looks for the folder, not into it.

    Raises:
        InputError: no such folder, or an unknown sign.
    """
    file_names.parts(path)
    signs(selection)
    return selection.class_names


def has_official_split(path: Path, selection: Selection) -> bool:
    """Whether there are ``Real_Train`` and ``Real_Test``."""
    return {TRAIN, TEST} <= set(file_names.parts(path))


def read(path: Path, selection: Selection, image_size: int, keep: Path | None = None) -> Dataset:
    """Read the chosen images; see ``benchmark.data.challenges.cure_tsr_images``."""
    # It takes pandas and Pillow, which a check of the configuration does without.
    from benchmark.data.challenges.cure_tsr_images import read

    return read(path, selection, image_size, keep)


def signs(selection: Selection) -> tuple[str, ...]:
    """The chosen sign types.

    Raises:
        InputError: one that CURE-TSR does not have.
    """
    try:
        return selection.known_signs(tuple(file_names.SIGNS.values()), "CURE-TSR")
    except ValueError as error:
        raise InputError(str(error)) from error
