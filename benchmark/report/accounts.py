"""The report's account of the runs: which ran, how to make them, which have no or odd numbers."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from benchmark import captions, layout, scores
from benchmark.config import Config
from benchmark.metrics.stalled import LEAST
from benchmark.runs.command import command
from benchmark.utils.text import listed, span


def facts(config: Config, runs: pd.DataFrame) -> dict[str, str]:
    """Data, methods, training and score, a line each."""
    protocols = (
        f"{captions.dataset(config, key)}: {captions.split(settings)}"
        for key, settings in config.datasets.items()
    )
    ratios = ", ".join(f"{ratio:.0%}" for ratio in config.outlier_ratios)
    drawn = f"{ratios}; {layout.main_ratio(config):.0%} unless said"
    whole = all(settings.whole for settings in config.datasets.values())
    return {
        "Data sets": "; ".join(protocols),
        "Methods": ", ".join(settings.title for settings in config.methods.values()),
        "Training": captions.epochs(config, runs),
        "Seeds": f"{captions.seeds(config, runs)}; split seed {config.split_seed}",
        "Score": f"beta = {config.beta:g}, alpha = {config.alpha:g} in the sweep",
        "Outliers in the test sets": "all that there are" if whole else drawn,
    }


def methods(config: Config, runs: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """By data set, the command of each method and the scores of its runs; those that ran first."""
    datasets: dict[str, dict[str, Any]] = {}
    for key, group in runs.groupby(["dataset", "method"], sort=False):
        dataset, method = map(str, key)
        part = datasets.setdefault(
            dataset, {"title": config.datasets[dataset].title, "methods": []}
        )
        done = group[group["status"] == "complete"]
        part["methods"].append(
            {
                "key": f"{dataset}-{method}",
                "title": config.methods[method].title,
                "command": command(config, dataset, [method], group["inlier"].unique().tolist()),
                "scores": list(_scores(f"runs/{dataset}/{method}", done)),
            }
        )
    for part in datasets.values():
        part["ran"] = sum(bool(way["scores"]) for way in part["methods"])
        part["methods"].sort(key=lambda way: not way["scores"])
    return datasets


def not_run(datasets: Mapping[str, Mapping[str, Any]]) -> str:
    """What has no complete run, by data set, of what ``methods`` gives."""
    texts = []
    for part in datasets.values():
        idle = ", ".join(way["title"] for way in part["methods"] if not way["scores"])
        if idle:
            texts.append(f"{part['title']}: {idle if part['ran'] else 'all methods'}")
    return "; ".join(texts)


def _scores(folder: str, done: pd.DataFrame) -> Iterator[dict[str, str]]:
    """Links to the complete runs of each class and fold of a method, from the results."""
    folds = done["fold"].nunique() > 1
    named = done.drop_duplicates(["fold", "inlier"])[["fold", "inlier", "class_name"]]
    for fold, inlier, name in named.itertuples(index=False):
        yield {
            "path": f"{folder}/fold-{fold}/inlier-{inlier}",
            "text": f"{name}, fold {fold}" if folds else str(name),
        }


def problems(config: Config, runs: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Runs that gave no numbers, those of one reason together."""
    lost = runs[runs["status"] != "complete"]
    keys = ["dataset", "method", "status", "reason"]
    for (dataset, method, status, reason), part in lost.groupby(keys, sort=False):
        about = {"status": status, "reason": reason}
        yield about | _of_runs(config, str(dataset), str(method), part)


FLAGS = {
    "not finite": "NaN or infinity among the scores: no number",
    "constant": "every image has the same score",
    "too few outliers": "too few outliers for a configured share: no number",
    "incomplete": "pooled over an incomplete set of classes",
    "below 0.5": "AUROC under 0.5",
}
"""Flags of ``metrics``, worst first."""


def flags(config: Config, table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """What is odd about the numbers of the complete runs, worst first.

    ``marked`` says whether the tables have a mark for it at each number.
    """
    main = table["outlier_ratio"] == layout.main_ratio(config)
    shown = table[
        (table["flag"] != "")
        & table["metric"].isin(["auroc", "overlap"])
        & (table["model"] == "best")
        & (main | (table["flag"] == "too few outliers"))
        & table["beta_multiple"].isna()
    ]
    shown = shown.sort_values("flag", key=lambda flag: flag.map(list(FLAGS).index), kind="stable")
    keys = ["flag", "dataset", "method", "component"]
    for (flag, dataset, method, component), part in shown.groupby(keys, sort=False):
        about = {
            "flag": FLAGS[str(flag)],
            "component": scores.component(str(component)),
            "marked": flag == "below 0.5",
        }
        yield about | _of_runs(config, str(dataset), str(method), part)


def stalled(config: Config, runs: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The runs whose training stalled, as odd as the ``flags``: they have their numbers."""
    about = {
        "flag": f"its training stalled: the reconstruction error of the validation images fell by "
        f"less than {LEAST:.0%} after the first epoch",
        "component": "all",
        "marked": False,
    }
    for (dataset, method), part in runs[runs["stalled"]].groupby(["dataset", "method"], sort=False):
        yield about | _of_runs(config, str(dataset), str(method), part)


def _of_runs(config: Config, dataset: str, method: str, part: pd.DataFrame) -> dict[str, Any]:
    """Of which data set and method some runs are, how many, and of which classes and seeds."""
    classes = ", ".join(dict.fromkeys(str(name) for name in part["class_name"] if name))
    folds, seeds = (listed(sorted(set(part[axis]))) for axis in ("fold", "seed"))
    named = f"class{'es' * (',' in classes)} {classes}; " if classes else ""
    return {
        "dataset": config.datasets[dataset].title,
        "method": config.methods[method].title,
        "runs": len(part.drop_duplicates(["fold", "inlier", "seed"])),
        "where": f"{named}fold {folds}; seed {seeds}",
    }


def environments(runs: pd.DataFrame) -> list[dict[Any, Any]]:
    """Each distinct machine and software of the complete runs."""
    names = ["device", "cpu", "threads", "platform", "python", "torch", "commit"]
    done = runs.loc[runs["status"] == "complete", names]
    done = done.assign(threads=[span([number]) for number in done["threads"]])
    rows = done.astype(str).value_counts(sort=True).reset_index(name="runs")
    return rows.assign(commit=rows["commit"].str[:12]).to_dict("records")
