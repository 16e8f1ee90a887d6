"""F1 and AUROC by the share of outliers in the test set (paper, Table 5)."""

from benchmark import scores
from benchmark.published import AVERAGE
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
    what = "F1 and AUROC by the share of outliers in the test set, average over the inlier classes"
    explanation = (
        "F1 is that of the inliers at the threshold that flags the known share of outliers; the "
        "threshold behind the published F1 is not known. Calling every image an inlier gives F1 "
        f"{naive}."
    )
    head = ["Method", "Metric", *(f"{ratio:.0%}" for ratio in config.outlier_ratios)]
    return rows.numbers_table(source, dataset, what, explanation, head, series, ratio=False)


def _series(source: Source, dataset: str, method: str, component: str, metric: str) -> rows.Series:
    of = (source, dataset, method, component, metric)
    ratios = source.config.outlier_ratios
    records = [rows.records(*of, ratio, published_ratio=ratio)[AVERAGE] for ratio in ratios]
    printed = [row for ratio in ratios for row in rows.printed(*of, ratio).values()]
    title = source.config.methods[method].title
    label = title if component == "score" else f"{title} {scores.component(component)}"
    return rows.Series(label, metric.upper(), records, printed)
