"""Overlap of inliers and outliers by each loss, pooled and by class (paper, Fig. 5 and 6)."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from benchmark import captions, layout, scores
from benchmark.published import AVERAGE, data_source
from benchmark.statistics.overlap import BINS
from benchmark.tables import cells
from benchmark.tables.source import Source
from benchmark.tables.table import Cell, Row, Table
from benchmark.verdicts.numbers import OVERLAP

PLAIN, OWN = ("cae", "reconstruction"), ("cae_grad", "gradient")
"""The losses of the published difference."""

Record = dict[str, Any]


def build(source: Source, dataset: str) -> Table:
    """Two rows per method and loss, then the difference of which the paper has the pooled one."""
    config, names = source.config, source.reproduced.classes(dataset)
    records = [
        record
        for method in config.methods
        for component in source.components(dataset, method)
        for record in _records(source, dataset, method, component)
    ]
    rows = []
    by_loss: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        by_loss.setdefault((record["method"], record["component"]), []).append(record)
    for (method, component), part in by_loss.items():
        labels = [config.methods[method].title, scores.component(component)]
        rows += [
            Row(labels, [_cell(record, "overlap") for record in part]),
            Row(["without the class", ""], [_cell(r, "without") for r in part], published=True),
        ]
    rows += _differences(source, dataset, by_loss)
    caption = (
        f"Overlap of inliers and outliers by each loss, in per cent, pooled over inlier classes "
        f"and by class, {captions.dataset(config, dataset)}.\n"
        "Overlap has no direction: a class whose outliers score lower (AUROC under 0.5) counts as "
        "separated as much as one whose outliers score higher. So the pooled overlap, and the "
        "difference that the paper prints, hang on single classes; the second row of each loss is "
        f"the pooled overlap without that class. All have the same {BINS} bins. "
        f"{captions.conditions(config, source.runs, dataset)}"
    )
    head = ["Method", "Score", "Pooled", *names.values()]
    return Table(caption, head, rows, cells.legend(rows, ""), pd.DataFrame(records))


def _records(source: Source, dataset: str, method: str, component: str) -> Iterator[Record]:
    """The pooled overlap (``AVERAGE``), then that of each class; nothing without a run."""
    of = (dataset, method, component)
    ratio = layout.main_ratio(source.config)
    averages = {
        metric: source.averages.of(*of, metric, ratio)
        for metric in ("overlap", "pooled auroc", "class overlap", "overlap without", "auroc")
    }
    if np.isnan(averages["overlap"][AVERAGE].mean):
        return
    some = cells.some_classes(averages["class overlap"])
    names = {AVERAGE: "pooled", **source.reproduced.classes(dataset)}
    for inlier, name in names.items():
        pooled = inlier == AVERAGE
        yield {
            **dict(zip(("dataset", "method", "component"), of, strict=True)),
            "inlier": inlier,
            "class_name": name,
            "some_classes": some if pooled else "",
            "overlap": averages["overlap" if pooled else "class overlap"][inlier].mean,
            "auroc": averages["pooled auroc" if pooled else "auroc"][inlier].mean,
            "without": np.nan if pooled else averages["overlap without"][inlier].mean,
        }


def _cell(record: Record, name: str) -> Cell:
    marks = cells.UNDER * (name == "overlap" and record["auroc"] < 0.5)
    cell = cells.number_cell(record[name], ".1f", marks, absent="")
    return replace(cell, note=record["some_classes"] * (name == "overlap"))


def _differences(
    source: Source, dataset: str, by_loss: dict[tuple[str, str], list[Record]]
) -> Iterator[Row]:
    """How much less the gradient loss of CAE + Grad overlaps, and what is published of it."""
    if not {PLAIN, OWN} <= by_loss.keys():
        return
    pairs = list(zip(by_loss[PLAIN], by_loss[OWN], strict=True))
    for label, name in (("difference of these", "overlap"), ("without the class", "without")):
        values = [plain[name] - own[name] for plain, own in pairs]
        shown = [cells.number_cell(value, "+.1f", absent="") for value in values]
        title = source.config.methods[PLAIN[0]].title
        detail = f"{title}, {scores.component(PLAIN[1])}, minus {scores.component(OWN[1])}"
        yield Row([label, detail * (name == "overlap")], shown, published=name == "without")
    where = data_source(source.config, dataset)
    for row in source.published:
        if row.data_source == where and row.metric == OVERLAP:
            empty = [Cell("")] * (len(pairs) - 1)
            value = cells.number_cell(row.value, "+.1f", cells.RECALLED * row.recalled)
            yield Row([f"published, {row.method}", row.place], [value, *empty], published=True)
