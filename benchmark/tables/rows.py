"""Rows of reproduced numbers with the published ones under them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from benchmark import captions
from benchmark import published as papers
from benchmark.config import Config
from benchmark.metrics.averages import Estimate
from benchmark.published import Published
from benchmark.tables import footnotes, table
from benchmark.tables.source import _Source
from benchmark.tables.table import Cell, Row, Table


@dataclass(frozen=True)
class _Line:
    """One row of numbers and, where there are any, the published and reported ones under it."""

    label: str
    detail: str
    records: Sequence[Mapping[str, Any]]
    reported: Mapping[tuple[str, str], Mapping[int, Published]] = field(default_factory=dict)


def main_components(components: Sequence[str]) -> list[str]:
    """The components that stand for a method: its anomaly score, else each that it has.

    A method whose runs all failed has no score, only the components that the paper names.
    """
    scored = not components or {"score", "reconstruction"} & set(components)
    return ["score"] if scored else list(components)


def _record(
    identity: Mapping[str, Any],
    place: Mapping[str, Any],
    found: Estimate,
    value: Published | None,
) -> dict[str, Any]:
    return {
        **identity,
        **place,
        "mean": found.mean,
        "spread": found.spread,
        "found": found.found,
        "expected": found.expected,
        "constant": found.constant,
        "published": value.value if value else np.nan,
        "published_as": value.method if value else "",
        "published_place": value.place if value else "",
        "published_recalled": value.recalled if value else None,
        "published_copied": value.copied if value else None,
    }


def _table(caption: str, head: Sequence[str], lines: Sequence[_Line]) -> Table:
    rows = []
    for line in lines:
        rows.append(Row([line.label, line.detail], [_cell(record) for record in line.records]))
        stated = [record for record in line.records if record["published_place"]]
        if stated:
            places = ", ".join(dict.fromkeys(record["published_place"] for record in stated))
            copied = ", from an earlier paper" if stated[0]["published_copied"] else ""
            cells = [
                _stated(record["published"], bool(record["published_recalled"]))
                for record in line.records
            ]
            label = f"published, {stated[0]['published_as']}"
            rows.append(Row([label, f"{places}{copied}"], cells, published=True))
        for (place, run), theirs in line.reported.items():
            values = (theirs.get(record["inlier"]) for record in line.records)
            cells = [_stated(v.value, v.recalled) if v else Cell("") for v in values]
            rows.append(Row([f"reported by others, {run}", place], cells, published=True))
    frame = pd.DataFrame([dict(record) for line in lines for record in line.records])
    return Table(caption, list(head), rows, footnotes.legend(rows), frame)


def _cell(record: Mapping[str, Any]) -> Cell:
    if np.isnan(record["mean"]):
        return Cell()
    marked = footnotes.average(
        record["found"],
        record["expected"],
        constant=record["constant"],
        area=record["mean"] if record["metric"] == "auroc" else 1.0,
    )
    spread = "" if np.isnan(record["spread"]) else table.number(record["spread"], ".3f")
    return Cell(table.number(record["mean"], ".3f"), spread, marked)


def _stated(value: float, recalled: bool) -> Cell:
    if np.isnan(value):
        return Cell("")
    return Cell(f"{value:.3f}", marks=footnotes.RECALLED * recalled)


def _listed(values: Iterable[Published | None]) -> str:
    return " ".join(f"{value.value:g}" for value in values if value)


def _spread(source: _Source, dataset: str) -> str:
    several = captions.several(source.found.runs, dataset, "seed")
    return "Mean ± standard deviation over seeds; " if several else ""


def _weight(config: Config) -> str:
    return (
        f" Anomaly score: reconstruction error, plus latent loss (VAE), plus {config.beta:g} times "
        "the gradient loss for models trained with the gradient constraint."
    )


def _methods(lines: Iterable[_Line]) -> set[str]:
    return {str(record["method"]) for line in lines for record in line.records}


def _published_epochs(source: _Source, dataset: str, lines: Iterable[_Line]) -> str:
    stated = any(record["published_place"] for line in lines for record in line.records)
    runs = source.found.runs
    longest = runs.loc[runs["dataset"] == dataset, "epochs"].max()
    short = stated and longest < papers.EPOCHS
    return f" The published GradCon has {papers.EPOCHS} epochs." if short else ""
