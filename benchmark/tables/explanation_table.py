"""What would give the published numbers, as a table."""

from typing import Any

from benchmark import scores
from benchmark.tables.cells import number_cell
from benchmark.tables.source import Source
from benchmark.tables.table import Cell, Row, Table

TEXTS = {
    "best validation loss": "the model of the best validation loss, as in all other tables",
    "last model": "the model of the last epoch",
    "epoch, on the test": "of each run the best of the scored models, by the test set",
    "seed, on the test": "of each class the best run, by the test set",
    "known run, on the test": "of each class the best of all known runs, by the test set",
    "beta, on the test": "of each run the best weight of the gradient loss, by the test set",
    "another reference": "another reference gradient",
}


def build(source: Source) -> Table:
    """A row per choice and published series."""
    frame = source.verdicts.explanations
    titles = {key: settings.title for key, settings in source.config.datasets.items()}
    rows = [_row(source, row, titles) for row in frame.itertuples()]
    caption = (
        "What would give the published numbers: our runs under other choices, each with its "
        "average AUROC and its distance (root mean square over the inlier classes) to the "
        "published pattern of that series.\nIt shows how far a choice would go, not that it was "
        "made; what is chosen by the test set is no result. A choice that explains the anomaly "
        "score should leave the reconstruction errors near the published ones. The best of N seeds "
        "is what N runs would give on average if they had the mean and spread of all known ones "
        "and were normal. More seeds would tell: if each has an average near ours and the best of "
        "eight per class comes near the published one, the published one is within what chance "
        "gives; if that best stays clearly under it, a setting differs that is not known. "
        f"{source.conditions()}"
    )
    head = ["Choice", "Series", "Among", "Average", "Published", "Distance"]
    return Table(caption, head, rows, [], frame)


def _row(source: Source, row: Any, titles: dict[str, str]) -> Row:
    series = f"{source.config.methods[row.method].title}, {scores.component(row.component)}"
    text = TEXTS.get(row.explanation, f"{row.explanation}, expected")
    return Row(
        [f"{titles[row.dataset]}: {text}", series],
        [
            Cell(str(row.choices) if row.choices > 1 else Cell.MISSING),
            number_cell(row.average),
            number_cell(row.published),
            number_cell(row.distance),
        ],
    )
