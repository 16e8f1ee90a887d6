"""What the tables are made from."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import pandas as pd

from benchmark import captions, metrics, published, verdicts
from benchmark.config import Config
from benchmark.metrics.averages import Averages
from benchmark.published import Published
from benchmark.verdicts import Verdicts
from benchmark.verdicts.reproduced import Reproduced


@dataclass(frozen=True)
class Source:
    """Metrics and verdicts under ``root``, and the published and reported numbers."""

    root: Path
    reproduced: Reproduced
    verdicts: Verdicts
    published: tuple[Published, ...]
    reported: tuple[Published, ...]

    @classmethod
    def read(cls, config: Config, root: Path) -> Self:
        """From the files that earlier stages left under ``root``."""
        return cls(
            root,
            Reproduced(config, metrics.load(config, root)),
            verdicts.load(config, root),
            published.load(),
            published.load(published.REPORTED),
        )

    @property
    def config(self) -> Config:
        """The configuration."""
        return self.reproduced.config

    @property
    def runs(self) -> pd.DataFrame:
        """A row per expected run."""
        return self.reproduced.metrics.runs

    @cached_property
    def averages(self) -> Averages:
        """The averages over runs and inlier classes."""
        return Averages(self.reproduced.metrics.averages, self.runs, self.config)

    def components(self, dataset: str, method: str) -> list[str]:
        """Score components of a method, the anomaly score last."""
        return self.reproduced.components(dataset, method, self.published)

    def conditions(self) -> str:
        """The data sets, epochs, seeds and model behind the numbers of all data sets."""
        complete = self.runs.loc[self.runs["status"] == "complete", "dataset"].unique()
        datasets = ", ".join(captions.dataset(self.config, key) for key in complete)
        return (
            f"{datasets or 'no complete run'}; {captions.epochs(self.config, self.runs)}; "
            f"{captions.seeds(self.config, self.runs)}; the model of the best validation loss."
        )
