"""Where the files after the scores lie, known from the configuration alone.

The Snakefile asks for these lists while it is parsed, so nothing heavy is imported here.
"""

from collections.abc import Iterable
from pathlib import Path

from benchmark.config import Config

FIGURES = ("histograms", "beta", "reconstructions", "epochs")
"""One of each per data set, named ``<figure>-<dataset>``."""

MAIN_RATIO = 0.5
"""The paper's test sets are half outliers, except in its Table 5."""


def main_ratio(config: Config) -> float:
    """The share of outliers in the test sets of every table but the one by share, in (0, 1)."""
    return min(config.outlier_ratios, key=lambda ratio: abs(ratio - MAIN_RATIO))


def table_names(config: Config) -> list[str]:
    """Names of the tables: per data set, then the cost of all."""
    kinds = ["auroc", "ablation"] + ["outliers"] * (len(config.outlier_ratios) > 1)
    return [f"{kind}-{dataset}" for dataset in config.datasets for kind in kinds] + ["cost"]


def figure_names(config: Config) -> list[str]:
    """Names of the figures."""
    return [f"{kind}-{dataset}" for dataset in config.datasets for kind in FIGURES]


def metrics(config: Config, root: Path | str) -> list[str]:
    """Files of ``benchmark.metrics``; the same for every configuration."""
    return _files(root, "metrics", ("metrics", "runs", "histograms"), ("parquet",)) + _files(
        root, "metrics", ("provenance",), ("json",)
    )


def tables(config: Config, root: Path | str) -> list[str]:
    """Files of ``benchmark.tables``."""
    return _files(root, "tables", table_names(config), ("csv", "md", "tex"))


def figures(config: Config, root: Path | str) -> list[str]:
    """Files of ``benchmark.figures``."""
    return _files(root, "figures", figure_names(config), ("png", "svg", "csv"))


def report(config: Config, root: Path | str) -> list[str]:
    """Files of ``benchmark.report``."""
    return _files(root, "report", ("index",), ("html",))


def _files(
    root: Path | str, folder: str, names: Iterable[str], suffixes: Iterable[str]
) -> list[str]:
    kept = tuple(suffixes)
    return [str(Path(root) / folder / f"{name}.{suffix}") for name in names for suffix in kept]
