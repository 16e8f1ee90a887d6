"""The claim of A.4, that the gradient loss wins at level 1 of every challenge, decided.

It is decided only where each configured challenge has its difference from all configured seeds.
A data set that replaces CURE-TSR gives no verdict on the paper.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import pandas as pd

from benchmark.config import Config
from benchmark.metrics.challenge_study import PAIRS, of_loss

Outcome = Literal["better", "worse", "within the interval", "missing"]
Decision = Literal["not run", "not decided", "does not hold", "open", "holds"]

COLUMNS = (
    *("dataset", "decision", "challenge", "outcome"),
    *("gradient", "reconstruction", "missing_seeds"),
)
"""AUROCs of the gradient loss of CAE + Grad and of the reconstruction error of CAE; ``outcome`` is
that of the first against the second; ``missing_seeds`` are the configured ones without a run.
``decision`` is that of the data set's whole claim."""


def frame(config: Config, studies: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """A row per data set of challenges and configured challenge.

    Args:
        config: the configuration.
        studies: what ``metrics.challenge_study`` wrote, by data set.
    """
    rows = []
    for dataset, study in studies.items():
        challenges = list(_rows(config, dataset, study))
        rows += [(dataset, _decision(challenges), *challenge) for challenge in challenges]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _decision(challenges: Sequence[tuple[object, ...]]) -> Decision:
    outcomes = {str(outcome) for _, outcome, *_ in challenges}
    if outcomes == {"missing"}:
        return "not run"
    if "missing" in outcomes or any(seeds for *_, seeds in challenges):
        return "not decided"
    if "worse" in outcomes:
        return "does not hold"
    return "open" if "within the interval" in outcomes else "holds"


def _rows(config: Config, dataset: str, study: pd.DataFrame) -> Iterator[tuple[object, ...]]:
    first, second = PAIRS[0]
    mild = study[study["level"] == 1]
    alone = mild[mild["against_method"] == ""]
    areas = [alone[of_loss(alone, loss)].set_index("challenge")["value"] for loss in PAIRS[0]]
    differences = mild[of_loss(mild, first) & (mild["against_method"] == second.method)]
    selection = config.datasets[dataset].challenges
    compared = differences.set_index("challenge")
    for challenge in selection.types if selection else ():
        if challenge not in compared.index:
            yield challenge, "missing", None, None, ""
            continue
        row = compared.loc[challenge]
        outcome: Outcome = "within the interval"
        if row["low"] > 0 or row["high"] < 0:
            outcome = "better" if row["low"] > 0 else "worse"
        values = (area[challenge] for area in areas)
        yield challenge, outcome, *values, row["missing_seeds"]
