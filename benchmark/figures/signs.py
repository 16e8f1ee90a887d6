"""A sign without a challenge and under each challenge and level (the paper's Fig. 8)."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from benchmark import captions, layout
from benchmark.config import Config
from benchmark.data.challenges import sign_sheet
from benchmark.data.challenges.gtsrb import NAME
from benchmark.data.challenges.sign_sheet import ABSENT, REAL, SIMULATED, Plate
from benchmark.detector import Images
from benchmark.figures.style import INLIER, OUTLIER, WIDTH, Drawing, bare, nothing
from benchmark.metrics import Metrics
from benchmark.utils.text import spaced

FRAMES = {REAL: INLIER, SIMULATED: OUTLIER}
SOURCES = {REAL: "real files of CURE-TSR", SIMULATED: NAME}


def draw(config: Config, found: Metrics, root: Path, dataset: str) -> Drawing:
    """The pictures that the reader of the data set kept."""
    kept = sign_sheet.load(layout.data(root, dataset))
    if kept is None:
        return nothing("No pictures of a sign: the prepared data set is not here.")
    return sheet(kept, captions.dataset(config, dataset))


def sheet(kept: Plate, title: str) -> Drawing:
    """A column per challenge, a row per level, the clean sign in front, framed by its source."""
    challenges, levels = (
        list(dict.fromkeys(name.split(" ")[part] for name in kept.names[1:])) for part in (0, 1)
    )
    across, down = 1 + len(challenges), len(levels)
    side = (WIDTH - 0.3) / across
    figure = Figure(figsize=(WIDTH, side * down + 0.9))
    axes = figure.subplots(down, across, squeeze=False, gridspec_kw={"wspace": 0, "hspace": 0})
    for axis in axes.ravel():
        bare(axis)
    picture(axes[0, 0], kept.images[0], kept.sources[0], same=bool(kept.same[0]))
    axes[0, 0].set_title("No\nchallenge", fontsize=7, loc="center", fontweight="normal")
    for k, name in enumerate(kept.names[1:], start=1):
        challenge, level = name.split(" ")
        axis = axes[levels.index(level), 1 + challenges.index(challenge)]
        picture(axis, kept.images[k], kept.sources[k], same=bool(kept.same[k]))
        if level == levels[0]:
            lines = spaced(challenge).replace(" ", "\n")
            axis.set_title(lines, fontsize=7, loc="center", fontweight="normal")
    for row, level in enumerate(levels):
        axes[row, 1].set_ylabel(f"level {level}", fontsize=7)
    used = [source for source in (REAL, SIMULATED) if source in kept.sources]
    other = any(
        source == REAL and not same for source, same in zip(kept.sources, kept.same, strict=True)
    )
    handles = [frame(FRAMES[source]) for source in used] + [frame(FRAMES[REAL], same=False)] * other
    named = [SOURCES[source] for source in used] + ["another sign of the type"] * other
    figure.legend(handles, named, loc="outside lower center", ncols=3)
    caption = (
        f"A {kept.sign.replace('_', ' ')} sign without a challenge and under each challenge and "
        f"level, as the models see it, {title}: {' and '.join(SOURCES[s] for s in used)}. "
        f"{'Dotted frames: other signs of the type, for lack of a file of the same one. ' * other}"
        f"{'Blank: no file. ' * (ABSENT in kept.sources)}"
    )
    numbers = pd.DataFrame(
        {
            "condition": kept.names,
            "source": [SOURCES.get(source, "no file") for source in kept.sources],
            "same_sign": kept.same,
            "mean_value": kept.images.mean(axis=(1, 2, 3)),
        }
    )
    return Drawing(figure, caption.strip(), numbers)


def picture(axis: Axes, image: Images, source: str, *, same: bool = True) -> None:
    """A picture in a frame that says where it is from."""
    if source == ABSENT:
        axis.text(0.5, 0.5, "no file", ha="center", va="center", fontsize=6, color="0.5")
        return
    height, width = image.shape[:2]
    axis.imshow(np.asarray(image).squeeze(), vmin=0, vmax=255)
    axis.add_patch(frame(FRAMES[source], width, height, same=same))


def frame(colour: str, width: float = 1, height: float = 1, *, same: bool = True) -> Rectangle:
    """A frame around an image of that size, dotted when it is not of the same sign."""
    line = "-" if same else ":"
    return Rectangle(
        (-0.5, -0.5), width, height, fill=False, edgecolor=colour, linewidth=1.5, linestyle=line
    )
