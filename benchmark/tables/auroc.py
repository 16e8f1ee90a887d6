"""AUROC per inlier class, and of each loss alone."""

from collections.abc import Sequence

from benchmark import captions, layout, scores
from benchmark import published as papers
from benchmark.metrics.averages import by_class
from benchmark.published import AVERAGE, data_source
from benchmark.tables.rows import (
    _Line,
    _listed,
    _methods,
    _published_epochs,
    _record,
    _spread,
    _table,
    _weight,
    main_components,
)
from benchmark.tables.source import _Source
from benchmark.tables.table import Table


def _auroc(source: _Source, dataset: str) -> Table:
    lines = [
        _class_line(source, dataset, method, component)
        for method in source.config.methods
        for component in main_components(source.components(dataset, method))
    ]
    return _class_table(source, dataset, lines, "AUROC of the anomaly score per inlier class")


def _ablation(source: _Source, dataset: str) -> Table:
    lines = [
        _class_line(source, dataset, method, component)
        for method in source.config.methods
        for components in [source.components(dataset, method)]
        for component in components
        if "reconstruction" in components
    ]
    return _class_table(source, dataset, lines, "AUROC of each loss as the score")


def _class_line(source: _Source, dataset: str, method: str, component: str) -> _Line:
    config = source.config
    ratio = layout.main_ratio(config)
    identity = {"dataset": dataset, "method": method, "component": component}
    rows = source.numbers.select(**identity, metric="auroc", outlier_ratio=ratio)
    classes = source.classes(dataset)
    which = (data_source(config, dataset), method, component, "AUROC")
    values = papers.comparable(papers.find(source.published, *which), config, dataset)
    by_others = {
        run: kept
        for run, theirs in papers.by_run(source.reported, *which).items()
        if (kept := papers.comparable(theirs, config, dataset))
    }
    names = {AVERAGE: "average", **classes}
    behind = source.runs(dataset, method)
    # AVERAGE sorts first, so that it stands in sight on a narrow screen.
    records = [
        _record(
            {**identity, "metric": "auroc", "outlier_ratio": ratio},
            {"inlier": inlier, "class_name": names[inlier], **behind},
            found,
            values.get(inlier),
        )
        | {"reported": _listed(run.get(inlier) for run in by_others.values())}
        for inlier, found in sorted(by_class(rows, config, dataset, list(classes)).items())
    ]
    return _Line(source.title(method), scores.component(component), records, by_others)


def _class_table(source: _Source, dataset: str, lines: Sequence[_Line], what: str) -> Table:
    config = source.config
    caption = (
        f"{what}, {captions.dataset(config, dataset)}. {_spread(source, dataset)}"
        f"{captions.conditions(config, source.found.runs, dataset, methods=_methods(lines))}"
        f"{_weight(config)}{_published_epochs(source, dataset, lines)}"
    )
    head = ["Method", "Score", "Average", *source.classes(dataset).values()]
    return _table(caption, head, lines)
