"""Folders of images: which are inliers, and which have a defect.

MVTec AD's layout (Bergmann et al., CVPR 2019) is taken as it is, as far as it is there::

    train/good/*.png         inliers, to fit
    test/good/*.png          inliers, to test
    test/<defect>/*.png      outliers, to test, any number of them
    ground_truth/            masks of the defects, passed over

A labelled folder may also have ``good/`` and ``<defect>/`` side by side.
"""

import os
from pathlib import Path
from typing import Any, NamedTuple

from benchmark.errors import InputError
from gradcon.inspection.images import files

GOOD = "good"
"""The folder of inliers."""

MASKS = "ground_truth"
"""The folder of masks that show where each defect is."""


class Labelled(NamedTuple):
    """An image and what it shows."""

    file: Path
    kind: str
    """The name of its folder: ``good``, or of a defect."""


def inliers(images: Any) -> Any:
    """What to fit to: of a folder its inliers, if it says which; all else as it is.

    Raises:
        InputError: a folder with defects, such as that of all categories of MVTec AD.
    """
    if not isinstance(images, str | os.PathLike):
        return images
    folder = Path(os.fspath(images))
    for part in (folder / "train" / GOOD, folder / GOOD):
        if part.is_dir():
            return part
    if defects := next(folder.rglob(MASKS), None):
        raise InputError(f"{defects}: masks of defects; name the folder of good images to fit to")
    return folder


def to_score(images: Any) -> Any:
    """What to score: of a folder in MVTec's layout its ``test``; all else as it is."""
    folder = Path(images)
    return folder / "test" if (folder / "train" / GOOD).is_dir() else folder


def labelled(folder: Path) -> list[Labelled]:
    """The test images of a labelled folder, sorted by kind and name.

    Raises:
        InputError: no inliers or no outliers.
    """
    part = folder / "test" if (folder / "test").is_dir() else folder
    layout = f"sort them as {part / GOOD}/*.png and {part}/<defect>/*.png"
    found = [Labelled(file, file.relative_to(part).parts[0]) for file in files(part)]
    if loose := [file for file, _ in found if file.parent == part]:
        raise InputError(f"{loose[0]}: an image in no folder that says what it shows; {layout}")
    goods = sum(kind == GOOD for _, kind in found)
    if goods in (0, len(found)):
        lacking = "inliers" if goods == 0 else "outliers"
        raise InputError(f"{part}: no {lacking} to test; {layout}")
    return found
