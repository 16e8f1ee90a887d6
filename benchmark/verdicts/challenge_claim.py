"""The claim of A.4 on challenges."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from benchmark.config import Config
from benchmark.data.challenges.gtsrb import NAME
from benchmark.metrics.challenge_study import PAIRS, STAND_IN, Loss, load


def claim(frame: pd.DataFrame, config: Config, dataset: str) -> str:
    """The claim of A.4, that the gradient loss wins at level 1 of every challenge, decided.

    It is not decided unless each configured challenge has its difference from all configured seeds,
    and whatever is found on a data set that stands in for CURE-TSR is no verdict on the paper.
    """
    first, second = PAIRS[0]
    milds = frame[frame["level"] == 1]
    mine = milds[_is(milds, first) & (milds["against_method"] == second.method)]
    said = (
        "Claim of A.4, that the gradient loss of CAE + Grad is better than the reconstruction "
        "error of CAE at level 1 of every challenge"
    )
    stands_in = config.datasets[dataset].source == STAND_IN
    aside = f" These are {NAME}, not CURE-TSR: no verdict on the paper." if stands_in else ""
    if mine.empty:
        return f"{said}: not decided, as no run has these losses at level 1.{aside}"
    wins, losses = mine[mine["low"] > 0], mine[mine["high"] < 0]
    unsure = mine[(mine["low"] <= 0) & (mine["high"] >= 0)]
    lacking = _lacking(mine, config, dataset)
    if lacking:
        verdict = f"not decided: {lacking}"
    elif len(losses):
        verdict = "does not hold here"
    else:
        verdict = "open here" if len(unsure) else "holds here"
    counted = [
        f"better in {len(wins)} of {len(mine)}{_under(milds, wins['challenge'])}",
        f"worse in {_named(losses)}",
        *([f"{_named(unsure, 'within the interval')}"] if len(unsure) else []),
    ]
    return f"{said}: {verdict}; {', '.join(counted)}.{aside}"


def stand_ins(config: Config, root: Path) -> list[str]:
    """What is found of the claim on each data set that stands in for CURE-TSR."""
    return [
        claim(load(config, root, dataset), config, dataset)
        for dataset, settings in config.datasets.items()
        if settings.source == STAND_IN
    ]


def _lacking(mine: pd.DataFrame, config: Config, dataset: str) -> str:
    """The configured challenges and seeds that the claim has no difference of."""
    selection = config.datasets[dataset].challenges
    there = set(mine["challenge"])
    none = [name for name in (selection.types if selection else ()) if name not in there]
    # A run has scores of all challenges, so a seed is missing from all or none.
    seeds = str(mine["missing_seeds"].iloc[0]).split()
    return "; ".join(
        [f"no {', '.join(none)}"] * bool(none)
        + [f"no seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}"] * bool(seeds)
    )


def _under(milds: pd.DataFrame, challenges: Iterable[str]) -> str:
    """Where the better loss is itself no better than chance."""
    first, second = (
        milds[_is(milds, loss) & (milds["against_method"] == "")].set_index("challenge")["value"]
        for loss in PAIRS[0]
    )
    weak = [name for name in challenges if first[name] < 0.5]
    named = ", ".join(f"{name} {first[name]:.3f} against {second[name]:.3f}" for name in weak)
    return f" ({len(weak)} of them with an AUROC under 0.5: {named})" if weak else ""


def _named(rows: pd.DataFrame, how: str = "") -> str:
    """How many challenges there are, and which."""
    names = f" ({', '.join(rows['challenge'])})" if len(rows) else ""
    return f"{len(rows)}{f' {how}' * bool(how)}{names}"


def _is(frame: pd.DataFrame, loss: Loss) -> "pd.Series[bool]":
    return (frame["method"] == loss.method) & (frame["component"] == loss.component)
