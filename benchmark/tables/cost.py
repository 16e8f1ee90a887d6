"""Parameters, time and memory."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from benchmark import captions
from benchmark.published import AVERAGE, Published, data_source, find
from benchmark.tables import footnotes
from benchmark.tables.source import Source
from benchmark.tables.table import Cell, Row, Table


def build(source: Source) -> Table:
    """A row per data set and method, means over complete runs (paper, Table 6)."""
    config, runs = source.config, source.runs
    records, rows = [], []
    for dataset, settings in config.datasets.items():
        for method in config.methods:
            done = source.reproduced.runs(dataset, method)
            expected = int(((runs["dataset"] == dataset) & (runs["method"] == method)).sum())
            of = (data_source(config, dataset), method, "", "parameters")
            published = find(source.published, *of).get(AVERAGE)
            record = {
                "dataset": dataset,
                "method": method,
                "parameters": _mean(done["parameters"]),
                "published_parameters": published.value if published else np.nan,
                **source.epochs_and_seeds(dataset, method),
                "fit_seconds": _mean(done["fit_seconds"]),
                "epoch_seconds": _mean(
                    done["fit_seconds"] / done["epochs"].where(done["epochs"] > 0)
                ),
                "score_milliseconds": 1000 * _mean(done["score_seconds"] / done["n_scored"]),
                "memory_megabytes": _mean(done["memory_bytes"]) / 1e6,
                "device": ", ".join(sorted({str(name) for name in done["device"].dropna()})),
                "runs": len(done),
                "expected_runs": expected,
            }
            records.append(record)
            rows.append(_row(record, settings.title, source.title(method), published))
    caption = (
        "Cost: trained parameters, training time per run (one inlier class, one seed) and per "
        "epoch, inference time per test image, and peak memory of the run (on a CPU of the whole "
        "process with its libraries and the data set, on a GPU of tensors), means over complete "
        f"runs; {captions.seeds(config, source.runs)}. Times are those of the machines that "
        "ran them, which may have been busy with other runs."
    )
    head = [
        *("Data set", "Method", "Parameters", "Published", "Epochs", "Training, s", "Per epoch, s"),
        *("Inference, ms", "Memory, MB", "Device", "Runs"),
    ]
    return Table(caption, head, rows, footnotes.legend(rows), pd.DataFrame(records))


def _row(record: Mapping[str, Any], dataset: str, title: str, published: Published | None) -> Row:
    def cell(number: float, form: str) -> Cell:
        return Cell() if np.isnan(number) else Cell(format(number, form))

    printed = Cell("")
    if published:
        printed = Cell(f"{published.value:,.0f}", marks=footnotes.RECALLED * published.recalled)
    count = f"{record['runs']} of {record['expected_runs']}"
    return Row(
        [dataset, title],
        [
            cell(record["parameters"], ",.0f"),
            printed,
            Cell(record["epochs"] or Cell.MISSING),
            cell(record["fit_seconds"], ",.1f"),
            cell(record["epoch_seconds"], ".3g"),
            cell(record["score_milliseconds"], ".3g"),
            cell(record["memory_megabytes"], ",.0f"),
            Cell(record["device"] or Cell.MISSING),
            Cell(count, marks=footnotes.INCOMPLETE * (record["runs"] < record["expected_runs"])),
        ],
    )


def _mean(values: "pd.Series[float]") -> float:
    return float(values.mean())  # without NaN; NaN of none
