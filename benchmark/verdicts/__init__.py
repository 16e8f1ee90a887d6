"""The stage of the verdicts: published against reproduced, as data without sentences.

It reads the metrics, for the claims the scores too, and ``results/published``. It writes, under
``root/verdicts``, one parquet file per table below; tables, figures and the report put them into
words. Columns are described where each is made.

===============  ==========================================  ==================================
file             one row per                                 made by
===============  ==========================================  ==================================
numbers          published number                            ``numbers.frame``
claims           comparison of a claim of the paper          ``claims.frame``
selection        data set, method and score component        ``selection.frame``
third_party      published number of which others report     ``third_party.judge``
                 runs, with the columns of ``numbers``
explanations     data set, choice, method and component      ``explanations.frame``
challenge_claim  challenge of a data set of challenges       ``challenge_claim.frame``
===============  ==========================================  ==================================
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmark import layout, metrics, published
from benchmark.config import Config
from benchmark.metrics import challenge_study
from benchmark.utils.files import atomic
from benchmark.verdicts import (
    challenge_claim,
    claims,
    explanations,
    numbers,
    selection,
    third_party,
)
from benchmark.verdicts.reproduced import Reproduced


@dataclass(frozen=True)
class Verdicts:
    """The files of the stage as frames; ``numbers`` and ``claims`` are empty where none applies."""

    numbers: pd.DataFrame
    claims: pd.DataFrame
    selection: pd.DataFrame
    third_party: pd.DataFrame
    explanations: pd.DataFrame
    challenge_claim: pd.DataFrame


def compute(config: Config, root: Path) -> Verdicts:
    """All verdicts on the runs under ``root`` (``results/<name>``)."""
    reproduced = Reproduced(config, metrics.load(config, root))
    printed = (*published.load(), *published.load(published.EARLIER))
    reported = published.load(published.REPORTED)
    judged = layout.judged(config)
    ours = numbers.judge(reproduced, printed) if judged else []
    studies = {
        dataset: challenge_study.load(config, root, dataset)
        for dataset, settings in config.datasets.items()
        if settings.challenges
    }
    return Verdicts(
        numbers.frame(ours),
        claims.frame(claims.judge(reproduced, root, printed, claims.load() if judged else [])),
        selection.frame(reproduced, printed),
        numbers.frame(third_party.judge(reproduced, ours, reported)),
        explanations.frame(reproduced, printed, reported),
        challenge_claim.frame(config, studies),
    )


def write(config: Config, root: Path) -> None:
    """Compute all verdicts and write them under ``root/verdicts``."""
    verdicts = compute(config, root)
    for path in map(Path, layout.verdicts(config, root)):
        with atomic(path) as beside:
            getattr(verdicts, path.stem).to_parquet(beside, index=False)


def load(config: Config, root: Path) -> Verdicts:
    """What ``write`` wrote."""
    return Verdicts(*map(pd.read_parquet, layout.verdicts(config, root)))
