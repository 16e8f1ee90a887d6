"""The challenge study as a table: a row per challenge and level, losses and their differences."""

from pathlib import Path

import pandas as pd

from benchmark import captions, scores
from benchmark.captions import intervals
from benchmark.config import Config
from benchmark.metrics import Metrics, challenge_study
from benchmark.metrics.challenge_study import PAIRS, Loss
from benchmark.tables.footnotes import INCOMPLETE, UNDER, legend
from benchmark.tables.table import Cell, Row, Table, number
from benchmark.verdicts import challenge_claim

ABSENT = "not run, or no images of this condition"


def build(config: Config, found: Metrics, root: Path, dataset: str) -> Table:
    """The table; its frame has the other losses too."""
    frame = challenge_study.load(config, root, dataset)
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
    notes = [challenge_claim.claim(frame, config, dataset), *legend(rows, ABSENT)]
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
    name = f"{config.methods[loss.method].title}, {scores.component(loss.component)}"
    if against is None:
        return name
    other = f"{config.methods[against.method].title}, {scores.component(against.component)}"
    return f"{name} − {other}"


def _caption(config: Config, found: Metrics, dataset: str, frame: pd.DataFrame) -> str:
    return (
        f"AUROC of each loss, clean signs against signs under each challenge and level, "
        f"{captions.dataset(config, dataset)}. ± half of the {intervals(config, frame)} "
        f"{captions.conditions(config, found.runs, dataset, ratio=False)}"
    )
