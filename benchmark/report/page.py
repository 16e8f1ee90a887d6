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

from benchmark import captions, layout, metrics, scores, tables
from benchmark.config import Config
from benchmark.metrics import challenge_study
from benchmark.runs import command
from benchmark.tables import formats, table
from benchmark.utils import text
from benchmark.utils.files import atomic
from benchmark.verdicts import challenge_claim

outputs = layout.report

TEMPLATES = Path(__file__).parent

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

    ``judged``: its rows are verdicts.
    """

    name: str
    title: str
    body: str
    caption: str = ""
    drawn: bool = True
    judged: bool = False


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
    ways = _ways(config, runs)
    return {
        "name": config.name,
        "status": {
            name: int((runs["status"] == name).sum())
            for name in ("complete", "failed", "missing", "refused")
        },
        "facts": _facts(config, runs),
        "ran": list(_ran(config, runs)),
        "idle": _idle(config, runs),
        "ways": sorted(ways.values(), key=lambda part: not part["ran"]),
        "problems": list(_problems(config, runs)),
        "flags": list(_flags(config, found.table)),
        "judged": [_table(name, built[name]) for name in ("verdicts", "claims") if name in built],
        "sections": [
            {
                "key": key,
                "title": settings.title,
                "note": settings.note,
                "claim": challenge_claim.claim(challenge_study.load(config, root, key), config, key)
                if settings.challenges
                else "",
                "tables": [_table(name, built[name]) for name in built if name.endswith(f"-{key}")],
                "ran": key in ways and ways[key]["ran"] > 0,
                "ways": ways[key]["methods"] if key in ways else [],
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
        "config": _file(config.for_new_runs),
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


def _pairs(runs: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame, pd.DataFrame]]:
    """Data set, method, their runs, and those that are complete."""
    for (dataset, method), mine in runs.groupby(["dataset", "method"], sort=False):
        yield str(dataset), str(method), mine, mine[mine["status"] == "complete"]


def _ran(config: Config, runs: pd.DataFrame) -> Iterator[dict[str, str]]:
    """What has complete runs."""
    for dataset, method, mine, done in _pairs(runs):
        if len(done):
            names = [str(name) for name in done["class_name"].unique()]
            every = mine["inlier"].nunique()
            some = f": {', '.join(names)}" * (len(names) < every)
            seeds = sorted(set(done["seed"]))
            epochs = text.span(done["epochs"])
            yield {
                "key": f"{dataset}-{method}",
                "dataset": config.datasets[dataset].title,
                "method": config.methods[method].title,
                "classes": f"{len(names)} of {every}{some}",
                "seeds": f"{len(seeds)} of {len(config.seeds)} ({text.listed(seeds)})",
                "epochs": epochs or table.Cell.MISSING,
                "runs": f"{len(done)} of {len(mine)}",
            }


def _idle(config: Config, runs: pd.DataFrame) -> str:
    """What has no complete run, by data set."""
    idle: dict[str, list[str]] = {}
    for dataset, method, _, done in _pairs(runs):
        if not len(done):
            idle.setdefault(dataset, []).append(config.methods[method].title)
    return "; ".join(
        f"{config.datasets[dataset].title}: "
        f"{'all methods' if len(titles) == len(config.methods) else ', '.join(titles)}"
        for dataset, titles in idle.items()
    )


def _ways(config: Config, runs: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """By data set, the command and the scores of each method, those that ran first."""
    ways: dict[str, dict[str, Any]] = {}
    for dataset, method, mine, done in _pairs(runs):
        title = config.datasets[dataset].title
        part = ways.setdefault(dataset, {"title": title, "ran": 0, "methods": []})
        inliers = list(dict.fromkeys(mine["inlier"].astype(int)))
        part["ran"] += bool(len(done))
        part["methods"].append(
            {
                "key": f"{dataset}-{method}",
                "title": config.methods[method].title,
                "command": command.command(config, dataset, [method], inliers),
                "scores": list(_scores(dataset, method, done)),
            }
        )
    for part in ways.values():
        part["methods"].sort(key=lambda way: not way["scores"])
    return ways


def _scores(dataset: str, method: str, done: pd.DataFrame) -> Iterator[dict[str, str]]:
    """The folders of the complete runs of each class and fold, below the results."""
    folds = done["fold"].nunique() > 1
    named = done.drop_duplicates(["fold", "inlier"])[["fold", "inlier", "class_name"]]
    for fold, inlier, name in named.itertuples(index=False):
        yield {
            "path": f"runs/{dataset}/{method}/fold-{fold}/inlier-{inlier}",
            "text": f"{name}, fold {fold}" if folds else str(name),
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
            "component": scores.component(str(component)),
            "runs": len(part.drop_duplicates(["fold", "inlier", "seed"])),
            "where": _where(part),
        }


def _where(part: pd.DataFrame) -> str:
    """Which classes, folds and seeds some runs are of."""
    classes = ", ".join(dict.fromkeys(str(name) for name in part["class_name"] if name))
    folds, seeds = (text.listed(sorted(set(part[axis]))) for axis in ("fold", "seed"))
    named = f"class{'es' * (',' in classes)} {classes}; " if classes else ""
    return f"{named}fold {folds}; seed {seeds}"


def _environments(runs: pd.DataFrame) -> list[dict[str, Any]]:
    """Each distinct machine and software of the complete runs."""
    names = ["device", "cpu", "threads", "platform", "python", "torch", "commit"]
    done = runs.loc[runs["status"] == "complete", names]
    done = done.assign(threads=[text.span([number]) for number in done["threads"]])
    counted = done.astype(str).value_counts(sort=True).reset_index(name="runs")
    return [{str(name): value for name, value in row.items()} for row in counted.to_dict("records")]


def _table(name: str, table: table.Table) -> Item:
    kind, _, dataset = name.partition("-")
    judged = kind in ("verdicts", "claims")
    title = f"{TABLE_TITLES[kind]}{', number by number' * (judged and dataset != '')}"
    return Item(name, title, formats.html(table), judged=judged)


def _figure(root: Path, name: str) -> Item:
    """A figure with the caption that it carries in itself."""
    stem = root / "figures" / name
    with Image.open(stem.with_suffix(".png")) as picture:
        caption = str(picture.info["Description"])
    drawn = stem.with_suffix(".csv").stat().st_size > 1
    code = base64.b64encode(stem.with_suffix(".svg").read_bytes()).decode()
    title = FIGURE_TITLES[name.partition("-")[0]]
    return Item(name, title, f"data:image/svg+xml;base64,{code}", caption, drawn)
