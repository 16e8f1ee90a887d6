"""One sign without a challenge and under each challenge and level: the paper's Fig. 8."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from benchmark.data.npz import open_npz
from benchmark.detector import Images
from benchmark.utils.files import atomic

if TYPE_CHECKING:  # a check of the configuration does without pandas
    import pandas as pd

FILE = "signs.npz"
REAL, SIMULATED, ABSENT = "real", "simulated", ""
"""Where a picture comes from; absent ones are blank."""

SIGN = "stop"
"""The sign of Fig. 8, shown if it is among the chosen ones."""


@dataclass(frozen=True)
class SignSheet:
    """Pictures of the clean sign and then of each condition.

    Attributes:
        images: (1 + C, H, W, 3) uint8.
        names: the class names, ``clean`` first, then such as ``CodecError 2``.
        sources: ``REAL``, ``SIMULATED`` or ``ABSENT``, one per picture.
        same: whether a picture shows the same photograph as most do, (1 + C,) bool.
        sign: the sign type.
    """

    images: Images
    names: tuple[str, ...]
    sources: tuple[str, ...]
    same: npt.NDArray[np.bool_]
    sign: str

    def save(self, directory: Path) -> None:
        """Write ``signs.npz``, an array per attribute."""
        with atomic(directory / FILE) as partial:
            np.savez_compressed(partial, **vars(self))


def load(directory: Path) -> SignSheet | None:
    """What ``SignSheet.save`` wrote; None if there is no file."""
    path = directory / FILE
    if not path.is_file():
        return None
    with open_npz(path) as arrays:
        names, sources = (tuple(arrays[name].tolist()) for name in ("names", "sources"))
        return SignSheet(arrays["images"], names, sources, arrays["same"], str(arrays["sign"]))


def from_files(images: Images, rows: "pd.DataFrame", names: tuple[str, ...]) -> SignSheet:
    """Pictures of the photograph that most conditions have, and of others where it is missing.

    ``rows`` are of the images to choose from, indexed by their place in ``images``: their
    ``label``, ``sign`` (a name) and ``number`` (of the photograph).
    """
    signs = set(rows["sign"])
    sign = SIGN if SIGN in signs else min(signs)
    rows = rows[rows["sign"] == sign]
    common = rows.drop_duplicates(["number", "label"]).groupby("number").size().idxmax()
    rows = rows.assign(other=rows["number"] != common).sort_values("other", kind="stable")
    shown = rows.drop_duplicates("label").reset_index(names="place").set_index("label")
    pictures = np.full((len(names), *images.shape[1:]), 255, np.uint8)
    pictures[shown.index] = images[shown["place"]]
    same = np.ones(len(names), bool)
    same[shown.index] = ~shown["other"]
    sources = tuple(REAL if label in shown.index else ABSENT for label in range(len(names)))
    return SignSheet(pictures, names, sources, same, sign)
