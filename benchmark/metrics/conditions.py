"""The settings that runs were made with, and how they differ from the published ones."""

import json

import numpy as np
import pandas as pd

from benchmark import published
from benchmark.config import Config
from benchmark.config.methods import defaults
from benchmark.statistics.intervals import Array


def differing_settings(config: Config, runs: pd.DataFrame) -> str:
    """Hyperparameters of complete runs that differ from the published ones; empty if none does.

    For instance ``width 16, not 64``. The published ones are the defaults of the methods, and for
    the whole benchmark ``published.IMAGE_SIZE`` and ``published.BETA``. Epochs are judged apart.
    Nothing is known of those of an external method, but where its scores come from.
    """
    texts: list[str] = []
    complete = runs[runs["status"] == "complete"]
    for method in complete["method"].unique():
        configured = config.methods[str(method)]
        if configured.external:
            source = configured.params["source"]
            texts.append(f"made elsewhere{f' ({source})' * bool(source)}")
            continue
        default = defaults(configured.detector)
        for settings in complete.loc[complete["method"] == method, "config"].unique():
            texts += [
                f"{name} {value}, not {'the default' if default[name] is None else default[name]}"
                for name, value in json.loads(settings).items()
                if name != "epochs" and value != default.get(name, value)
            ]
        if config.image_size != published.IMAGE_SIZE:
            texts.append(f"image_size {config.image_size}, not {published.IMAGE_SIZE}")
        if config.beta != published.BETA and "alpha" in default:
            texts.append(f"beta {config.beta}, not {published.BETA}")
    return ", ".join(dict.fromkeys(texts))


def comparable_epochs(runs: pd.DataFrame) -> Array:
    """Epochs of each run to compare with the published ones; runs without epochs are left out.

    The fewer of those trained and those configured: the trained ones count every phase, such as the
    pre-training of Deep SVDD.
    """
    configured = [json.loads(settings).get("epochs", np.nan) for settings in runs["config"]]
    fewer = np.fmin(runs["epochs"].to_numpy(float), np.array(configured, dtype=np.float64))
    return np.asarray(fewer[fewer > 0])


def published_epochs(config: Config, method: str) -> int | None:
    """The epochs of the published numbers of a method; None for one that has no epochs.

    For GradCon's own models they are known; for a compared method they are its default, which is
    that of its own paper or code.
    """
    if method in published.GRADCON:
        return published.EPOCHS
    default = defaults(config.methods[method].detector).get("epochs")
    return default if isinstance(default, int) else None


def seeds(runs: pd.DataFrame) -> tuple[int, ...]:
    """The distinct seeds of some runs, in ascending order."""
    return tuple(sorted({int(seed) for seed in runs["seed"]}))
