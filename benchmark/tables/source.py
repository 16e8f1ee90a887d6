"""What the tables are made from."""

from dataclasses import dataclass
from typing import Any

from benchmark.config import Config
from benchmark.metrics import Metrics
from benchmark.metrics.averages import Numbers
from benchmark.published import Published
from benchmark.utils import text


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
        return {"epochs": text.span(done["epochs"]), "seeds": seeds}

    def title(self, method: str) -> str:
        """A method's name for readers."""
        return str(self.config.methods[method].title)
