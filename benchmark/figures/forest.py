"""Published numbers, and every run of ours and of others beside them, by inlier class.

One panel per series of the paper's tables of AUROC of which a run is known. The frame has a row per
mark in the figure; its column ``mark`` says which: ``published``, ``ours`` and ``reported`` are
values, ``interval`` is the range of 95 % of new runs as the verdicts have it (``low``, ``high``).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from benchmark import captions, published, scores, verdicts
from benchmark.config import Config
from benchmark.figures.style import INLIER, OUTLIER, Drawing, nothing, panels
from benchmark.layout import main_ratio
from benchmark.metrics import Metrics
from benchmark.published import AVERAGE, data_source
from benchmark.utils.text import shortened

HEADLINE = ("cae_grad", "score")
"""The series of the first panel."""

BAR = "#B8C4CE"
ACROSS = 4
"""Panels beside each other: as high as wide then, so that a printed page has all of the paper's."""
COLUMNS = (
    *("place", "published_method", "loss", "method", "component", "inlier", "class_name", "mark"),
    *("run", "value", "low", "high", "seen", "same_settings"),
)
"""``seen`` is of a published number, whether a source has it; ``same_settings`` of a run, whether
its epochs and hyperparameters are the published ones."""

KINDS: dict[str, dict[str, Any]] = {
    "published": {"marker": "D", "color": "black", "markersize": 4.5},
    "ours": {"marker": "o", "color": INLIER, "markersize": 3.5},
    "reported": {"marker": "s", "color": OUTLIER, "markersize": 3},
}
PLACES = {"published": 0.0, "ours": -0.26, "reported": 0.26}
"""How far below the middle of its line a mark stands, in lines, so that none hides another."""

LABELS = {
    ("published", True): "published",
    ("published", False): "published, not seen in any source",
    ("ours", True): "our run",
    ("ours", False): "our run, of fewer epochs or other settings",
    ("reported", True): "run that others report",
    ("reported", False): "the same, of other settings",
}


def draw(config: Config, numbers: Metrics, root: Path, dataset: str) -> Drawing:
    """A panel per series, a line per inlier class, the average on top."""
    frame = _marks(config, numbers, root, dataset)
    if frame.empty:
        return nothing("No published number beside a run: no run of a method that the paper has.")
    series = [*frame.groupby(["place", "published_method", "loss"], sort=False)]
    lines = frame.drop_duplicates("inlier").sort_values("inlier", kind="stable")
    names = dict(zip(lines["inlier"], lines["class_name"], strict=True))
    height = max(1.8, 0.75 + 0.18 * len(names))
    figure, axes = panels(len(series), height, ACROSS)
    # A range of few runs can be wider than any AUROC; the axis is that of the values.
    ends = max(0.0, frame["value"].min() - 0.06), min(1.02, frame["value"].max() + 0.06)
    for position, (axis, ((place, method, loss), marks)) in enumerate(
        zip(axes, series, strict=True)
    ):
        _panel(axis, marks, list(names))
        detail = place if loss == "score" else f"{scores.component(str(loss))}, {place}"
        axis.set_title(f"{shortened(str(method), 28)}\n{shortened(detail, 34)}", fontsize=8)
        axis.set_xlim(*ends)
        axis.locator_params(axis="x", nbins=5)
        axis.set_yticks(range(len(names)), [])
        if position % ACROSS == 0:
            axis.set_yticks(range(len(names)), [shortened(name, 16) for name in names.values()])
    for axis in axes[-ACROSS:]:
        axis.set_xlabel("AUROC")
    figure.legend(handles=_legend(frame), loc="outside upper center", ncols=3)
    caption = (
        f"AUROC by inlier class, {captions.dataset(config, dataset)}: the published number, each "
        f"run of ours, each run that others report, and the range of 95 % of new runs.\n"
        "The range is that of the verdicts on our runs alone; it is missing where no class has two "
        "runs, or where the runs have other epochs or settings than published, and cut at the end "
        "of the axis. An average is shown of each run that has every class. "
        f"{captions.conditions(config, numbers.runs, dataset, methods=set(frame['method']))}"
    )
    return Drawing(figure, caption, frame)


def _panel(axis: Axes, marks: pd.DataFrame, inliers: Sequence[int]) -> None:
    bars = marks[marks["mark"] == "interval"]
    lines = [inliers.index(inlier) for inlier in bars["inlier"]]
    axis.hlines(lines, bars["low"], bars["high"], color=BAR, linewidth=6, zorder=1)
    for kind, place in PLACES.items():
        for filled in (True, False):
            of = marks[(marks["mark"] == kind) & (_filled(marks) == filled)]
            heights = [inliers.index(inlier) + place for inlier in of["inlier"]]
            axis.plot(of["value"], heights, **_style(kind, filled), zorder=3)
    axis.axhline(0.5, color="0.6", linewidth=0.8)
    axis.set_ylim(len(inliers) - 0.4, -0.6)
    axis.grid(visible=False, axis="y")


