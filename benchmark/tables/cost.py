"""Parameters, time and memory."""

from typing import Any

import numpy as np

from benchmark import captions
from benchmark.published import AVERAGE, Published, data_source, find
from benchmark.tables import cells
from benchmark.tables.source import Source
from benchmark.tables.table import Cell, Row, Table


def build(source: Source) -> Table:
    """A row per data set, method and device, means over complete runs (paper, Table 6)."""
    config, rows, printed = source.config, [], []
    frame = source.reproduced.metrics.cost
    for cost in frame.itertuples():
        dataset, method = str(cost.dataset), str(cost.method)
        of = (data_source(config, dataset), method, "", "parameters")
        published = find(source.published, *of).get(AVERAGE)
        printed.append(published.value if published else np.nan)
        labels = [config.datasets[dataset].title, config.methods[method].title]
        if cost.runs or published:
            rows.append(Row(labels, _cells(cost, published)))
    numbers = frame.assign(published_parameters=printed)
    numbers.insert(3, "published_parameters", numbers.pop("published_parameters"))
    caption = (
        "Cost: trained parameters, training time per run (one inlier class, one seed) and per "
        "epoch, inference time per test image, and peak memory of the run, by device.\n"
        "Memory is (on a CPU of the whole "
        "process with its libraries and the data set, on a GPU of tensors), means over complete "
        f"runs; {captions.seeds(config, source.runs)}. Times are those of the machines that "
        "ran them, which may have been busy with other runs."
    )
    head = [
        *("Data set", "Method", "Parameters", "Published", "Epochs", "Training, s", "Per epoch, s"),
        *("Inference, ms", "Memory, MB", "Device", "Runs"),
    ]
    return Table(caption, head, rows, cells.legend(rows), numbers)


def _cells(cost: Any, published: Published | None) -> list[Cell]:
    printed = Cell("")
    if published:
        printed = cells.number_cell(published.value, ",.0f", cells.RECALLED * published.recalled)
    return [
        cells.number_cell(cost.parameters, ",.0f"),
        printed,
        Cell(cost.epochs or Cell.MISSING),
        cells.number_cell(cost.fit_seconds, ",.1f"),
        cells.number_cell(cost.epoch_seconds, ".3g"),
        cells.number_cell(cost.score_milliseconds, ".3g"),
        cells.number_cell(cost.memory_megabytes, ",.0f"),
        Cell(cost.device or Cell.MISSING),
        Cell(f"{cost.device_runs} of {cost.expected_runs}"),
    ]
