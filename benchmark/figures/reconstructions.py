"""Test images and their reconstructions, inliers beside outliers."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from benchmark import captions, layout
from benchmark.config import Config
from benchmark.data.npz import open_npz
from benchmark.figures.style import INLIER, OUTLIER, WIDTH, Drawing, bare, nothing
from benchmark.layout import RunKey
from benchmark.metrics import Metrics
from benchmark.utils.text import shortened, spaced

PREFERRED = ("cae_grad", "vae_grad", "cae", "vae")
CLASSES = 10
"""Inlier classes shown at most."""

EACH = 6
"""Inliers, and outliers, shown per class at most."""

Images = npt.NDArray[np.uint8]


def draw(config: Config, numbers: Metrics, root: Path, dataset: str) -> Drawing:
    """A strip per inlier class: input above, reconstruction below, inliers left."""
    runs = numbers.runs
    done = runs[(runs["dataset"] == dataset) & (runs["status"] == "complete")]
    ranked = [name for name in PREFERRED if name in config.methods]
    for method in [*ranked, *config.methods]:
        strips = _strips(done[done["method"] == method], root)
        if strips:
            key: RunKey = next(iter(strips.values()))["key"]
            figure, frame = _mosaic(config, root, dataset, strips)
            caption = (
                f"Test images (upper row of each class) and their reconstructions (lower row) by "
                f"{config.methods[method].title}, one model per inlier class, "
                f"{captions.dataset(config, dataset)}.\nFirst complete run of each class "
                f"(seed {key.seed}, fold {key.fold} where it is there). "
                f"{captions.conditions(config, runs, dataset, ratio=False)}"
            )
            return Drawing(figure, caption, frame.assign(dataset=dataset, method=method))
    return nothing("No reconstructions: no complete run of a method that reconstructs.")


def _strips(runs: pd.DataFrame, root: Path) -> dict[str, dict[str, Any]]:
    """Arrays of the first complete run of each inlier class."""
    strips: dict[str, dict[str, Any]] = {}
    for run in runs.sort_values(["inlier", "fold", "seed"]).itertuples(index=False):
        key = RunKey(*(getattr(run, name) for name in RunKey._fields))
        path = layout.run(root, key) / "reconstructions.npz"
        if run.class_name not in strips and len(strips) < CLASSES and path.is_file():
            with open_npz(path) as arrays:
                strips[str(run.class_name)] = {"key": key, **arrays}
    return strips


def _mosaic(
    config: Config, root: Path, dataset: str, strips: dict[str, dict[str, Any]]
) -> tuple[Figure, pd.DataFrame]:
    """The strips as a picture, and the numbers in it."""
    across = 2 if len(strips) > 5 else 1
    down = -(-len(strips) // across)
    selection = config.datasets[dataset].challenges
    height = 0.5 + 0.4 * (selection is not None) + down * (0.62 if across == 2 else 1.1)
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.subplots(down, across, squeeze=False).T.ravel().tolist()
    frames = []
    sides = (("inliers", INLIER), ("outliers", OUTLIER))
    for axis, (name, arrays) in zip(axes, strips.items(), strict=False):
        inlier = arrays["inlier"].astype(bool)
        order = [np.flatnonzero(side)[:EACH] for side in (inlier, ~inlier)]
        canvas, centres = _canvas(arrays["images"], arrays["reconstructions"], order)
        axis.imshow(canvas.squeeze(), vmin=0, vmax=255)
        bare(axis)
        axis.set_yticks([canvas.shape[0] / 2], [shortened(name, 24)])
        axis.tick_params(length=0)
        if axis in (axes[0], axes[-down]):
            for middle, (side, colour) in zip(map(np.mean, centres), sides, strict=True):
                above = {"xytext": (0, 3), "textcoords": "offset points", "ha": "center"}
                axis.annotate(side, (middle, 0), **above, color=colour, fontweight="bold")
        frame = _numbers(arrays, np.concatenate(order), name)
        if selection:
            labels = _labels(arrays["key"], root)
            frame["condition"] = [selection.class_names[labels[k]] for k in frame["sample_id"]]
            shown = frame.loc[~frame["inlier"], "condition"]
            for centre, condition in zip(centres[1], shown, strict=True):
                text = spaced(condition).replace(" ", "\n")
                axis.text(centre, canvas.shape[0] + 2, text, ha="center", va="top", fontsize=6)
        frames.append(frame)
    for spare in axes[len(strips) :]:
        spare.remove()
    return figure, pd.concat(frames)


def _canvas(
    images: Images, reconstructions: Images, order: list[npt.NDArray[np.intp]]
) -> tuple[Images, list[list[float]]]:
    """Pictures side by side on white, and where the middle of each lies, by side, in pixels."""
    _, height, width, channels = images.shape
    gap, aisle = max(1, width // 14), width // 2
    columns = sum(map(len, order))
    canvas = np.full(
        (2 * height + gap, columns * (width + gap) - gap + aisle, channels), 255, np.uint8
    )
    left = 0
    centres: list[list[float]] = []
    for side in order:
        centres.append([])
        for index in side:
            canvas[:height, left : left + width] = images[index]
            canvas[height + gap :, left : left + width] = reconstructions[index]
            centres[-1].append(left + width / 2)
            left += width + gap
        left += aisle
    return canvas, centres


def _labels(key: RunKey, root: Path) -> dict[int, int]:
    """The condition of each test image of a challenge study."""
    path = layout.run(root, key) / "scores.parquet"
    rows = pd.read_parquet(path, columns=["sample_id", "label"])
    return dict(zip(rows["sample_id"], rows["label"], strict=True))


def _numbers(arrays: dict[str, Any], order: npt.NDArray[np.intp], class_name: str) -> pd.DataFrame:
    error = (arrays["images"][order] / 255.0 - arrays["reconstructions"][order] / 255.0) ** 2
    return pd.DataFrame(
        {
            "class_name": class_name,
            "sample_id": arrays["sample_id"][order],
            "inlier": arrays["inlier"][order].astype(bool),
            "squared_error": error.mean(axis=(1, 2, 3)),
        }
    )
