"""Real files of CURE-TSR beside simulated challenges of the same type and level."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from benchmark.data.challenges.gtsrb import NAME
from benchmark.detector import Images
from benchmark.figures.signs import FRAMES
from benchmark.figures.style import WIDTH, Drawing, bare
from benchmark.utils.text import spaced

EACH = 4
"""Pictures of a source per type and level."""

Condition = tuple[str, int]
"""Challenge type and level."""


class Look(NamedTuple):
    """What is compared of images, means over them; values in 0..255."""

    brightness: float
    contrast: float
    """Standard deviation over an image's values."""
    saturation: float
    """Largest less smallest channel."""
    sharpness: float
    """Difference of horizontal neighbours."""


def look(images: Images) -> Look:
    """The means over (N, H, W, 3) uint8."""
    values = images.astype(np.float64)
    return Look(
        brightness=float(values.mean()),
        contrast=float(values.std(axis=(1, 2, 3)).mean()),
        saturation=float(np.ptp(values, axis=3).mean()),
        sharpness=float(np.abs(np.diff(values, axis=2)).mean()),
    )


def draw(real: Mapping[Condition, Images], simulated: Mapping[Condition, Images]) -> Drawing:
    """A row per level, a block per type: real files on the left, simulated on the right.

    Args:
        real: (N, H, W, 3) uint8 of each condition; conditions without files are left out.
        simulated: the same of every condition.
    """
    types = list(dict.fromkeys(name for name, _ in simulated))
    levels = sorted({level for _, level in simulated})
    across = 2
    down = -(-len(types) // across)
    figure = Figure(figsize=(WIDTH, down * len(levels) * 0.43 + 0.7))
    figure.suptitle(f"CURE-TSR beside {NAME}")
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for axis, name in zip(axes, types, strict=False):
        canvas = _canvas(
            [[side.get((name, level)) for side in (real, simulated)] for level in levels]
        )
        bare(axis)
        axis.imshow(canvas)
        step = canvas.shape[0] / len(levels)
        for row, level in enumerate(levels):
            if (name, level) not in real:
                axis.text(
                    canvas.shape[1] * 0.22, step * (row + 0.5), "no real file",
                    ha="center", va="center", fontsize=6, color="0.5",
                )  # fmt: skip
        axis.set_yticks([step * (k + 0.5) for k in range(len(levels))], [str(k) for k in levels])
        axis.tick_params(length=0)
        axis.set_title(spaced(name))
        for left, (source, text) in enumerate(
            (("real", "CURE-TSR"), ("simulated", "simulated on GTSRB"))
        ):
            axis.text(
                0.25 + 0.5 * left, -0.02, text, transform=axis.transAxes, ha="center", va="top",
                fontsize=7, color=FRAMES[source],
            )  # fmt: skip
    for spare in axes[len(types) :]:
        spare.remove()
    rows = [
        {"challenge": name, "level": level, "images": source, "count": len(side[name, level])}
        | look(side[name, level])._asdict()
        for name, level in simulated
        for source, side in (("CURE-TSR", real), (NAME, simulated))
        if (name, level) in side
    ]
    alone = len(simulated.keys() - real.keys())
    lacking = (
        f" {alone} of the {len(simulated)} conditions have no real counterpart in the files at "
        "hand; how near their simulation comes is not known."
    )
    caption = (
        f"Real files of CURE-TSR (left of each block) beside {NAME} (right), the levels 1 to 5 "
        "from above, resized as the models see them. The signs differ."
        f"{lacking if alone else ''}"
    )
    return Drawing(figure, caption, pd.DataFrame(rows))


def _canvas(rows: list[list[Images | None]]) -> npt.NDArray[np.uint8]:
    """Rows of real and simulated pictures on white; grey where there are no real ones."""
    size = next(side.shape[1] for row in rows for side in row if side is not None)
    gap, aisle = 2, size // 2
    half = EACH * (size + gap)
    canvas = np.full((len(rows) * (size + gap), 2 * half + aisle, 3), 255, np.uint8)
    for row, sides in enumerate(rows):
        top = row * (size + gap)
        for left, side in zip((0, half + aisle), sides, strict=True):
            if side is None:
                canvas[top : top + size, left : left + half - gap] = 235
            for k, image in enumerate(side[:EACH] if side is not None else ()):
                at = left + k * (size + gap)
                canvas[top : top + size, at : at + size] = image
    return canvas
