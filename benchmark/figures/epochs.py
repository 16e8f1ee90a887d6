"""Average AUROC against the epoch of the model that scores: what longer training buys."""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.ticker import ScalarFormatter

from benchmark import captions, scores
from benchmark.config import Config
from benchmark.figures.style import Drawing, band, nothing, panels
from benchmark.metrics import Metrics
from benchmark.published import AVERAGE
from benchmark.utils.text import shortened

UNDER: dict[str, Any] = {"linewidth": 4, "markersize": 8, "alpha": 0.4, "zorder": 1.9}
"""The anomaly score is a broad line below the others, as without a gradient loss it is the same
as the reconstruction error."""


def draw(config: Config, numbers: Metrics, root: Path, dataset: str) -> Drawing:
    """A panel per method, a line per score component."""
    frame = _curves(config, numbers, dataset)
    if frame.empty:
        return nothing("No AUROC against epoch: no run has models of the configured milestones.")
    methods = frame["method"].unique()
    figure, axes = panels(len(methods), 2.6, columns=4)
    there = set(frame["component"])
    names = [name for name in scores.COMPONENTS if name in there]
    names += sorted(there - set(names))
    colours = {name: f"C{index}" for index, name in enumerate(names)}
    low = min(0.5, float(frame["mean"].min())) - 0.02
    high = float((frame["mean"] + frame["spread"].fillna(0)).max())
    high += 0.08 * (high - low)  # room for the markers, whatever the range
    handles = {}
    for axis, method in zip(axes, methods, strict=True):
        curves = frame[frame["method"] == method]
        for name, line in curves.groupby("component", sort=False):
            colour = colours[str(name)]
            (handles[name],) = axis.plot(
                line["epoch"],
                line["mean"],
                color=colour,
                marker="osD^vPX"[names.index(name) % 7],
                **(UNDER if name == "score" else {}),
            )
            spread = line["spread"].fillna(0)
            band(axis, handles[name], line["mean"] - spread, line["mean"] + spread)
        axis.axhline(0.5, color="0.6", linewidth=0.8, zorder=0)
        axis.set_xscale("log")
        axis.set_xticks(_ticks(sorted(curves["epoch"].unique()), len(axes)))
        axis.minorticks_off()
        axis.xaxis.set_major_formatter(ScalarFormatter())
        axis.set_ylim(low, high)
        axis.set_title(captions.title_and_classes(config, numbers.runs, dataset, str(method)))
        axis.set_xlabel("epoch")
    axes[0].set_ylabel("average AUROC")
    labels = [shortened(scores.component(name), 28) for name in names]
    figure.legend(
        [handles[name] for name in names], labels, loc="outside upper center", ncols=len(names)
    )
    several = captions.several(numbers.runs, dataset, "seed")
    caption = (
        f"Average AUROC over the inlier classes against the epoch of the model that scores, "
        f"{captions.dataset(config, dataset)}. No epoch is chosen by this curve.\n"
        f"{'Bands: standard deviation over seeds. ' if several else ''}"
        f"{'' if frame['complete'].all() else 'Some runs are missing. '}"
        f"{captions.conditions(config, numbers.runs, dataset, model='the model of each epoch')}"
    )
    return Drawing(figure, caption, frame)


def _curves(config: Config, numbers: Metrics, dataset: str) -> pd.DataFrame:
    averages = numbers.averages
    milestones = averages[
        (averages["dataset"] == dataset)
        & (averages["metric"] == "auroc")
        & (averages["inlier"] == AVERAGE)
        & averages["model"].str.startswith("epoch-")
    ]
    milestones = milestones.assign(
        epoch=milestones["model"].str.removeprefix("epoch-").astype(int),
        complete=milestones["found"] == milestones["expected"],
    )
    columns = ["dataset", "method", "component", "epoch", "mean", "spread", "complete"]
    order = {method: index for index, method in enumerate(config.methods)}
    return milestones[columns].sort_values(
        ["method", "epoch"], key=lambda c: c.map(order).fillna(c), kind="stable"
    )


def _ticks(epochs: list[int], panels: int = 1) -> list[int]:
    """The milestones whose labels have room on a logarithmic axis, the last always."""
    kept = [epochs[-1]]
    # A label of three or four digits takes the more of an axis, the more panels share the width.
    apart = max(1.8, (epochs[-1] / epochs[0]) ** (0.08 * panels))
    for epoch in reversed(epochs):
        if kept[-1] / epoch >= apart:
            kept.append(epoch)
    return kept
