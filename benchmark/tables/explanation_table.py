"""What would give the published numbers, as a table."""

from typing import Any

from benchmark import captions, scores
from benchmark.tables.cells import number_cell
from benchmark.tables.source import Source
from benchmark.tables.table import Cell, Row, Table


def build(source: Source) -> Table:
    """A row per choice and published series."""
    frame = source.verdicts.explanations
    titles = {key: settings.title for key, settings in source.config.datasets.items()}
    rows = [_row(source, row, titles) for row in frame.itertuples()]
    caption = (
        "What would give the published numbers: our runs under other choices, each with its "
        "average AUROC and its distance (root mean square over the inlier classes) to the "
        f"published pattern of that series.\n{captions.CHOICES_ARE} A choice that explains the "
        "anomaly score should leave the reconstruction errors near the published ones. More seeds "
        "would tell: if each has an average near ours and the best of eight per class comes near "
        "the published one, the published one is within what chance gives; if that best stays "
        "clearly under it, a setting differs that is not known. "
        f"{source.conditions()}"
    )
    head = ["Choice", "Series", "Among", "Average", "Published", "Distance"]
    return Table(caption, head, rows, [], frame)


def _row(source: Source, row: Any, titles: dict[str, str]) -> Row:
    series = f"{source.config.methods[row.method].title}, {scores.component(row.component)}"
    return Row(
        [f"{titles[row.dataset]}: {captions.choice(row.explanation)}", series],
        [
            Cell(str(row.choices) if row.choices > 1 else Cell.MISSING),
            number_cell(row.average),
            number_cell(row.published),
            number_cell(row.distance),
        ],
    )
