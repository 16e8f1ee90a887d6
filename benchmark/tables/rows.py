"""Rows of reproduced numbers with the published and reported ones under them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from benchmark import captions
from benchmark.metrics.averages import Estimate
from benchmark.published import EPOCHS, Published
from benchmark.tables import footnotes
from benchmark.tables.source import Source
from benchmark.tables.table import Cell, Row, Table


@dataclass(frozen=True)
class Series:
    """A row of numbers, as records of ``record``, and the reported runs that stand under it."""

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


def record(
    identity: Mapping[str, Any], estimate: Estimate, published: Published | None
) -> dict[str, Any]:
    """A row of the CSV file: what the number is of, the number, and the published one."""
    return {
        **identity,
        "mean": estimate.mean,
        "spread": estimate.spread,
        "found": estimate.found,
        "expected": estimate.expected,
        "constant": estimate.constant,
        "published": published.value if published else np.nan,
        "published_as": published.method if published else "",
        "published_place": published.place if published else "",
        "published_recalled": published.recalled if published else None,
        "published_copied": published.copied if published else None,
    }


def numbers_table(caption: str, head: Sequence[str], series: Sequence[Series]) -> Table:
    """Each series, under it the published numbers, then the reported ones."""
    rows = []
    for one in series:
        rows.append(Row([one.label, one.detail], [_cell(number) for number in one.records]))
        published = [number for number in one.records if number["published_place"]]
        if published:
            places = ", ".join(dict.fromkeys(number["published_place"] for number in published))
            copied = ", from an earlier paper" if published[0]["published_copied"] else ""
            cells = [
                _published_cell(number["published"], bool(number["published_recalled"]))
                for number in one.records
            ]
            label = f"published, {published[0]['published_as']}"
            rows.append(Row([label, f"{places}{copied}"], cells, published=True))
        for (place, run), numbers in one.reported.items():
            values = (numbers.get(number["inlier"]) for number in one.records)
            cells = [_published_cell(v.value, v.recalled) if v else Cell("") for v in values]
            rows.append(Row([f"reported by others, {run}", place], cells, published=True))
    frame = pd.DataFrame([dict(number) for one in series for number in one.records])
    return Table(caption, list(head), rows, footnotes.legend(rows), frame)


def _cell(record: Mapping[str, Any]) -> Cell:
    values = (record[name] for name in ("mean", "spread", "found", "expected"))
    auroc = record["metric"] == "auroc"
    return footnotes.average_cell(*values, constant=record["constant"], auroc=auroc)


def _published_cell(value: float, recalled: bool) -> Cell:
    if np.isnan(value):
        return Cell("")
    return Cell(f"{value:.3f}", marks=footnotes.RECALLED * recalled)


def spread_note(source: Source, dataset: str) -> str:
    """The meaning of ±, where there are several seeds."""
    several = captions.several(source.runs, dataset, "seed")
    return "Mean ± standard deviation over seeds; " if several else ""


def epochs_note(source: Source, dataset: str, series: Iterable[Series]) -> str:
    """The published epochs, where ours are fewer and there are published numbers."""
    published = any(number["published_place"] for one in series for number in one.records)
    longest = source.runs.loc[source.runs["dataset"] == dataset, "epochs"].max()
    short = published and longest < EPOCHS
    return f" The published GradCon has {EPOCHS} epochs." if short else ""
