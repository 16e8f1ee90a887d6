"""F1 and AUROC by the share of outliers in the test set."""

from benchmark import captions, scores
from benchmark import published as papers
from benchmark.metrics.averages import by_class
from benchmark.published import AVERAGE, data_source
from benchmark.tables.rows import (
    _Line,
    _published_epochs,
    _record,
    _spread,
    _table,
    main_components,
)
from benchmark.tables.source import _Source
from benchmark.tables.table import Table


def _outliers(source: _Source, dataset: str) -> Table:
    config = source.config
    lines = [
        _ratio_line(source, dataset, method, component, metric)
        for metric in ("f1", "auroc")
        for method in config.methods
        for component in main_components(source.components(dataset, method))
    ]
    naive = ", ".join(f"{2 * (1 - r) / (2 - r):.3f}" for r in config.outlier_ratios)
    caption = (
        f"F1 and AUROC by the share of outliers in the test set, average over the inlier classes, "
        f"{captions.dataset(config, dataset)}. {_spread(source, dataset)}"
        f"{captions.conditions(config, source.found.runs, dataset, ratio=False)} "
        f"F1 is that of the inliers at the threshold that flags the known share of outliers; the "
        f"threshold behind the published F1 is not known. Calling every image an inlier gives F1 "
        f"{naive}.{_published_epochs(source, dataset, lines)}"
    )
    head = ["Method", "Metric", *(f"{ratio:.0%}" for ratio in config.outlier_ratios)]
    return _table(caption, head, lines)


def _ratio_line(source: _Source, dataset: str, method: str, component: str, metric: str) -> _Line:
    config = source.config
    label = metric.upper()
    classes = source.classes(dataset)
    identity = {"dataset": dataset, "method": method, "component": component}
    records = []
    behind = source.runs(dataset, method)
    for ratio in config.outlier_ratios:
        rows = source.numbers.select(**identity, metric=metric, outlier_ratio=ratio)
        values = papers.find(
            source.published, data_source(config, dataset), method, component, label, ratio
        )
        value = papers.comparable(values, config, dataset).get(AVERAGE)
        records.append(
            _record(
                {**identity, "metric": metric, "outlier_ratio": ratio},
                {"inlier": AVERAGE, "class_name": "average", **behind},
                by_class(rows, config, dataset, list(classes))[AVERAGE],
                value,
            )
        )
    title = source.title(method)
    named = title if component == "score" else f"{title} {scores.component(component)}"
    return _Line(named, label, records)
