"""The stage of the tables: reproduced numbers beside published ones, verdicts and claims.

Each is written as CSV (one row per number), Markdown, LaTeX (as the paper prints it), and as the
HTML that the report holds.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmark import captions, layout, metrics
from benchmark.config import Config
from benchmark.tables import formats
from benchmark.tables.auroc import ablation_table, auroc_table
from benchmark.tables.challenge_table import challenge_table
from benchmark.tables.claim_table import claim_table
from benchmark.tables.cost import cost_table
from benchmark.tables.outlier_ratio import outlier_ratio_table
from benchmark.tables.selection_table import selection_table
from benchmark.tables.source import Source
from benchmark.tables.table import Table
from benchmark.tables.verdict_table import verdict_table
from benchmark.utils.files import atomic

OVERALL: dict[str, Callable[[Source], Table]] = {
    "verdicts": verdict_table,
    "claims": claim_table,
    "cost": cost_table,
}
"""Tables of all data sets, by kind."""


def build(config: Config, root: Path) -> dict[str, Table]:
    """All tables by name, from what earlier stages wrote under ``root``."""
    source = Source.read(config, root)
    by_dataset: dict[str, Callable[[str], Table]] = {
        "verdicts": partial(verdict_table, source),
        "challenges": partial(challenge_table, source, root),
        "auroc": partial(auroc_table, source),
        "ablation": partial(ablation_table, source),
        "outliers": partial(outlier_ratio_table, source),
        "selection": partial(selection_table, source),
    }
    tables = {}
    for name in layout.table_names(config):
        kind, _, dataset = name.partition("-")
        tables[name] = by_dataset[kind](dataset) if dataset else OVERALL[kind](source)
    return tables


def write(config: Config, root: Path) -> None:
    """Write all tables under ``root/tables``."""
    stamp = metrics.stamp(metrics.load(config, root).provenance)
    for name, table in build(config, root).items():
        texts = {
            "csv": captions.with_images(config, table.frame, name.partition("-")[2]).to_csv(
                index=False, float_format="%.6g", lineterminator="\n"
            ),
            "md": f"<!-- {stamp} -->\n{formats.markdown(table)}",
            "tex": f"% {stamp}\n{formats.latex(table, name)}",
            "html": formats.html(table),
        }
        for suffix, text in texts.items():
            with atomic(root / "tables" / f"{name}.{suffix}") as beside:
                beside.write_text(text, encoding="utf-8", newline="")
