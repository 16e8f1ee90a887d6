"""The challenge study as a table: a row per challenge and level, losses and their differences."""

from pathlib import Path
from typing import Any

from benchmark import captions, scores
from benchmark.config import Config
from benchmark.metrics import challenge_study
from benchmark.metrics.challenge_study import PAIRS, Loss
from benchmark.tables.footnotes import INCOMPLETE, UNDER, legend
from benchmark.tables.source import Source
from benchmark.tables.table import Cell, Row, Table, number

ABSENT = "not run, or no images of this condition"


def build(source: Source, root: Path, dataset: str) -> Table:
    """The table; its frame has the other losses too."""
    config = source.config
    study = challenge_study.load(config, root, dataset)
    pairs = [pair for pair in PAIRS if {loss.method for loss in pair} <= config.methods.keys()]
    losses = list(dict.fromkeys(loss for pair in pairs for loss in reversed(pair)))
    columns: list[tuple[Loss, Loss | None]] = [*((loss, None) for loss in losses), *pairs]
    numbers: dict[tuple[Any, ...], Any] = {
        (row.challenge, row.level, row.method, row.component, row.against_method,
         row.against_component): row
        for row in study.itertuples(index=False)
    }  # fmt: skip
    selection = config.datasets[dataset].challenges
    rows = []
    for challenge, level in selection.conditions if selection else ():
        found = (
            numbers.get((challenge, level, *loss, *(against or ("", ""))))
            for loss, against in columns
        )
        signed = (against is not None for _, against in columns)
        cells = [_cell(row, signed=sign) for row, sign in zip(found, signed, strict=True)]
        rows.append(Row([challenge, f"level {level}"], cells))
    head = ["Challenge", "Level", *(_head(config, *column) for column in columns)]
    caption = (
        f"AUROC of each loss, clean signs against signs under each challenge and level, "
        f"{captions.dataset(config, dataset)}. ± half of the {captions.intervals(study)} "
        f"{captions.conditions(config, source.runs, dataset, ratio=False)}"
    )
    claim = captions.challenge_claim(config, dataset, source.verdicts.challenge_claim)
    return Table(caption, head, rows, [claim, *legend(rows, ABSENT)], study)


def _cell(row: Any, *, signed: bool) -> Cell:
    if row is None:
        return Cell()
    marks = INCOMPLETE * bool(row.missing_seeds) + UNDER * (not signed and row.value < 0.5)
    half = number((row.high - row.low) / 2, ".3f")
    return Cell(number(row.value, "+.3f" if signed else ".3f"), half, marks)


def _head(config: Config, loss: Loss, against: Loss | None) -> str:
    both = [
        f"{config.methods[each.method].title}, {scores.component(each.component)}"
        for each in (loss, against)
        if each
    ]
    return " − ".join(both)
