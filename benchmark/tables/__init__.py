"""The stage of the tables: reproduced numbers beside published ones, verdicts and claims.

Each is written as CSV (one row per number), Markdown, LaTeX (as the paper prints it), and as the
HTML that the report holds.
"""

from collections.abc import Callable
from pathlib import Path

from benchmark import captions, layout, metrics
from benchmark.config import Config
from benchmark.tables import (
    auroc,
    challenge_table,
    claim_table,
    cost,
    explanation_table,
    formats,
    outlier_ratio,
    overlap_table,
    ran,
    selection_table,
    verdict_table,
)
from benchmark.tables.source import Source
from benchmark.tables.table import Table
from benchmark.utils.files import atomic
from benchmark.utils.text import csv_text

BY_DATASET: dict[str, Callable[[Source, str], Table]] = {
    "ran": ran.build,
    "verdicts": verdict_table.build,
    "challenges": challenge_table.build,
    "auroc": auroc.build,
    "ablation": auroc.build_ablation,
    "overlap": overlap_table.build,
    "outliers": outlier_ratio.build,
    "selection": selection_table.build,
}
OVERALL: dict[str, Callable[[Source], Table]] = {
    "verdicts": verdict_table.build,
    "claims": claim_table.build,
    "explanations": explanation_table.build,
    "cost": cost.build,
}
"""Tables of one data set, and of all data sets, by kind."""


def build(config: Config, root: Path) -> dict[str, Table]:
    """All tables by name, from what earlier stages wrote under ``root``."""
    source = Source.read(config, root)
    tables = {}
    for name in layout.table_names(config):
        kind, _, dataset = name.partition("-")
        tables[name] = BY_DATASET[kind](source, dataset) if dataset else OVERALL[kind](source)
    return tables


def write(config: Config, root: Path) -> None:
    """Write all tables under ``root/tables``."""
    stamp = metrics.stamp(metrics.load(config, root).provenance)
    for name, table in build(config, root).items():
        texts = {
            "csv": csv_text(captions.with_images(config, table.frame, name.partition("-")[2])),
            "md": f"<!-- {stamp} -->\n{formats.markdown(table)}",
            "tex": f"% {stamp}\n{formats.latex(table, name)}",
            "html": f"<!-- {stamp} -->\n{formats.html(table, name)}",
        }
        for suffix, text in texts.items():
            with atomic(root / "tables" / f"{name}.{suffix}") as beside:
                beside.write_text(text, encoding="utf-8", newline="")
