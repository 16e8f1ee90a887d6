"""One sign without a challenge and under each challenge and level: the paper's Fig. 8."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from benchmark.detector import Images
from benchmark.utils.files import atomic

if TYPE_CHECKING:  # a check of the configuration does without pandas
    import pandas as pd

FILE = "signs.npz"
REAL, SIMULATED, ABSENT = "real", "simulated", ""
"""Where a picture is from; absent ones are blank."""

SIGN = "stop"
"""The sign of Fig. 8, taken where it is among the chosen ones."""


@dataclass(frozen=True)
class Plate:
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
        """Write ``signs.npz``."""
        with atomic(directory / FILE) as beside:
            np.savez_compressed(
                beside,
                images=self.images,
                names=np.array(self.names),
                sources=np.array(self.sources),
                same=self.same,
                sign=np.array(self.sign),
            )


def load(directory: Path) -> Plate | None:
    """What ``Plate.save`` wrote; None where there is none."""
    path = directory / FILE
    if not path.is_file():
        return None
    with np.load(path) as arrays:
        names, sources = (tuple(arrays[name].tolist()) for name in ("names", "sources"))
        return Plate(arrays["images"], names, sources, arrays["same"], str(arrays["sign"]))


def of_photographs(images: Images, rows: "pd.DataFrame", names: tuple[str, ...]) -> Plate:
    """Pictures from real files: of the photograph that most labels have, else of another one.

    Args:
        images: (N, H, W, 3) uint8.
        rows: of the images that may be taken, indexed by their place in ``images``: ``label``,
            ``sign`` (a name) and ``number``.
        names: the class names.
    """
    signs = set(rows["sign"])
    sign = SIGN if SIGN in signs else min(signs)
    mine = rows[rows["sign"] == sign]
    common = mine.drop_duplicates(["number", "label"]).groupby("number").size().idxmax()
    mine = mine.assign(other=mine["number"] != common).sort_values("other", kind="stable")
    best = mine.drop_duplicates("label").reset_index(names="place").set_index("label")
    pictures = np.full((len(names), *images.shape[1:]), 255, np.uint8)
    pictures[best.index] = images[best["place"]]
    same = np.ones(len(names), bool)
    same[best.index] = ~best["other"]
    there = tuple(REAL if label in best.index else ABSENT for label in range(len(names)))
    return Plate(pictures, names, there, same, sign)


def merged(real: Plate, simulated: Plate) -> Plate:
    """The real pictures, and simulated ones where there is none."""
    absent = np.array([source == ABSENT for source in real.sources])
    return Plate(
        np.where(absent[:, np.newaxis, np.newaxis, np.newaxis], simulated.images, real.images),
        real.names,
        tuple(
            theirs if lacking else own
            for lacking, own, theirs in zip(absent, real.sources, simulated.sources, strict=True)
        ),
        np.where(absent, simulated.same, real.same),
        real.sign,
    )
