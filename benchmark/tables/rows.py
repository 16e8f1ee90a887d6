"""Rows of reproduced numbers with the published and reported ones under them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from benchmark import captions, published
from benchmark.published import AVERAGE, EPOCHS, Published, comparable, data_source, find
from benchmark.tables import cells
from benchmark.tables.source import Source
from benchmark.tables.table import Cell, Row, Table


@dataclass(frozen=True)
class Series:
    """A row of numbers, as records of ``records``, and what stands under it.

    That is the published numbers (``printed``) and the runs that others report.
    """

    label: str
    detail: str
    records: Sequence[Mapping[str, Any]]
    printed: Sequence[Published] = ()
    reported: Mapping[tuple[str, str], Mapping[int, Published]] = field(default_factory=dict)


def main_components(components: Sequence[str]) -> list[str]:
    """The components that a method is compared by: its anomaly score, else each that it has.

    A method whose runs all failed has no score, only the components that the paper names.
    """
    scored = not components or {"score", "reconstruction"} & set(components)
    return ["score"] if scored else list(components)


def printed(
    source: Source,
    dataset: str,
    method: str,
    component: str,
    metric: str,
    ratio: float | None = None,
) -> dict[int, Published]:
    """The published numbers of a row by inlier class; ``ratio`` only of a table by that."""
    series = (data_source(source.config, dataset), method, component, metric.upper())
    return comparable(find(source.published, *series, ratio), source.config, dataset)


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
    by_inlier = printed(source, dataset, method, component, metric, published_ratio)
    names = {AVERAGE: "average", **source.reproduced.classes(dataset)}
    cost = source.reproduced.metrics.cost_by_method[dataset, method]
    rows = {}
    averages = source.averages.of(dataset, method, component, metric, ratio)
    some = cells.some_classes(averages)
    for inlier, average in averages.items():
        row = by_inlier.get(inlier)
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
            "some_classes": some if inlier == AVERAGE else "",
            "published": row.value if row else np.nan,
            "published_as": row.method if row else "",
            "published_place": row.place if row else "",
            "published_recalled": row.recalled if row else None,
            "published_copied": row.copied if row else None,
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
    """Each series of which a number is known, with what was published and what others report.

    The caption says ``what`` the numbers are, how they were made, and the ``explanation``; with
    ``ratio`` also the share of outliers.
    """
    series = [one for one in series if _known(one)]
    rows, marks = cells.mark_rows(row for one in series for row in _rows(one))
    records = [record for one in series for record in one.records]
    methods = {record["method"] for record in records}
    made = captions.conditions(source.config, source.runs, dataset, methods=methods, ratio=ratio)
    several = captions.several(source.runs, dataset, "seed")
    longest = source.runs.loc[source.runs["dataset"] == dataset, "epochs"].max()
    short = longest < EPOCHS and any(record["published_place"] for record in records)
    caption = (
        f"{what}, {captions.dataset(source.config, dataset)}.\n"
        f"{'Mean ± standard deviation over seeds; ' if several else ''}{made} {explanation}"
        f"{f' The published GradCon has {EPOCHS} epochs.' if short else ''}"
    )
    notes = [*marks, *cells.legend(rows), *_source_notes(source, series)]
    return Table(caption, head, rows, notes, pd.DataFrame(records))


def _source_notes(source: Source, series: Iterable[Series]) -> Iterator[str]:
    """What is odd about published numbers: printed twice, or others in the source that has them."""
    twins = published.equal_series(source.published)
    for one in series:
        for key in dict.fromkeys(map(published.series, one.printed)):
            if key in twins:
                here, there = (", ".join(of[:3]) for of in (key, twins[key]))
                yield (
                    f"{here}, and {there}, have the same number for every class, which two "
                    "trainings do not give: one was reused, or one is a slip."
                )
        others = [row for row in one.printed if row.recalled and row.checked_value is not None]
        for place in dict.fromkeys(row.checked_in for row in others):
            values = ", ".join(
                f"{row.checked_value:.3f}" for row in others if row.checked_in == place
            )
            yield f"{others[0].method}, {one.detail}: {values} in another source, {place}."


def _rows(series: Series) -> Iterator[Row]:
    yield Row([series.label, series.detail], [_average_cell(record) for record in series.records])
    known = [record for record in series.records if record["published_place"]]
    if known:
        places = ", ".join(dict.fromkeys(record["published_place"] for record in known))
        copied = ", from an earlier paper" if known[0]["published_copied"] else ""
        shown = [
            _published_cell(record["published"], bool(record["published_recalled"]))
            for record in series.records
        ]
        label = f"published, {known[0]['published_as']}"
        yield Row([label, f"{places}{copied}"], shown, published=True)
        # An average over some classes is not to be compared with one over all.
        apart = [
            np.nan if record["some_classes"] else record["mean"] - record["published"]
            for record in series.records
        ]
        if not np.isnan(apart).all():
            yield Row(
                ["ours − published", ""], [*map(cells.difference_cell, apart)], published=True
            )
    for (place, run), numbers in series.reported.items():
        values = (numbers.get(record["inlier"]) for record in series.records)
        shown = [_published_cell(v.value, v.recalled) if v else Cell("") for v in values]
        settings = next(number.settings for number in numbers.values())
        detail = f"{place}; {settings}" if settings else place
        yield Row([f"reported by others, {run}", detail], shown, published=True)


def _known(series: Series) -> bool:
    """Whether there is any number of a series."""
    ran = any(np.isfinite(record["mean"]) for record in series.records)
    printed = any(record["published_place"] for record in series.records)
    return ran or printed or bool(series.reported)


def _average_cell(record: Mapping[str, Any]) -> Cell:
    values = (record[name] for name in ("mean", "spread", "found", "expected"))
    cell = cells.average_cell(
        *values, constant=record["constant"], auroc=record["metric"] == "auroc"
    )
    return replace(cell, note=record["some_classes"])


def _published_cell(value: float, recalled: bool) -> Cell:
    return cells.number_cell(value, marks=cells.RECALLED * recalled, absent="")
