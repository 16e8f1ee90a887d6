"""Parameters, time and memory."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from benchmark import captions
from benchmark import published as papers
from benchmark.published import AVERAGE, Published, data_source
from benchmark.tables import footnotes
from benchmark.tables.source import _Source
from benchmark.tables.table import Cell, Row, Table


def _cost(source: _Source) -> Table:
    config, runs = source.config, source.found.runs
    records, rows = [], []
    for dataset, settings in config.datasets.items():
        for method in config.methods:
            mine = runs[(runs["dataset"] == dataset) & (runs["method"] == method)]
            done = mine[mine["status"] == "complete"]
            stated = papers.find(
                source.published, data_source(config, dataset), method, "", "parameters"
            )
            value = stated.get(AVERAGE)
            record = {
                "dataset": dataset,
                "method": method,
                "parameters": _mean(done["parameters"]),
                "published_parameters": value.value if value else np.nan,
                **source.runs(dataset, method),
                "fit_seconds": _mean(done["fit_seconds"]),
                "epoch_seconds": _mean(
                    done["fit_seconds"] / done["epochs"].where(done["epochs"] > 0)
                ),
                "score_milliseconds": 1000 * _mean(done["score_seconds"] / done["n_scored"]),
                "memory_megabytes": _mean(done["memory_bytes"]) / 1e6,
                "device": ", ".join(sorted({str(name) for name in done["device"].dropna()})),
                "runs": len(done),
                "expected_runs": len(mine),
            }
            records.append(record)
            rows.append(_cost_row(record, settings.title, source.title(method), value))
    caption = (
        "Cost: trained parameters, training time per run (one inlier class, one seed) and per "
        "epoch, inference time per test image, and peak memory of the run (on a CPU of the whole "
        "process with its libraries and the data set, on a GPU of tensors), means over complete "
        f"runs; {captions.seeds(config, source.found.runs)}. Times are those of the machines that "
        "ran them, which may have been busy with other runs."
    )
    head = [
        *("Data set", "Method", "Parameters", "Published", "Epochs", "Training, s", "Per epoch, s"),
        *("Inference, ms", "Memory, MB", "Device", "Runs"),
    ]
    return Table(caption, head, rows, footnotes.legend(rows), pd.DataFrame(records))


def _cost_row(record: Mapping[str, Any], dataset: str, title: str, value: Published | None) -> Row:
    def shown(number: float, form: str) -> Cell:
        return Cell() if np.isnan(number) else Cell(format(number, form))

    stated = Cell("")
    if value:
        stated = Cell(f"{value.value:,.0f}", marks=footnotes.RECALLED * value.recalled)
    count = f"{record['runs']} of {record['expected_runs']}"
    return Row(
        [dataset, title],
        [
            shown(record["parameters"], ",.0f"),
            stated,
            Cell(record["epochs"] or Cell.MISSING),
            shown(record["fit_seconds"], ",.1f"),
            shown(record["epoch_seconds"], ".3g"),
            shown(record["score_milliseconds"], ".3g"),
            shown(record["memory_megabytes"], ",.0f"),
            Cell(record["device"] or Cell.MISSING),
            Cell(count, marks=footnotes.INCOMPLETE * (record["runs"] < record["expected_runs"])),
        ],
    )


def _mean(values: pd.Series) -> float:
    known = values.dropna()
    return float(known.mean()) if len(known) else float("nan")
