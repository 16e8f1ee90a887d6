"""AUROC per inlier class, of the anomaly score and of each loss alone."""

from collections.abc import Sequence

from benchmark import layout, scores
from benchmark.published import by_run, comparable, data_source
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
    config = source.config
    of = (source, dataset, method, component, "auroc")
    records = rows.records(*of, layout.main_ratio(config)).values()
    runs = by_run(source.reported, data_source(config, dataset), method, component, "AUROC")
    compared = {run: comparable(numbers, config, dataset) for run, numbers in runs.items()}
    reported = {run: numbers for run, numbers in compared.items() if numbers}
    for record in records:
        values = (numbers.get(record["inlier"]) for numbers in reported.values())
        record["reported"] = " ".join(f"{each.value:g}" for each in values if each)
    title = config.methods[method].title
    printed = [*rows.printed(*of).values()]
    return rows.Series(title, scores.component(component), [*records], printed, reported)


def _table(source: Source, dataset: str, series: Sequence[rows.Series], what: str) -> Table:
    explanation = (
        "Anomaly score: reconstruction error, plus latent loss (VAE), plus "
        f"{source.config.beta:g} times the gradient loss for models trained with the gradient "
        "constraint."
    )
    # The average comes first: the first column is visible on a narrow screen too.
    head = ["Method", "Score", "Average", *source.reproduced.classes(dataset).values()]
    return rows.numbers_table(source, dataset, what, explanation, head, series)
