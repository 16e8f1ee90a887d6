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
from benchmark.data.challenges.sign_sheet import ABSENT, REAL, SIMULATED, SignSheet
from benchmark.detector import Images
from benchmark.figures.style import INLIER, OUTLIER, WIDTH, Drawing, bare, nothing
from benchmark.metrics import Metrics
from benchmark.utils.text import spaced

COLOURS = {REAL: INLIER, SIMULATED: OUTLIER}
SOURCE_NAMES = {REAL: "real files of CURE-TSR", SIMULATED: NAME}


def draw(config: Config, numbers: Metrics, root: Path, dataset: str) -> Drawing:
    """The pictures that were kept when the data set was read."""
    sheet = sign_sheet.load(layout.data(root, dataset))
    if sheet is None:
        return nothing("No pictures of a sign: the prepared data set is not here.")
    return draw_sheet(sheet, captions.dataset(config, dataset))


def draw_sheet(sheet: SignSheet, title: str) -> Drawing:
    """The clean sign, then a column per challenge and a row per level; frames tell the source."""
    conditions = [name.split(" ") for name in sheet.names[1:]]
    challenges, levels = (list(dict.fromkeys(parts)) for parts in zip(*conditions, strict=True))
    across, down = 1 + len(challenges), len(levels)
    side = (WIDTH - 0.3) / across
    figure = Figure(figsize=(WIDTH, side * down + 0.9))
    axes = figure.subplots(down, across, squeeze=False, gridspec_kw={"wspace": 0, "hspace": 0})
    for axis in axes.ravel():
        bare(axis)
    for column, challenge in enumerate(["No challenge", *challenges]):
        words = spaced(challenge).replace(" ", "\n")
        axes[0, column].set_title(words, fontsize=7, loc="center", fontweight="normal")
    for row, level in enumerate(levels):
        axes[row, 1].set_ylabel(f"level {level}", fontsize=7)
    places = [(levels.index(level), 1 + challenges.index(name)) for name, level in conditions]
    for place, image, source, same in zip(
        [(0, 0), *places], sheet.images, sheet.sources, sheet.same, strict=True
    ):
        _show(axes[place], image, source, same=bool(same))
    sources = [source for source in (REAL, SIMULATED) if source in sheet.sources]
    others = not all(sheet.same)
    handles = [_frame(COLOURS[source]) for source in sources]
    labels = [SOURCE_NAMES[source] for source in sources]
    if others:
        handles.append(_frame(COLOURS[REAL], same=False))
        labels.append("another sign of the type")
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    caption = (
        f"A {sheet.sign.replace('_', ' ')} sign without a challenge and under each challenge and "
        f"level, as the models see it, {title}: {' and '.join(SOURCE_NAMES[s] for s in sources)}.\n"
        f"{'Dotted frames: other signs of the type, where this one has no file. ' * others}"
        f"{'Blank: no file. ' * (ABSENT in sheet.sources)}"
    )
    numbers = pd.DataFrame(
        {
            "condition": sheet.names,
            "source": [SOURCE_NAMES.get(source, "no file") for source in sheet.sources],
            "same_sign": sheet.same,
            "mean_value": sheet.images.mean(axis=(1, 2, 3)),
        }
    )
    return Drawing(figure, caption.strip(), numbers)


def _show(axis: Axes, image: Images, source: str, *, same: bool) -> None:
    """A picture in the frame of its source."""
    if source == ABSENT:
        axis.text(0.5, 0.5, "no file", ha="center", va="center", fontsize=6, color="0.5")
        return
    height, width = image.shape[:2]
    axis.imshow(np.asarray(image).squeeze(), vmin=0, vmax=255)
    axis.add_patch(_frame(COLOURS[source], width, height, same=same))


def _frame(colour: str, width: float = 1, height: float = 1, *, same: bool = True) -> Rectangle:
    """A frame around an image of that size, dotted for another sign of the type."""
    line = "-" if same else ":"
    return Rectangle(
        (-0.5, -0.5), width, height, fill=False, edgecolor=colour, linewidth=1.5, linestyle=line
    )
