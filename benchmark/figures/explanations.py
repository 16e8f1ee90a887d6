"""What would give the published numbers: how far each other choice is from them.

A line per choice of ``verdicts.explanations``, a panel per question: how far GradCon's averages are
from the published ones, how far its classes, and how far the reconstruction errors that were
published beside it. In every panel 0 is as published.
"""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmark import captions, scores, verdicts
from benchmark.config import Config
from benchmark.figures.style import INLIER, OUTLIER, WIDTH, Drawing, nothing
from benchmark.metrics import Metrics
from benchmark.utils.text import shortened
from benchmark.verdicts.explanations import METHOD, PLAIN

COLUMNS = (
    *("explanation", "method", "component", "choices", "average", "published", "difference"),
    *("distance", "classes"),
)
"""Those of ``verdicts.explanations``, and ``difference``, the average minus the published one."""

SERIES: dict[tuple[str, str], dict[str, Any]] = {
    (METHOD, "score"): {"marker": "o", "color": INLIER},
    (METHOD, "gradient"): {"marker": "^", "color": "#009E73"},
    (METHOD, "reconstruction"): {"marker": "s", "color": OUTLIER},
    (PLAIN, "reconstruction"): {"marker": "s", "color": OUTLIER, "markerfacecolor": "white"},
}
"""The marks, by method and score component."""

GRADIENT, ERRORS = [*SERIES][:2], [*SERIES][2:]
PANELS: tuple[tuple[str, str, list[tuple[str, str]]], ...] = (
    ("Average AUROC", "difference", GRADIENT),
    ("Classes", "distance", GRADIENT),
    ("Reconstruction", "distance", ERRORS),
)
"""Title, column and series of each panel."""

AXES = {"difference": "ours − published", "distance": "distance to published"}


def draw(config: Config, numbers: Metrics, root: Path, dataset: str) -> Drawing:
    """A line per choice, our rule on top; panels of what was not published are left out."""
    frame = _choices(verdicts.load(config, root).explanations, dataset)
    if frame.empty:
        return nothing("No explanation: GradCon has no run of every inlier class.")
    choices = [*frame["explanation"].unique()]
    shown = [panel for panel in PANELS if not _of(frame, panel).empty]
    figure = Figure(figsize=(WIDTH, 1.15 + 0.23 * len(choices)))
    axes = figure.subplots(1, len(shown), squeeze=False).ravel()
    furthest = float(frame["distance"].max())
    for axis, panel in zip(axes, shown, strict=True):
        title, column, _ = panel
        _panel(axis, _of(frame, panel), column, choices)
        axis.set_title(title)
        axis.set_xlabel(AXES[column])
        axis.set_yticks(range(len(choices)), [])
        if column == "distance":
            axis.set_xlim(-0.06 * furthest, 1.12 * furthest)
    axes[0].set_yticks(range(len(choices)), [_label(frame, choice) for choice in choices])
    _averages(axes[0], frame, choices)
    figure.legend(handles=_legend(config, frame), loc="outside upper center", ncols=3)
    caption = (
        "What would give the published numbers: our runs under other choices, "
        f"{captions.dataset(config, dataset)}. 0 is as published, the first line our rule.\n"
        "The numbers on the left are average AUROCs of GradCon. The distance of classes is the "
        "root mean square of ours minus published over the inlier classes. A choice that explains "
        "the published numbers comes near 0 in every panel: it gives GradCon's average and its "
        f"classes, and leaves the reconstruction errors. {captions.CHOICES_ARE} "
        f"{captions.conditions(config, numbers.runs, dataset, methods={METHOD, PLAIN})}"
    )
    return Drawing(figure, caption, frame)


def _choices(explanations: pd.DataFrame, dataset: str) -> pd.DataFrame:
    frame = explanations[explanations["dataset"] == dataset]
    frame = frame.assign(difference=frame["average"] - frame["published"])
    return frame[[*COLUMNS]]


def _of(frame: pd.DataFrame, panel: tuple[str, str, list[tuple[str, str]]]) -> pd.DataFrame:
    _, column, series = panel
    keys = frame[["method", "component"]].apply(tuple, axis=1)
    return frame[keys.isin(series) & frame[column].notna()]


def _panel(axis: Axes, rows: pd.DataFrame, column: str, choices: list[str]) -> None:
    axis.axhspan(-0.5, 0.5, color="0.94", linewidth=0, zorder=0)
    axis.axvline(0, color="black", linewidth=1, zorder=1)
    for (method, component), of in rows.groupby(["method", "component"], sort=False):
        style = SERIES[str(method), str(component)]
        # The second of two series stands a little lower, so that none hides the other.
        second = (method, component) in (GRADIENT[1], ERRORS[1])
        heights = [
            choices.index(choice) + 0.15 * (1 if second else -1) for choice in of["explanation"]
        ]
        axis.plot(of[column], heights, linestyle="none", markersize=4.5, zorder=3, **style)
    for line, choice in enumerate(choices):
        if choice not in set(rows["explanation"]):
            axis.text(
                0.5, line, "not known", transform=axis.get_yaxis_transform(), color="0.45",
                fontsize=7, ha="center", va="center",
            )  # fmt: skip
    axis.set_ylim(len(choices) - 0.5, -0.5)
    axis.grid(visible=False, axis="y")
    axis.locator_params(axis="x", nbins=3)


def _averages(axis: Axes, frame: pd.DataFrame, choices: list[str]) -> None:
    """GradCon's average beside each choice."""
    score = frame[(frame["method"] == METHOD) & (frame["component"] == "score")]
    low, high = axis.get_xlim()
    axis.set_xlim(low - 0.4 * (high - low), high)
    row: Any
    for row in score.drop_duplicates("explanation").itertuples():
        axis.text(
            0.02, choices.index(row.explanation), f"{row.average:.3f}",
            transform=axis.get_yaxis_transform(), fontsize=8, va="center",
        )  # fmt: skip


def _label(frame: pd.DataFrame, choice: str) -> str:
    among = int(frame.loc[frame["explanation"] == choice, "choices"].max())
    of = f" (of {among})" * (among > 1 and not choice.startswith("best of"))
    return shortened(f"{captions.choice(choice)}{of}", 44)


def _legend(config: Config, frame: pd.DataFrame) -> list[Line2D]:
    there = set(zip(frame["method"], frame["component"], strict=True))
    handles = []
    for (method, component), style in SERIES.items():
        if (method, component) in there:
            title = shortened(config.methods[method].title, 28)
            label = f"{title}, {scores.component(component)}"
            handles.append(Line2D([], [], linestyle="none", markersize=4.5, label=label, **style))
    return [*handles, Line2D([], [], color="black", linewidth=1, label="as published")]
