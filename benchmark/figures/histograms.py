"""Inliers against outliers by each loss, over all inlier classes (the paper's Fig. 5 and 6)."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.colors import to_rgba
from matplotlib.patches import Patch

from benchmark import captions, scores
from benchmark.config import Config
from benchmark.figures.style import INLIER, OUTLIER, Drawing, nothing, panels
from benchmark.layout import main_ratio
from benchmark.metrics import Metrics
from benchmark.metrics.averages import Average, Averages
from benchmark.published import AVERAGE
from benchmark.statistics.overlap import BINS, TAIL
from benchmark.utils.text import shortened

SIDES = (("inliers", INLIER, ""), ("outliers", OUTLIER, "////"))
LOSSES = {
    "reconstruction": ("cae", "cae_grad", "vae", "vae_grad"),
    "latent": ("vae", "vae_grad"),
    "gradient": ("cae_grad", "vae_grad", "cae", "vae"),
}
"""Whose loss is shown, the first that was run: as in the paper where its methods were."""


def draw(config: Config, numbers: Metrics, root: Path, dataset: str) -> Drawing:
    """One panel per loss, the percentage of overlap written in."""
    rows = _pools(numbers, dataset)
    shown = chosen(rows)
    if not shown:
        return nothing("No histograms: no complete run.")
    figure, axes = panels(len(shown), 2.4)
    averages = Averages(numbers.averages, numbers.runs, config)
    frames, lacking = [], False
    for axis, (component, method) in zip(axes, shown, strict=True):
        part = rows[(rows["component"] == component) & (rows["method"] == method)]
        heights = part.groupby(["left", "right"], as_index=False)[["inliers", "outliers"]].mean()
        some = bool(part["lacking"].any())
        lacking |= some
        edges = np.append(heights["left"], heights["right"].iloc[-1])
        for side, colour, hatch in SIDES:
            axis.stairs(heights[side], edges, fill=True, color=colour, alpha=0.3)
            axis.stairs(heights[side], edges, color=colour, linewidth=1.2, hatch=hatch)
        share = averages.of(dataset, method, component, "overlap", main_ratio(config))[AVERAGE]
        # Head room, so that the number and the legend stand clear of the bars.
        axis.set_ylim(0, 1.3 * heights[["inliers", "outliers"]].to_numpy().max())
        axis.text(0.97, 0.97, _written(share, some), transform=axis.transAxes, ha="right", va="top")
        axis.set_title(captions.title_and_classes(config, numbers.runs, dataset, method))
        axis.set_xlabel(shortened(scores.component(component), 28))
        axis.locator_params(axis="x", nbins=5)
        frames.append(
            heights.assign(
                dataset=dataset,
                method=method,
                component=component,
                overlap=share.mean,
                overlap_spread=share.spread,
            )
        )
    axes[0].set_ylabel("test images per bin")
    patches = [
        Patch(facecolor=to_rgba(colour, 0.3), edgecolor=colour, hatch=hatch, label=side)
        for side, colour, hatch in SIDES
    ]
    figure.legend(handles=patches, loc="outside upper center", ncols=2)
    methods = {method for _, method in shown}
    several = captions.several(numbers.runs, dataset, "seed", "fold")
    caption = (
        f"Inliers and outliers by loss, the inlier classes pooled, "
        f"{captions.dataset(config, dataset)}.\n"
        f"Overlap: the samples of both histograms that lie in their overlapped region, over all "
        f"samples (100 % for equal histograms); {BINS} bins from the {TAIL} to the {100 - TAIL} "
        f"percentile, what lies beyond in the outermost ones. It has no direction: inliers that "
        f"score higher than outliers count as separated too. The table of overlaps shows it by "
        f"class. "
        f"{'Means over seeds and folds. ' if several else ''}"
        f"{'* Some inlier classes are missing. ' if lacking else ''}"
        f"{captions.conditions(config, numbers.runs, dataset, methods=methods)}"
    )
    return Drawing(figure, caption, pd.concat(frames))


def chosen(bins: pd.DataFrame) -> list[tuple[str, str]]:
    """(component, method) of each panel; the anomaly scores where no method has these losses."""
    methods = {name: list(part["method"].unique()) for name, part in bins.groupby("component")}
    panels = []
    for component, preferred in LOSSES.items():
        scored = methods.get(component, [])
        ranked = [name for name in preferred if name in scored] + scored
        panels += [(component, ranked[0])] if ranked else []
    return panels or [("score", method) for method in methods.get("score", [])]


def _pools(numbers: Metrics, dataset: str) -> pd.DataFrame:
    """Bins of the best models; of pools that lack inlier classes only where none is whole.

    ``lacking`` tells which. It is the rule of ``metrics.averages`` too.
    """
    table, bins = numbers.table, numbers.histograms
    of = ["method", "component", "fold", "seed"]
    pools = table[
        (table["dataset"] == dataset) & (table["metric"] == "overlap") & (table["model"] == "best")
    ]
    pools = pools.assign(lacking=pools["flag"] == "incomplete")[[*of, "lacking"]]
    whole = pools.groupby(["method", "component"])["lacking"].transform("all")
    rows = bins[(bins["dataset"] == dataset) & (bins["model"] == "best")]
    return rows.merge(pools[whole | ~pools["lacking"]], on=of)


def _written(share: Average, lacking: bool) -> str:
    spread = "" if np.isnan(share.spread) else f" ± {share.spread:.1f}"
    return f"overlap {share.mean:.1f}{spread} %{'*' * lacking}"
