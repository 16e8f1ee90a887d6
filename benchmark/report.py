"""The report: one HTML file with everything in it, to be read offline."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from benchmark import captions, findings, metrics, render, tables
from benchmark import outputs as layout
from benchmark.config import Config
from benchmark.cure_tsr import study
from benchmark.files import atomic

outputs = layout.report

TEMPLATES = Path(__file__).with_name("templates")

TABLE_TITLES = {
    "challenges": "Challenge study",
    "auroc": "AUROC per inlier class",
    "ablation": "Ablation: each loss as the score",
    "outliers": "Share of outliers",
    "selection": "What the choice of the model is worth",
    "verdicts": "Published against reproduced",
    "claims": "Claims",
    "cost": "Cost",
}
FIGURE_TITLES = {
    "challenges": "AUROC against the level of each challenge",
    "signs": "A sign under the challenges",
    "histograms": "Inliers against outliers",
    "beta": "Weight of the gradient loss",
    "reconstructions": "Reconstructions",
    "epochs": "AUROC against epoch",
}


@dataclass(frozen=True)
class Item:
    """A table or figure: its files' stem beside the report, and its HTML or picture.

    ``folded``: shown when it is asked for.
    """

    name: str
    title: str
    body: str
    caption: str = ""
    drawn: bool = True
    folded: bool = False


def write(config: Config, root: Path) -> None:
    """Write ``root/report/index.html`` from the metrics, tables and figures under ``root``."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html.j2").render(**_content(config, root))
    (target,) = outputs(config, root)
    with atomic(Path(target)) as beside:
        beside.write_text(page, encoding="utf-8")


def _content(config: Config, root: Path) -> dict[str, Any]:
    found = metrics.load(config, root)
    built = tables.build(config, root)
    runs = found.runs
    return {
        "name": config.name,
        "status": {
            name: int((runs["status"] == name).sum())
            for name in ("complete", "failed", "missing", "refused")
        },
        "facts": _facts(config, runs),
        "problems": list(_problems(config, runs)),
        "flags": list(_flags(config, found.table)),
        "judged": [_table(name, built[name]) for name in ("verdicts", "claims") if name in built],
        "sections": [
            {
                "key": key,
                "title": settings.title,
                "note": settings.note,
                "claim": study.claim(study.load(config, root, key), config, key)
                if settings.challenges
                else "",
                "tables": [_table(name, built[name]) for name in built if name.endswith(f"-{key}")],
                "commands": findings.commands(config, built["verdicts"].frame, key)
                if "verdicts" in built
                else {},
                "figures": [
                    _figure(root, name)
                    for name in layout.figure_names(config)
                    if name.endswith(f"-{key}")
                ],
            }
            for key, settings in config.datasets.items()
        ],
        "cost": _table("cost", built["cost"]),
        "environments": _environments(runs),
        "provenance": found.provenance,
        "config": _file(config.anew),
        "configfile": f"config/{config.name}.yaml",
    }


def _file(config: Config) -> str:
    """The configuration as a file that gives it again."""
    plain = config.model_dump(mode="json")
    plain["methods"] = {
        key: {name: value for name, value in method.items() if name != "params"} | method["params"]
        for key, method in plain["methods"].items()
    }
    return str(yaml.safe_dump(plain, sort_keys=False, default_flow_style=None, width=100))


def _facts(config: Config, runs: pd.DataFrame) -> dict[str, str]:
    protocols = (
        f"{captions.dataset(config, key)}: {captions.split(settings)}"
        for key, settings in config.datasets.items()
    )
    ratios = ", ".join(f"{ratio:.0%}" for ratio in config.outlier_ratios)
    return {
        "Data sets": "; ".join(protocols),
        "Methods": ", ".join(settings.title for settings in config.methods.values()),
        "Training": captions.epochs(config, runs),
        "Seeds": f"{captions.seeds(config, runs)}; split seed {config.split_seed}",
        "Score": f"beta = {config.beta:g}, alpha = {config.alpha:g} in the sweep",
        "Outliers in the test sets": f"{ratios}; {layout.main_ratio(config):.0%} unless said",
    }


def _problems(config: Config, runs: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Runs that gave no numbers, those of one reason together."""
    lost = runs[runs["status"] != "complete"]
    keys = ["dataset", "method", "status", "reason"]
    for (dataset, method, status, reason), part in lost.groupby(keys, sort=False):
        yield {
            "dataset": config.datasets[str(dataset)].title,
            "method": config.methods[str(method)].title,
            "status": status,
            "reason": reason,
            "runs": len(part),
            "where": _where(part),
        }


def _flags(config: Config, table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """What is odd about the numbers of the complete runs, worst first."""
    order = ["not finite", "constant", "too few outliers", "incomplete", "below 0.5"]
    main = table["outlier_ratio"] == layout.main_ratio(config)
    shown = table[
        (table["flag"] != "")
        & (table["metric"] != "f1")
        & (table["model"] == "best")
        & (main | (table["flag"] == "too few outliers"))
        & table["beta_multiple"].isna()
    ]
    shown = shown.sort_values("flag", key=lambda flag: flag.map(order.index), kind="stable")
    keys = ["flag", "dataset", "method", "component"]
    for (flag, dataset, method, component), part in shown.groupby(keys, sort=False):
        yield {
            "flag": {
                "not finite": "NaN or infinity among the scores: no number",
                "constant": "every image has the same score",
                "too few outliers": "too few outliers for a configured share: no number",
                "incomplete": "pooled over an incomplete set of classes",
                "below 0.5": "AUROC under 0.5",
            }[str(flag)],
            "dataset": config.datasets[str(dataset)].title,
            "method": config.methods[str(method)].title,
            "component": captions.component(str(component)),
            "runs": len(part.drop_duplicates(["fold", "inlier", "seed"])),
            "where": _where(part),
        }


def _where(part: pd.DataFrame) -> str:
    """Which classes, folds and seeds some runs are of."""
    classes = ", ".join(dict.fromkeys(str(name) for name in part["class_name"] if name))
    folds, seeds = (captions.listed(sorted(set(part[axis]))) for axis in ("fold", "seed"))
    named = f"class{'es' * (',' in classes)} {classes}; " if classes else ""
    return f"{named}fold {folds}; seed {seeds}"


def _environments(runs: pd.DataFrame) -> list[dict[str, Any]]:
    """Each distinct machine and software of the complete runs."""
    names = ["device", "cpu", "threads", "platform", "python", "torch", "commit"]
    done = runs.loc[runs["status"] == "complete", names]
    done = done.assign(threads=[captions.span([number]) for number in done["threads"]])
    counted = done.astype(str).value_counts(sort=True).reset_index(name="runs")
    return [{str(name): value for name, value in row.items()} for row in counted.to_dict("records")]


def _table(name: str, table: render.Table) -> Item:
    kind, _, dataset = name.partition("-")
    # Hundreds of numbers of a data set, whose averages stand at the top.
    folded = kind == "verdicts" and dataset != ""
    title = f"{TABLE_TITLES[kind]}{', number by number' * folded}"
    return Item(name, title, render.html(table), folded=folded)


def _figure(root: Path, name: str) -> Item:
    """A figure with the caption that it carries in itself."""
    stem = root / "figures" / name
    with Image.open(stem.with_suffix(".png")) as picture:
        caption = str(picture.info["Description"])
    drawn = stem.with_suffix(".csv").stat().st_size > 1
    code = base64.b64encode(stem.with_suffix(".svg").read_bytes()).decode()
    title = FIGURE_TITLES[name.partition("-")[0]]
    return Item(name, title, f"data:image/svg+xml;base64,{code}", caption, drawn)
