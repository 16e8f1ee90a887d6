"""F1 and AUROC by the share of outliers in the test set (paper, Table 5)."""

from typing import Any

from benchmark import captions, scores
from benchmark.published import AVERAGE, comparable, data_source, find
from benchmark.tables import rows
from benchmark.tables.source import Source
from benchmark.tables.table import Table


def build(source: Source, dataset: str) -> Table:
    """A column per share, averages over the inlier classes."""
    config = source.config
    series = [
        _series(source, dataset, method, component, metric)
        for metric in ("f1", "auroc")
        for method in config.methods
        for component in rows.main_components(source.components(dataset, method))
    ]
    naive = ", ".join(f"{2 * (1 - r) / (2 - r):.3f}" for r in config.outlier_ratios)
    caption = (
        f"F1 and AUROC by the share of outliers in the test set, average over the inlier classes, "
        f"{captions.dataset(config, dataset)}. {rows.spread_note(source, dataset)}"
        f"{captions.conditions(config, source.runs, dataset, ratio=False)} "
        f"F1 is that of the inliers at the threshold that flags the known share of outliers; the "
        f"threshold behind the published F1 is not known. Calling every image an inlier gives F1 "
        f"{naive}.{rows.epochs_note(source, dataset, series)}"
    )
    head = ["Method", "Metric", *(f"{ratio:.0%}" for ratio in config.outlier_ratios)]
    return rows.numbers_table(caption, head, series)


def _series(source: Source, dataset: str, method: str, component: str, metric: str) -> rows.Series:
    config = source.config
    of: dict[str, Any] = {"dataset": dataset, "method": method, "component": component}
    published_as = (data_source(config, dataset), method, component, metric.upper())
    records = []
    for ratio in config.outlier_ratios:
        estimates = source.reproduced.averages(**of, metric=metric, ratio=ratio, model="best")
        published = comparable(find(source.published, *published_as, ratio), config, dataset)
        identity = {
            **of,
            "metric": metric,
            "outlier_ratio": ratio,
            "inlier": AVERAGE,
            "class_name": "average",
            **source.epochs_and_seeds(dataset, method),
        }
        records.append(rows.record(identity, estimates[AVERAGE], published.get(AVERAGE)))
    title = source.title(method)
    label = title if component == "score" else f"{title} {scores.component(component)}"
    return rows.Series(label, metric.upper(), records)
