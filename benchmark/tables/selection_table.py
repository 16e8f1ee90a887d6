"""What the choice of the model is worth, as a table."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmark import captions, scores
from benchmark.published import Published
from benchmark.tables import footnotes
from benchmark.tables.cells import NOTES, _number, _signed
from benchmark.tables.table import Cell, Row, Table, number
from benchmark.verdicts import model_selection
from benchmark.verdicts.reproduced import Evidence


def selection_table(
    known: Evidence,
    dataset: str,
    methods: Mapping[str, Sequence[str]],
    published: Sequence[Published],
) -> Table:
    """Last epoch, best validation loss and best on test, side by side."""
    frame = model_selection.rows(known, dataset, methods, published)
    records: list[dict[str, Any]] = [
        {str(name): value for name, value in record.items()} for record in frame.to_dict("records")
    ]
    rows = [
        Row(
            [known.config.methods[row["method"]].title, scores.component(row["component"])],
            [
                *(_chosen(row, rule) for rule in model_selection.RULES),
                _signed(row["gain"]),
                Cell(str(row["models"]) if row["models"] else Cell.MISSING),
                _number(row["published"], "AUROC", bool(row["published_recalled"])),
            ],
        )
        for row in records
    ]
    caption = (
        "What the choice of the model is worth: average AUROC over the inlier classes of the last "
        "epoch, of the best validation loss on inliers (the rule of all other tables), and of the "
        "model that is best on the test set itself. The last is an oracle, not a result: it needs "
        "the test labels. It shows how much of a published number such a choice could explain. "
        f"{captions.dataset(known.config, dataset)}; "
        f"{captions.conditions(known.config, known.found.runs, dataset, model='models as said')}"
    )
    head = [
        *("Method", "Score", "Last epoch", "Best validation", "Oracle, not a result"),
        *("Oracle's gain", "Models", "Published"),
    ]
    return Table(caption, head, rows, footnotes.legend(rows, "", NOTES), frame)


def _chosen(row: Mapping[str, Any], rule: str) -> Cell:
    value, spread = row[rule], row[f"{rule}_spread"]
    if np.isnan(value):
        return Cell()
    marked = footnotes.average(
        row[f"{rule}_found"], row["expected"], constant=row[f"{rule}_constant"], area=value
    )
    shown = "" if np.isnan(spread) else number(spread, ".3f")
    return Cell(number(value, ".3f"), shown, marked, kind=rule)
