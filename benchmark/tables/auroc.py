"""AUROC per inlier class, of the anomaly score and of each loss alone."""

from collections.abc import Sequence
from typing import Any

from benchmark import captions, layout, scores
from benchmark.published import AVERAGE, by_run, comparable, data_source, find
from benchmark.tables import rows
from benchmark.tables.source import Source
from benchmark.tables.table import Table


def build(source: Source, dataset: str) -> Table:
    """The anomaly score of every method (paper, Tables 3, 4 and 7)."""
    series = [
        _series(source, dataset, method, component)
        for method in source.config.methods
        for component in rows.main_components(source.components(dataset, method))
    ]
    return _table(source, dataset, series, "AUROC of the anomaly score per inlier class")


def build_ablation(source: Source, dataset: str) -> Table:
    """Each loss of the autoencoders (paper, Table 1)."""
    series = [
        _series(source, dataset, method, component)
        for method in source.config.methods
        for components in [source.components(dataset, method)]
        for component in components
        if "reconstruction" in components
    ]
    return _table(source, dataset, series, "AUROC of each loss as the score")


def _series(source: Source, dataset: str, method: str, component: str) -> rows.Series:
    config, ratio = source.config, layout.main_ratio(source.config)
    of: dict[str, Any] = {"dataset": dataset, "method": method, "component": component}
    classes = source.reproduced.classes(dataset)
    published_as = (data_source(config, dataset), method, component, "AUROC")
    published = comparable(find(source.published, *published_as), config, dataset)
    reported = {
        run: numbers
        for run, all_numbers in by_run(source.reported, *published_as).items()
        if (numbers := comparable(all_numbers, config, dataset))
    }
    names = {AVERAGE: "average", **classes}
    # AVERAGE sorts first: the first column is visible on a narrow screen too.
    estimates = source.reproduced.averages(**of, metric="auroc", ratio=ratio, model="best")
    records = [
        rows.record(
            {
                **of,
                "metric": "auroc",
                "outlier_ratio": ratio,
                "inlier": inlier,
                "class_name": names[inlier],
                **source.epochs_and_seeds(dataset, method),
            },
            estimate,
            published.get(inlier),
        )
        | {"reported": " ".join(f"{n[inlier].value:g}" for n in reported.values() if inlier in n)}
        for inlier, estimate in sorted(estimates.items())
    ]
    return rows.Series(source.title(method), scores.component(component), records, reported)


def _table(source: Source, dataset: str, series: Sequence[rows.Series], what: str) -> Table:
    methods = {str(number["method"]) for one in series for number in one.records}
    caption = (
        f"{what}, {captions.dataset(source.config, dataset)}. {rows.spread_note(source, dataset)}"
        f"{captions.conditions(source.config, source.runs, dataset, methods=methods)}"
        " Anomaly score: reconstruction error, plus latent loss (VAE), plus "
        f"{source.config.beta:g} times the gradient loss for models trained with the gradient "
        f"constraint.{rows.epochs_note(source, dataset, series)}"
    )
    head = ["Method", "Score", "Average", *source.reproduced.classes(dataset).values()]
    return rows.numbers_table(caption, head, series)
