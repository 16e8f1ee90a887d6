"""Rows of reproduced numbers with the published and reported ones under them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from benchmark import captions
from benchmark.metrics.cost import of_method
from benchmark.published import AVERAGE, EPOCHS, Published, comparable, data_source, find
from benchmark.tables import cells
from benchmark.tables.source import Source
from benchmark.tables.table import Cell, Row, Table


@dataclass(frozen=True)
class Series:
    """A row of numbers, as records of ``records``, and the reported runs that stand under it."""

    label: str
    detail: str
    records: Sequence[Mapping[str, Any]]
    reported: Mapping[tuple[str, str], Mapping[int, Published]] = field(default_factory=dict)


def main_components(components: Sequence[str]) -> list[str]:
    """The components that a method is compared by: its anomaly score, else each that it has.

    A method whose runs all failed has no score, only the components that the paper names.
    """
    scored = not components or {"score", "reconstruction"} & set(components)
    return ["score"] if scored else list(components)


def records(
    source: Source,
    dataset: str,
    method: str,
    component: str,
    metric: str,
    ratio: float,
    published_ratio: float | None = None,
) -> dict[int, dict[str, Any]]:
    """Rows of the CSV file: the average over the inlier classes (``AVERAGE``), then each class.

    ``published_ratio`` is that of the published rows, which most tables of the paper leave out.
    """
    series = (data_source(source.config, dataset), method, component, metric.upper())
    found = find(source.published, *series, published_ratio)
    published = comparable(found, source.config, dataset)
    names = {AVERAGE: "average", **source.reproduced.classes(dataset)}
    cost = of_method(source.reproduced.metrics.cost, dataset, method)
    rows = {}
    averages = source.averages.of(dataset, method, component, metric, ratio)
    for inlier, average in averages.items():
        printed = published.get(inlier)
        rows[inlier] = {
            "dataset": dataset,
            "method": method,
            "component": component,
            "metric": metric,
            "outlier_ratio": ratio,
            "inlier": inlier,
            "class_name": names[inlier],
            "epochs": cost["epochs"],
            "seeds": cost["seeds"],
            "mean": average.mean,
            "spread": average.spread,
            "found": average.found,
            "expected": average.expected,
            "constant": average.constant,
            "published": printed.value if printed else np.nan,
            "published_as": printed.method if printed else "",
            "published_place": printed.place if printed else "",
            "published_recalled": printed.recalled if printed else None,
            "published_copied": printed.copied if printed else None,
        }
    return rows


def numbers_table(
    source: Source,
    dataset: str,
    what: str,
    explanation: str,
    head: Sequence[str],
    series: Sequence[Series],
    *,
    ratio: bool = True,
) -> Table:
    """Each series, under it the published numbers, then the reported ones.

    The caption says ``what`` the numbers are, how they were made, and the ``explanation``; with
    ``ratio`` also the share of outliers.
    """
    rows = [row for one in series for row in _rows(one)]
    records = [record for one in series for record in one.records]
    methods = {record["method"] for record in records}
    made = captions.conditions(source.config, source.runs, dataset, methods=methods, ratio=ratio)
    several = captions.several(source.runs, dataset, "seed")
    longest = source.runs.loc[source.runs["dataset"] == dataset, "epochs"].max()
    short = longest < EPOCHS and any(record["published_place"] for record in records)
    caption = (
        f"{what}, {captions.dataset(source.config, dataset)}. "
        f"{'Mean ± standard deviation over seeds; ' if several else ''}{made} {explanation}"
        f"{f' The published GradCon has {EPOCHS} epochs.' if short else ''}"
    )
    return Table(caption, head, rows, cells.legend(rows), pd.DataFrame(records))


def _rows(series: Series) -> Iterator[Row]:
    yield Row([series.label, series.detail], [_average_cell(record) for record in series.records])
    published = [record for record in series.records if record["published_place"]]
    if published:
        places = ", ".join(dict.fromkeys(record["published_place"] for record in published))
        copied = ", from an earlier paper" if published[0]["published_copied"] else ""
        shown = [
            _published_cell(record["published"], bool(record["published_recalled"]))
            for record in series.records
        ]
        label = f"published, {published[0]['published_as']}"
        yield Row([label, f"{places}{copied}"], shown, published=True)
    for (place, run), numbers in series.reported.items():
        values = (numbers.get(record["inlier"]) for record in series.records)
        shown = [_published_cell(v.value, v.recalled) if v else Cell("") for v in values]
        yield Row([f"reported by others, {run}", place], shown, published=True)


def _average_cell(record: Mapping[str, Any]) -> Cell:
    values = (record[name] for name in ("mean", "spread", "found", "expected"))
    return cells.average_cell(
        *values, constant=record["constant"], auroc=record["metric"] == "auroc"
    )


def _published_cell(value: float, recalled: bool) -> Cell:
    return cells.number_cell(value, marks=cells.RECALLED * recalled, absent="")
