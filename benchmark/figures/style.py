"""What the figures share: their style, their files, and the record in each of what it shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import rcParams, style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from benchmark import metrics
from benchmark.utils.files import atomic
from benchmark.utils.text import csv_text

INLIER, OUTLIER = "#0072B2", "#D55E00"
WIDTH = 7.0
"""Inches: the text width of a page."""

MOST_COLOURS = 2**12
"""Of a figure without photographs."""

SHEET = Path(__file__).with_name("figures.mplstyle")


@dataclass(frozen=True)
class Drawing:
    """A figure, its caption, and the numbers in it; without numbers there was nothing to draw."""

    figure: Figure
    caption: str
    frame: pd.DataFrame


style_sheet = partial(style.context, SHEET, after_reset=True)
"""The style sheet and nothing of the user's settings, for the time of drawing and saving."""


def panels(number: int, height: float, columns: int = 3) -> tuple[Figure, list[Axes]]:
    """A figure of ``number`` panels in rows of at most ``columns``, each ``height`` inches.

    It is wider with more than three columns, so that panels stay as wide.
    """
    across = min(number, columns)
    down = -(-number // across)
    figure = Figure(figsize=(WIDTH * max(1, across / 3), height * down))
    axes = figure.subplots(down, across, squeeze=False).ravel().tolist()
    for spare in axes[number:]:
        spare.remove()
    return figure, axes[:number]


def nothing(reason: str) -> Drawing:
    """A blank figure that says why."""
    figure = Figure(figsize=(WIDTH, 0.8))
    figure.text(0.5, 0.5, reason, ha="center", va="center")
    return Drawing(figure, reason, pd.DataFrame())


def save(drawing: Drawing, folder: Path, name: str, provenance: Mapping[str, str]) -> None:
    """Write ``name``.png, .svg and .csv; the same drawing gives the same bytes.

    Both pictures have one layout, made here: by itself Matplotlib would make it for each file, and
    draw everything once more to do so.
    """
    lay_out(drawing.figure)
    about = {"Title": name, "Description": drawing.caption, "Source": metrics.stamp(provenance)}
    with atomic(folder / f"{name}.png") as beside:
        _save_png(drawing.figure, beside, about)
    with atomic(folder / f"{name}.svg") as beside:
        drawing.figure.savefig(beside, metadata={**about, "Date": None})
    save_numbers(drawing, folder, name)


def _save_png(figure: Figure, path: Path, about: Mapping[str, str]) -> None:
    """Write a picture with no more colours than a palette has, if it shows no photographs.

    Lines, areas and letters have some hundred. With the 256 that cover them best a value moves by
    some 10 of 255 at most, and the file takes less than half.
    """
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    drawn = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    picture = Image.fromarray(drawn).convert("RGB")
    if picture.getcolors(MOST_COLOURS):
        picture = picture.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    texts = PngInfo()
    for key, text in about.items():
        texts.add_text(key, text)
    picture.save(path, "png", pnginfo=texts, dpi=(figure.dpi, figure.dpi))


def lay_out(figure: Figure) -> None:
    """Place the axes of a figure so that nothing overlaps when it is saved."""
    figure.set_dpi(rcParams["savefig.dpi"])
    if figure.axes:
        ConstrainedLayoutEngine().execute(figure)


def save_numbers(drawing: Drawing, folder: Path, name: str) -> None:
    """Write ``name``.csv."""
    with atomic(folder / f"{name}.csv") as beside:
        beside.write_text(csv_text(drawing.frame), encoding="utf-8", newline="")


def band(axis: Axes, line: Line2D, low: "pd.Series[float]", high: "pd.Series[float]") -> None:
    """A band in the colour of a line, between two values at each of its points."""
    axis.fill_between(line.get_xdata(), low, high, color=line.get_color(), alpha=0.15, linewidth=0)


def bare(axis: Axes) -> None:
    """Nothing but what is drawn in it."""
    axis.set_xticks([])
    axis.set_yticks([])
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
