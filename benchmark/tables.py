"""The tables, reproduced beside published: AUROC, ablation, shares of outliers, cost.

Each is written as CSV (one row per number), Markdown and LaTeX (as the paper prints it).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark import captions, claims, findings, marks, render, reported, verdicts
from benchmark import metrics as numbers
from benchmark import outputs as layout
from benchmark import published as papers
from benchmark.config import Config
from benchmark.cure_tsr import study
from benchmark.cure_tsr import table as challenges
from benchmark.evidence import Evidence
from benchmark.files import atomic
from benchmark.metrics import Metrics
from benchmark.published import AVERAGE, Published
from benchmark.render import Cell, Row, Table
from benchmark.summary import Estimate, Numbers, by_class

outputs = layout.tables


@dataclass(frozen=True)
class _Line:
    """One row of numbers and, where there are any, the published and reported ones under it."""

    label: str
    detail: str
    records: Sequence[Mapping[str, Any]]
    reported: Mapping[tuple[str, str], Mapping[int, Published]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Source:
    """What the tables are made from."""

    config: Config
    found: Metrics
    numbers: Numbers
    published: tuple[Published, ...]
    reported: tuple[Published, ...]

    def classes(self, dataset: str) -> dict[int, str]:
        """Inlier classes of a data set, index to name."""
        runs = self.found.runs
        mine = runs[runs["dataset"] == dataset].drop_duplicates("inlier")
        return dict(zip(mine["inlier"].astype(int), mine["class_name"], strict=True))

    def components(self, dataset: str, method: str) -> list[str]:
        """Score components of a method, the anomaly score last.

        Where it has no numbers they are taken from other data sets, or from what was published, so
        that its rows show as missing.
        """
        table = self.found.table
        mine = table[table["method"] == method]
        here = mine.loc[mine["dataset"] == dataset, "component"]
        known = here if len(here) else mine["component"]
        printed = (row.run_component for row in self.published if row.run_method == method)
        return list(known.unique()) or [name for name in dict.fromkeys(printed) if name]

    def runs(self, dataset: str, method: str) -> dict[str, Any]:
        """Epochs and seeds behind a method's numbers, for the CSV files."""
        runs = self.found.runs
        mine = runs[(runs["dataset"] == dataset) & (runs["method"] == method)]
        done = mine[mine["status"] == "complete"]
        seeds = " ".join(str(seed) for seed in sorted(set(done["seed"])))
        return {"epochs": captions.span(done["epochs"]), "seeds": seeds}

    def title(self, method: str) -> str:
        """A method's name for readers."""
        return str(self.config.methods[method].title)


