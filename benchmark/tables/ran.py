"""What ran on a data set: each method with its command, the number expected and that obtained."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from benchmark import captions, layout, scores
from benchmark.published import AVERAGE
from benchmark.runs.command import command
from benchmark.tables import cells
from benchmark.tables.rows import main_components
from benchmark.tables.source import Source
from benchmark.tables.table import Cell, Row, Table
from benchmark.utils.text import listed


def build(source: Source, dataset: str) -> Table:
    """A row per method with a complete run and published average, or the score of one without."""
    config = source.config
    records = [record for method in config.methods for record in _records(source, dataset, method)]
    head = ["Method", "Score", "Expected", "Obtained", "Difference", "Verdict", "Classes", "Seeds"]
    head += ["Epochs", "Runs"]
    caption = (
        f"What ran on {captions.dataset(config, dataset)}: average AUROC over the inlier classes, "
        "published (expected) and ours (obtained), with the command that gives it.\n"
        "Each command makes the runs of a method, for a shell with brace expansion, and everything "
        "after them. The average of a method that lacks classes is not comparable, and left out, "
        "as is the published one of a configuration on some classes; the other tables have the "
        "classes. "
        f"{captions.conditions(config, source.runs, dataset)}"
    )
    rows = [_row(record) for record in records]
    return Table(caption, head, rows, cells.legend(rows, ""), pd.DataFrame(records))


def _records(source: Source, dataset: str, method: str) -> Iterator[dict[str, Any]]:
    config = source.config
    runs = source.runs[(source.runs["dataset"] == dataset) & (source.runs["method"] == method)]
    done = runs[runs["status"] == "complete"]
    if done.empty:
        return
    every = runs["inlier"].unique().tolist()
    names = done.sort_values("inlier")["class_name"].unique()
    cost = source.reproduced.metrics.cost_by_method[dataset, method]
    components = source.components(dataset, method)
    expected = [name for name in components if _verdict(source, dataset, method, name) is not None]
    for component in expected or main_components(components):
        average = source.averages.of(
            dataset, method, component, "auroc", layout.main_ratio(config)
        )[AVERAGE]
        verdict = _verdict(source, dataset, method, component)
        # A published average is over every class: that of a few is nothing to hold beside it.
        comparable = verdict is not None and config.datasets[dataset].inliers is None
        yield {
            "dataset": dataset,
            "method": method,
            "title": config.methods[method].title,
            "component": component,
            "published": verdict.published if comparable else np.nan,
            "mean": np.nan if average.lacking else average.mean,
            "outcome": "" if verdict is None else verdict.outcome,
            "missing": "" if verdict is None else verdict.missing,
            "classes": f"{len(names)} of {len(every)}",
            "which": "" if len(names) == len(every) else ", ".join(names),
            "seeds": done["seed"].nunique(),
            "expected_seeds": len(config.seeds_of(method)),
            "which_seeds": listed(sorted(set(done["seed"]))),
            "epochs": cost["epochs"],
            "runs": int(cost["runs"]),
            "expected_runs": int(cost["expected_runs"]),
            "command": command(config, dataset, [method], every),
        }


def _verdict(source: Source, dataset: str, method: str, component: str) -> Any:
    """The verdict on the published average of a series; None without one."""
    judged = source.verdicts.numbers
    if judged.empty:
        return None
    of = (
        (judged["dataset"] == dataset)
        & (judged["method"] == method)
        & (judged["component"] == component)
        & (judged["metric"] == "AUROC")
        & (judged["inlier"] == AVERAGE)
        & judged["outlier_ratio"].isna()
    )
    return next(judged[of].itertuples(), None)


def _row(record: dict[str, Any]) -> Row:
    verdict = Cell("")
    if record["outcome"]:
        verdict = cells.verdict_cell(record["outcome"], record["missing"])
    return Row(
        [record["title"], scores.component(record["component"])],
        [
            cells.number_cell(record["published"], absent=""),
            cells.number_cell(record["mean"]),
            cells.difference_cell(record["mean"] - record["published"]),
            verdict,
            Cell(record["classes"], note=record["which"]),
            Cell(f"{record['seeds']} of {record['expected_seeds']}", note=record["which_seeds"]),
            Cell(record["epochs"] or Cell.MISSING),
            Cell(f"{record['runs']:,} of {record['expected_runs']:,}"),
        ],
        command=record["command"],
    )
