"""What the choice of the model is worth, as a table."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from benchmark import captions, scores
from benchmark.tables import cells
from benchmark.tables.source import Source
from benchmark.tables.table import Cell, Row, Table
from benchmark.verdicts.selection import RULES


def build(source: Source, dataset: str) -> Table:
    """Last epoch, best validation loss and best on test, side by side."""
    frame = source.verdicts.selection
    frame = frame[frame["dataset"] == dataset]
    shown = frame[frame[[*RULES, "published"]].notna().any(axis=1)].to_dict("records")
    averages = [
        Row(
            [source.config.methods[row["method"]].title, scores.component(row["component"])],
            [_cell(row, rule) for rule in RULES],
        )
        for row in shown
    ]
    averages, every = cells.mark_rows(averages)
    rows = [
        replace(of, cells=[*of.cells, *_beside(row)])
        for of, row in zip(averages, shown, strict=True)
    ]
    models = captions.conditions(source.config, source.runs, dataset, model="models as said")
    caption = (
        "What the choice of the model is worth: average AUROC over the inlier classes of the last "
        "epoch, of the best validation loss, and of the model that is best on the test set, "
        f"{captions.dataset(source.config, dataset)}.\n"
        "The best validation loss on inliers is the rule of all other tables. "
        "The last is an oracle, not a result: it needs "
        "the test labels. It shows how much of a published number such a choice could explain. "
        f"{models}"
    )
    head = [
        *("Method", "Score", "Last epoch", "Best validation", "Oracle, not a result"),
        *("Oracle's gain", "Models", "Published"),
    ]
    head, rows, marks = cells.mark_columns(head, rows)
    return Table(caption, head, rows, [*every, *marks, *cells.legend(rows, "", head)], frame)


def _beside(row: Mapping[Any, Any]) -> list[Cell]:
    """What stands beside the averages: the oracle's gain, its models, the published number."""
    return [
        cells.number_cell(row["gain"], "+.3f"),
        Cell(str(row["models"]) if row["models"] else Cell.MISSING),
        cells.number_cell(row["published"], marks=cells.RECALLED * bool(row["published_recalled"])),
    ]


def _cell(row: Mapping[Any, Any], rule: str) -> Cell:
    values = (row[name] for name in (rule, f"{rule}_spread", f"{rule}_found", "expected"))
    cell = cells.average_cell(*values, constant=row[f"{rule}_constant"])
    return cell if cell == Cell() else replace(cell, kind=rule)