def build(config: Config, root: Path) -> dict[str, Table]:
    """All tables by name, from what ``benchmark.metrics`` wrote under ``root``."""
    found = numbers.load(config, root)
    known = Evidence(config, found)
    stated = papers.load(), papers.load(papers.REPORTED)
    source = _Source(config, found, Numbers(found.table), *stated)
    judged = verdicts.judge(known, source.published) if layout.judged(config) else []
    builders: dict[str, Callable[[str], Table]] = {
        "verdicts": lambda key: findings.verdict_table(
            known,
            judged,
            key,
            [
                text
                for dataset in ([key] if key else config.datasets)
                for text in reported.notes(known, dataset, source.published, source.reported)
            ],
        ),
        "claims": lambda _: findings.claim_table(
            known,
            claims.judge(known, root, source.published, claims.load()),
            study.stand_ins(config, root),
        ),
        "challenges": lambda key: challenges.build(config, found, root, key),
        "auroc": lambda key: _auroc(source, key),
        "ablation": lambda key: _ablation(source, key),
        "outliers": lambda key: _outliers(source, key),
        "selection": lambda key: findings.selection_table(
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
    stamp = render.stamp(numbers.load(config, root).provenance)
    for name, table in build(config, root).items():
        folder = root / "tables"
        frame = captions.with_images(config, table.frame, name.partition("-")[2])
        with atomic(folder / f"{name}.csv") as beside:
            frame.to_csv(beside, index=False, float_format="%.6g", lineterminator="\n")
        with atomic(folder / f"{name}.md") as beside:
            beside.write_text(f"<!-- {stamp} -->\n{render.markdown(table)}", encoding="utf-8")
        with atomic(folder / f"{name}.tex") as beside:
            beside.write_text(f"% {stamp}\n{render.latex(table, name)}", encoding="utf-8")


def main_components(components: Sequence[str]) -> list[str]:
    """The components that stand for a method: its anomaly score, else each that it has.

    A method whose runs all failed has no score, only the components that the paper names.
    """
    scored = not components or {"score", "reconstruction"} & set(components)
    return ["score"] if scored else list(components)


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
    which = (papers.data_source(config, dataset), method, component, "AUROC")
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
    return _Line(source.title(method), captions.component(component), records, by_others)


def _class_table(source: _Source, dataset: str, lines: Sequence[_Line], what: str) -> Table:
    config = source.config
    caption = (
        f"{what}, {captions.dataset(config, dataset)}. {_spread(source, dataset)}"
        f"{captions.conditions(config, source.found.runs, dataset, methods=_methods(lines))}"
        f"{_weight(config)}{_published_epochs(source, dataset, lines)}"
    )
    head = ["Method", "Score", "Average", *source.classes(dataset).values()]
    return _table(caption, head, lines)


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
            source.published, papers.data_source(config, dataset), method, component, label, ratio
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
    named = title if component == "score" else f"{title} {captions.component(component)}"
    return _Line(named, label, records)


def _cost(source: _Source) -> Table:
    config, runs = source.config, source.found.runs
    records, rows = [], []
    for dataset, settings in config.datasets.items():
        for method in config.methods:
            mine = runs[(runs["dataset"] == dataset) & (runs["method"] == method)]
            done = mine[mine["status"] == "complete"]
            stated = papers.find(
                source.published, papers.data_source(config, dataset), method, "", "parameters"
            )
            value = stated.get(AVERAGE)
            record = {
                "dataset": dataset,
                "method": method,
                "parameters": _mean(done["parameters"]),
                "published_parameters": value.value if value else np.nan,
                **source.runs(dataset, method),
                "fit_seconds": _mean(done["fit_seconds"]),
                "epoch_seconds": _mean(
                    done["fit_seconds"] / done["epochs"].where(done["epochs"] > 0)
                ),
                "score_milliseconds": 1000 * _mean(done["score_seconds"] / done["n_scored"]),
                "memory_megabytes": _mean(done["memory_bytes"]) / 1e6,
                "device": ", ".join(sorted({str(name) for name in done["device"].dropna()})),
                "runs": len(done),
                "expected_runs": len(mine),
            }
            records.append(record)
            rows.append(_cost_row(record, settings.title, source.title(method), value))
    caption = (
        "Cost: trained parameters, training time per run (one inlier class, one seed) and per "
        "epoch, inference time per test image, and peak memory of the run (on a CPU of the whole "
        "process with its libraries and the data set, on a GPU of tensors), means over complete "
        f"runs; {captions.seeds(config, source.found.runs)}. Times are those of the machines that "
        "ran them, which may have been busy with other runs."
    )
    head = [
        *("Data set", "Method", "Parameters", "Published", "Epochs", "Training, s", "Per epoch, s"),
        *("Inference, ms", "Memory, MB", "Device", "Runs"),
    ]
    return Table(caption, head, rows, marks.legend(rows), pd.DataFrame(records))


def _cost_row(record: Mapping[str, Any], dataset: str, title: str, value: Published | None) -> Row:
    def shown(number: float, form: str) -> Cell:
        return Cell() if np.isnan(number) else Cell(format(number, form))

    stated = Cell("")
    if value:
        stated = Cell(f"{value.value:,.0f}", marks=marks.RECALLED * value.recalled)
    count = f"{record['runs']} of {record['expected_runs']}"
    return Row(
        [dataset, title],
        [
            shown(record["parameters"], ",.0f"),
            stated,
            Cell(record["epochs"] or Cell.MISSING),
            shown(record["fit_seconds"], ",.1f"),
            shown(record["epoch_seconds"], ".3g"),
            shown(record["score_milliseconds"], ".3g"),
            shown(record["memory_megabytes"], ",.0f"),
            Cell(record["device"] or Cell.MISSING),
            Cell(count, marks=marks.INCOMPLETE * (record["runs"] < record["expected_runs"])),
        ],
    )


def _record(
    identity: Mapping[str, Any],
    place: Mapping[str, Any],
    found: Estimate,
    value: Published | None,
) -> dict[str, Any]:
    return {
        **identity,
        **place,
        "mean": found.mean,
        "spread": found.spread,
        "found": found.found,
        "expected": found.expected,
        "constant": found.constant,
        "published": value.value if value else np.nan,
        "published_as": value.method if value else "",
        "published_place": value.place if value else "",
        "published_recalled": value.recalled if value else None,
        "published_copied": value.copied if value else None,
    }


def _table(caption: str, head: Sequence[str], lines: Sequence[_Line]) -> Table:
    rows = []
    for line in lines:
        rows.append(Row([line.label, line.detail], [_cell(record) for record in line.records]))
        stated = [record for record in line.records if record["published_place"]]
        if stated:
            places = ", ".join(dict.fromkeys(record["published_place"] for record in stated))
            copied = ", from an earlier paper" if stated[0]["published_copied"] else ""
            cells = [
                _stated(record["published"], bool(record["published_recalled"]))
                for record in line.records
            ]
            label = f"published, {stated[0]['published_as']}"
            rows.append(Row([label, f"{places}{copied}"], cells, published=True))
        for (place, run), theirs in line.reported.items():
            values = (theirs.get(record["inlier"]) for record in line.records)
            cells = [_stated(v.value, v.recalled) if v else Cell("") for v in values]
            rows.append(Row([f"reported by others, {run}", place], cells, published=True))
    frame = pd.DataFrame([dict(record) for line in lines for record in line.records])
    return Table(caption, list(head), rows, marks.legend(rows), frame)


def _cell(record: Mapping[str, Any]) -> Cell:
    if np.isnan(record["mean"]):
        return Cell()
    marked = marks.average(
        record["found"],
        record["expected"],
        constant=record["constant"],
        area=record["mean"] if record["metric"] == "auroc" else 1.0,
    )
    spread = "" if np.isnan(record["spread"]) else render.number(record["spread"], ".3f")
    return Cell(render.number(record["mean"], ".3f"), spread, marked)


def _stated(value: float, recalled: bool) -> Cell:
    if np.isnan(value):
        return Cell("")
    return Cell(f"{value:.3f}", marks=marks.RECALLED * recalled)


def _listed(values: Iterable[Published | None]) -> str:
    return " ".join(f"{value.value:g}" for value in values if value)


def _mean(values: pd.Series) -> float:
    known = values.dropna()
    return float(known.mean()) if len(known) else float("nan")


def _spread(source: _Source, dataset: str) -> str:
    several = captions.several(source.found.runs, dataset, "seed")
    return "Mean ± standard deviation over seeds; " if several else ""


def _weight(config: Config) -> str:
    return (
        f" Anomaly score: reconstruction error, plus latent loss (VAE), plus {config.beta:g} times "
        "the gradient loss for models trained with the gradient constraint."
    )


def _methods(lines: Iterable[_Line]) -> set[str]:
    return {str(record["method"]) for line in lines for record in line.records}


def _published_epochs(source: _Source, dataset: str, lines: Iterable[_Line]) -> str:
    stated = any(record["published_place"] for line in lines for record in line.records)
    runs = source.found.runs
    longest = runs.loc[runs["dataset"] == dataset, "epochs"].max()
    short = stated and longest < papers.EPOCHS
    return f" The published GradCon has {papers.EPOCHS} epochs." if short else ""