def _filled(marks: pd.DataFrame) -> "pd.Series[bool]":
    return marks["seen"].where(marks["mark"] == "published", marks["same_settings"]).astype(bool)


def _style(kind: str, filled: bool) -> dict[str, Any]:
    style = {"linestyle": "none", **KINDS[kind]}
    return style if filled else {**style, "markerfacecolor": "white"}


def _legend(frame: pd.DataFrame) -> list[Line2D]:
    there = set(zip(frame["mark"], _filled(frame), strict=True))
    handles = [
        Line2D([], [], **_style(kind, filled), label=text)
        for (kind, filled), text in LABELS.items()
        if (kind, filled) in there
    ]
    if (frame["mark"] == "interval").any():
        handles.append(Line2D([], [], color=BAR, linewidth=6, label="95 % of new runs"))
    return handles


def _marks(config: Config, numbers: Metrics, root: Path, dataset: str) -> pd.DataFrame:
    """The marks of every series of which a run is known; those that ran first."""
    judged = verdicts.load(config, root).numbers
    judged = judged[
        (judged["dataset"] == dataset)
        & (judged["metric"] == "AUROC")
        & judged["outlier_ratio"].isna()
    ]
    reported = published.load(published.REPORTED)
    of_runs = dict(iter(_of_runs(config, numbers, dataset).groupby(["method", "component"])))
    parts = []
    for _, series in judged.groupby(["place", "published_method", "loss"], sort=False):
        first: Any = next(series.itertuples())
        own = of_runs.get((first.method, first.component), pd.DataFrame())
        source = data_source(config, dataset)
        others = published.by_run(reported, source, first.method, first.component, "AUROC")
        if own.empty and not others:
            continue
        names = dict(zip(series["inlier"], series["inlier_class"], strict=True))
        rows = pd.DataFrame([*_of_paper(series), *_of_ours(series, own), *_of_others(others)])
        rows = rows[rows["inlier"].isin(list(names))]
        rows = rows.assign(
            **{name: getattr(first, name) for name in COLUMNS[:5]},
            class_name=rows["inlier"].map(names),
        )
        headline = (first.method, first.component) == HEADLINE
        parts.append((own.empty, not headline, rows.reindex(columns=list(COLUMNS))))
    parts.sort(key=lambda part: part[:2])
    return pd.concat([rows for *_, rows in parts]) if parts else pd.DataFrame(columns=COLUMNS)


def _of_paper(series: pd.DataFrame) -> Iterator[dict[str, Any]]:
    row: Any
    for row in series.itertuples():
        mark = {"mark": "published", "value": row.published, "seen": not row.recalled}
        yield {"inlier": row.inlier, **mark}
        # An interval of runs that cannot be compared would be read against the published number.
        if np.isfinite(row.low) and row.outcome not in ("short run", "other settings"):
            yield {"inlier": row.inlier, "mark": "interval", "low": row.low, "high": row.high}


def _of_ours(series: pd.DataFrame, runs: pd.DataFrame) -> Iterator[dict[str, Any]]:
    differs = bool(series["outcome"].isin(["short run", "other settings"]).any())
    for row in runs.itertuples():
        run = f"fold {row.fold}, seed {row.seed}"
        yield {
            **{"inlier": row.inlier, "mark": "ours", "run": run, "value": row.value},
            "same_settings": not differs,
        }


def _of_others(
    others: dict[tuple[str, str], dict[int, published.Published]],
) -> Iterator[dict[str, Any]]:
    for (place, run), rows in others.items():
        for inlier, row in rows.items():
            yield {
                **{"inlier": inlier, "mark": "reported", "run": f"{place}, {run}"},
                **{"value": row.value, "same_settings": not row.settings},
            }


def _of_runs(config: Config, numbers: Metrics, dataset: str) -> pd.DataFrame:
    """AUROC of each run by class, then the average of each seed and fold that has every class."""
    table = numbers.table
    rows = table[
        (table["dataset"] == dataset)
        & (table["metric"] == "auroc")
        & (table["model"] == "best")
        & (table["outlier_ratio"] == main_ratio(config))
        & table["beta_multiple"].isna()
        & table["value"].notna()
    ][["method", "component", "fold", "seed", "inlier", "value"]]
    classes = numbers.runs.loc[numbers.runs["dataset"] == dataset, "inlier"].nunique()
    runs = rows.groupby(["method", "component", "fold", "seed"], as_index=False)
    averages = runs.agg(value=("value", "mean"), number=("value", "size"))
    averages = averages[averages["number"] == classes].drop(columns="number")
    # Of a configuration on some classes the published average is not the average.
    averages = averages if config.datasets[dataset].inliers is None else averages.iloc[:0]
    return pd.concat([averages.assign(inlier=AVERAGE), rows])
