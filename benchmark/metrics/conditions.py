"""The settings of runs, and which of them differ from the paper's."""

import json

import numpy as np
import pandas as pd

from benchmark import published as papers
from benchmark.config import Config
from benchmark.config.methods import defaults
from benchmark.statistics import Array


def otherwise(config: Config, runs: pd.DataFrame) -> str:
    """Settings of some runs that are not the paper's or their own papers', epochs aside; or empty.

    For instance ``width 16, not 64``. The suite's defaults are the papers' settings.
    """
    found = []
    for method, group in runs[runs["status"] == "complete"].groupby("method", sort=False):
        own = defaults(config.methods[str(method)].detector)
        for stated in group["config"].unique():
            found += [
                f"{name} {value}, not {own[name] if own[name] is not None else 'the default'}"
                for name, value in json.loads(stated).items()
                if name != "epochs" and value != own.get(name, value)
            ]
        for name, papers_own in (("image_size", papers.IMAGE_SIZE), ("beta", papers.BETA)):
            value = getattr(config, name)
            if value != papers_own and (name != "beta" or "alpha" in own):
                found.append(f"{name} {value}, not {papers_own}")
    return ", ".join(dict.fromkeys(found))


def epochs(runs: pd.DataFrame) -> Array:
    """The epochs of some runs to hold against the paper's, of those that have any.

    The fewer of those trained and those asked for: what was trained counts every phase, such as the
    pre-training of Deep SVDD.
    """
    asked = [json.loads(stated).get("epochs", np.nan) for stated in runs["config"]]
    fewer = np.fmin(runs["epochs"].to_numpy(float), np.array(asked, dtype=np.float64))
    return np.asarray(fewer[fewer > 0])


def paper_epochs(config: Config, method: str) -> int | None:
    """The fewest epochs that count as the paper's training; None where epochs mean nothing.

    For GradCon's own models they are known; for a compared method they are its default, which is
    what its own paper or code has.
    """
    if method in papers.GRADCON:
        return papers.EPOCHS
    stated = defaults(config.methods[method].detector).get("epochs")
    return stated if isinstance(stated, int) else None


def seeds(runs: pd.DataFrame) -> tuple[int, ...]:
    """The seeds of some runs."""
    return tuple(sorted({int(seed) for seed in runs["seed"]}))
