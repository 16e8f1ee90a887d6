"""The tables, reproduced beside published: AUROC, ablation, shares of outliers, cost.

Each is written as CSV (one row per number), Markdown and LaTeX (as the paper prints it).
"""

from collections.abc import Callable
from pathlib import Path

from benchmark import captions, layout, metrics
from benchmark import published as papers
from benchmark.config import Config
from benchmark.metrics.averages import Numbers
from benchmark.tables import challenge_table, claim_table, formats, selection_table, verdict_table
from benchmark.tables.auroc import _ablation, _auroc
from benchmark.tables.cost import _cost
from benchmark.tables.outlier_ratio import _outliers
from benchmark.tables.source import _Source
from benchmark.tables.table import Table
from benchmark.utils.files import atomic
from benchmark.verdicts import challenge_claim, claims, numbers, third_party
from benchmark.verdicts.reproduced import Evidence

outputs = layout.tables


def build(config: Config, root: Path) -> dict[str, Table]:
    """All tables by name, from what ``benchmark.metrics`` wrote under ``root``."""
    found = metrics.load(config, root)
    known = Evidence(config, found)
    stated = papers.load(), papers.load(papers.REPORTED)
    source = _Source(config, found, Numbers(found.table), *stated)
    judged = numbers.judge(known, source.published) if layout.judged(config) else []
    builders: dict[str, Callable[[str], Table]] = {
        "verdicts": lambda key: verdict_table.verdict_table(
            known,
            judged,
            key,
            [
                text
                for dataset in ([key] if key else config.datasets)
                for text in third_party.notes(known, dataset, source.published, source.reported)
            ],
        ),
        "claims": lambda _: claim_table.claim_table(
            known,
            claims.judge(known, root, source.published, claims.load()),
            challenge_claim.stand_ins(config, root),
        ),
        "challenges": lambda key: challenge_table.build(config, found, root, key),
        "auroc": lambda key: _auroc(source, key),
        "ablation": lambda key: _ablation(source, key),
        "outliers": lambda key: _outliers(source, key),
        "selection": lambda key: selection_table.selection_table(
            known,
            key,
            {method: source.components(key, method) for method in config.methods},
            source.published,
        ),
        "cost": lambda _: _cost(source),
    }
    tables = {}
    for name in layout.table_names(config):
        kind, _, dataset = name.partition("-")
        tables[name] = builders[kind](dataset)
    return tables


def write(config: Config, root: Path) -> None:
    """Write all tables under ``root/tables``."""
    stamp = metrics.stamp(metrics.load(config, root).provenance)
    for name, table in build(config, root).items():
        folder = root / "tables"
        frame = captions.with_images(config, table.frame, name.partition("-")[2])
        with atomic(folder / f"{name}.csv") as beside:
            frame.to_csv(beside, index=False, float_format="%.6g", lineterminator="\n")
        with atomic(folder / f"{name}.md") as beside:
            beside.write_text(f"<!-- {stamp} -->\n{formats.markdown(table)}", encoding="utf-8")
        with atomic(folder / f"{name}.tex") as beside:
            beside.write_text(f"% {stamp}\n{formats.latex(table, name)}", encoding="utf-8")
