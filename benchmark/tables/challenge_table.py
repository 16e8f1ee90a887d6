"""The challenge study as a table: a row per challenge and level, losses and their differences."""

from dataclasses import replace
from typing import Any

from benchmark import captions, scores
from benchmark.config import Config
from benchmark.metrics import challenge_study
from benchmark.metrics.challenge_study import PAIRS, Loss
from benchmark.tables.cells import INCOMPLETE, UNDER, difference_cell, legend
from benchmark.tables.source import Source
from benchmark.tables.table import Cell, Row, Table, number

ABSENT = "not run, or no images of this condition"


def build(source: Source, dataset: str) -> Table:
    """The table; its frame has the other losses too."""
    config = source.config
    study = challenge_study.load(config, source.root, dataset)
    pairs = [pair for pair in PAIRS if {loss.method for loss in pair} <= config.methods.keys()]
    losses = dict.fromkeys(loss for pair in pairs for loss in reversed(pair))
    columns: list[tuple[Loss, ...]] = [*((loss,) for loss in losses), *pairs]
    numbers = {
        (row.challenge, row.level, *_column(row)): row for row in study.itertuples(index=False)
    }
    uneven = captions.uneven_conditions(config, dataset)
    selection = config.datasets[dataset].challenges
    rows = [
        Row(
            [challenge, f"level {level}"],
            [_cell(numbers.get((challenge, level, *column))) for column in columns],
            note=uneven.get((challenge, level), ""),
        )
        for challenge, level in (selection.conditions if selection else ())
        if any((challenge, level, *column) in numbers for column in columns)
    ]
    head = ["Challenge", "Level", *(_head(config, column) for column in columns)]
    caption = (
        f"AUROC of each loss, clean signs against signs under each challenge and level, "
        f"{captions.dataset(config, dataset)}.\n± half of the {captions.intervals(study)} "
        f"{captions.conditions(config, source.runs, dataset, ratio=False)}"
    )
    claim = captions.challenge_claim(config, dataset, source.verdicts.challenge_claim)
    return Table(caption, head, rows, [claim, *legend(rows, ABSENT)], study)


def _column(row: Any) -> tuple[Loss, ...]:
    """The loss of a row of the study, or the two of a difference."""
    loss = Loss(row.method, row.component)
    if not row.against_method:
        return (loss,)
    return (loss, Loss(row.against_method, row.against_component))


def _cell(row: Any) -> Cell:
    if row is None:
        return Cell()
    difference = bool(row.against_method)
    under = UNDER * (row.value < 0.5 and not difference)
    half = number((row.high - row.low) / 2, ".3f")
    marks = INCOMPLETE * bool(row.missing_seeds) + under
    if difference:
        return replace(difference_cell(row.value), spread=half, marks=marks)
    return Cell(number(row.value, ".3f"), half, marks)


def _head(config: Config, losses: tuple[Loss, ...]) -> str:
    return " − ".join(
        f"{config.methods[loss.method].title}, {scores.component(loss.component)}"
        for loss in losses
    )
