"""The challenge study as a table: a row per challenge and level, losses and their differences."""

from pathlib import Path

import pandas as pd

from benchmark import captions
from benchmark.config import Config
from benchmark.cure_tsr import study
from benchmark.cure_tsr.study import PAIRS, Loss
from benchmark.marks import INCOMPLETE, UNDER, legend
from benchmark.metrics import Metrics
from benchmark.render import Cell, Row, Table, number
from benchmark.statistics import LEVEL

ABSENT = "not run, or no images of this condition"


def build(config: Config, found: Metrics, root: Path, dataset: str) -> Table:
    """The table; its frame has the other losses too."""
    frame = study.load(config, root, dataset)
    pairs = [pair for pair in PAIRS if {loss.method for loss in pair} <= config.methods.keys()]
    losses = list(dict.fromkeys(loss for pair in pairs for loss in reversed(pair)))
    wanted: list[tuple[Loss, Loss | None]] = [*((loss, None) for loss in losses), *pairs]
    numbers = {
        (row.challenge, row.level, row.method, row.component, row.against_method,
         row.against_component): row
        for row in frame.itertuples(index=False)
    }  # fmt: skip
    selection = config.datasets[dataset].challenges
    rows = []
    for challenge, level in selection.conditions if selection else ():
        cells = []
        for loss, against in wanted:
            row = numbers.get((challenge, level, *loss, *(against or ("", ""))))
            cells.append(_cell(row, signed=against is not None))
        rows.append(Row([challenge, f"level {level}"], cells))
    head = ["Challenge", "Level", *(_head(config, *column) for column in wanted)]
    notes = [study.claim(frame, config, dataset), *legend(rows, ABSENT)]
    return Table(_caption(config, found, dataset, frame), head, rows, notes, frame)


def _cell(row: object, *, signed: bool) -> Cell:
    if row is None:
        return Cell()
    value, low, high = (float(getattr(row, name)) for name in ("value", "low", "high"))
    text = number(value, "+.3f" if signed else ".3f")
    fewer = bool(getattr(row, "missing_seeds", ""))
    marks = INCOMPLETE * fewer + UNDER * (not signed and value < 0.5)
    return Cell(text, number((high - low) / 2, ".3f"), marks)


def _head(config: Config, loss: Loss, against: Loss | None) -> str:
    name = f"{config.methods[loss.method].title}, {captions.component(loss.component)}"
    if against is None:
        return name
    other = f"{config.methods[against.method].title}, {captions.component(against.component)}"
    return f"{name} − {other}"


def _caption(config: Config, found: Metrics, dataset: str, frame: pd.DataFrame) -> str:
    return (
        f"AUROC of each loss, clean signs against signs under each challenge and level, "
        f"{captions.dataset(config, dataset)}. ± half of the {intervals(config, frame)} "
        f"{captions.conditions(config, found.runs, dataset, ratio=False)}"
    )


def intervals(config: Config, frame: pd.DataFrame) -> str:
    """What the intervals of a study are over."""
    if frame.empty:
        return "interval: no run has scores."
    several = "and training seeds (Student's t, Satterthwaite's degrees of freedom)"
    seeds = several if frame["seeds"].max() > 1 else "only, not over training seeds"
    clustered = bool(frame["clustered"].all())
    kept = (
        "the images of one sign taken together"
        if clustered
        else "each image taken as independent, as the signs they show are no longer known"
    )
    clean, most = int(frame["inliers"].max()), int(frame["outliers"].max())
    return (
        f"{LEVEL:.0%} interval over test images {seeds}, {kept}; paired for "
        f"differences. {clean:,} clean images against up to {most:,} of each condition."
    )
