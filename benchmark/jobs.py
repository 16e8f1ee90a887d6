"""The jobs that a configuration means: what the Snakemake rules ask for their files and params.

On the CPU every run is a job of its own: two jobs of one thread beat one job of two. On an
accelerator, which such small models leave mostly idle, the inlier classes and seeds of a data set,
method and fold train together as one stack. Both make the same files.
"""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from benchmark import config as configuration
from benchmark import layout
from benchmark.config import Config
from benchmark.data.challenges.file_names import PARTS
from benchmark.errors import InputError
from benchmark.layout import RUN, RunKey
from benchmark.published import DIRECTORY
from benchmark.utils import imports
from benchmark.utils.code_digest import digest

INDIRECT = ("benchmark.config", "benchmark.data")
"""What acts on runs and on what follows them through params and input files alone, so that neither
a new reader nor a new method reruns anything."""

BELOW = {"folder": ("train", "test"), "cure_tsr": PARTS}
"""The sources that are trees of images, and the folders in them that hold folders of images."""


@dataclass(frozen=True)
class Stack:
    """Runs that train in one job.

    Attributes:
        rule: the rule's name.
        place: the place of the job's log: ``RUN`` or the part of it that the runs share.
        values: those of the wildcards of ``RUN`` that the rule does not leave open.
    """

    rule: str = "runs"
    place: str = RUN
    values: Mapping[str, Iterable[str | int]] = field(default_factory=dict)

    def files(self, pattern: str) -> list[str]:
        """The files of a pattern for all runs; wildcards that are left open stay."""
        found = [pattern]
        for key, values in self.values.items():
            found = [file.replace(f"{{{key}}}", str(value)) for file in found for value in values]
        return list(dict.fromkeys(found))


class Item(NamedTuple):
    """A file of a table or figure: its kind, its data set's title, whether reports show it."""

    path: str
    kind: str
    dataset: str
    shown: bool


@dataclass(frozen=True)
class Jobs:
    """The jobs of a configuration on a device; ``wildcards`` are those of the asking rule.

    ``files`` names the configuration's files, for messages.
    """

    config: Config
    device: str
    files: str = "config"

    @property
    def on_gpu(self) -> bool:
        """Whether runs train in stacks."""
        return self.device != "cpu"

    @property
    def stacks(self) -> list[Stack]:
        """One for any run on the CPU, or one per data set."""
        if not self.on_gpu:
            return [Stack()]
        stacks = []
        for dataset in self.config.datasets:
            # A data set that is not there has no runs, and who trains it is told by ``look``.
            with suppress(InputError):
                axes = {"inlier": self.inliers(dataset), "seed": self.config.seeds}
                place = f"{dataset}/{{method}}/fold-{{fold}}"
                stacks.append(Stack(f"runs_{dataset}", place, {"dataset": [dataset], **axes}))
        return stacks

    def look(self) -> None:
        """End with one line per problem unless the data sets' files are as the configuration says.

        Rules that need images, or runs of them, call it while Snakemake plans, before a job starts.
        The one that reanalyses does not: who has the scores needs no images.
        """
        try:
            if self.config.committed:
                raise InputError(
                    f"{self.files}: its runs are committed; make them again elsewhere, with "
                    "--config results=results"
                )
            configuration.check_data(self.config, self.files)
        except InputError as error:
            sys.exit(str(error))

    def runs(self) -> list[str]:
        """The directories of all runs; none of an optional data set that is not there."""
        return [
            str(layout.run(self.config.root, RunKey(dataset, *rest)))
            for dataset, settings in self.config.datasets.items()
            if settings.available
            for rest in product(
                self.config.methods, settings.folds, self.inliers(dataset), self.config.seeds
            )
        ]

    def in_runs(self, name: str) -> Callable[[Any], list[str]]:
        """A file of every run, as an input function."""

        def files(wildcards: Any) -> list[str]:
            self.look()
            return [f"{run}/{name}" for run in self.runs()]

        return files

    def splits(self) -> list[str]:
        """The descriptions of all splits."""
        return [
            str(layout.split(self.config.root, dataset, fold, "json"))
            for dataset, settings in self.config.datasets.items()
            if settings.available
            for fold in settings.folds
        ]

    def inliers(self, dataset: str) -> list[int]:
        """The inlier classes of a data set, as indices."""
        settings = self.config.datasets[dataset]
        chosen = settings.inliers
        return [
            index
            for index, name in enumerate(settings.class_names())
            if chosen is None or index in chosen or name in chosen
        ]

    def sources(self, wildcards: Any) -> list[str]:
        """The files and folders of the user's that a data set is read from.

        Of a tree of images the folders only: their times tell of files that come and go.
        """
        self.look()
        path = self.config.datasets[wildcards.dataset].path
        if path is None or not path.expanduser().exists():
            return []
        root = path.expanduser()
        if root.is_file():
            return [str(root)]
        below = BELOW.get(self.config.datasets[wildcards.dataset].source)
        if below is None:
            return []
        parts = [root, *(root / name for name in below)]
        inside = (child for part in parts if part.is_dir() for child in part.iterdir())
        return sorted({str(root), *(str(child) for child in inside if child.is_dir())})

    def data(self, wildcards: Any) -> dict[str, Any]:
        """What a prepared data set depends on."""
        settings = self.config.datasets[wildcards.dataset]
        selection = settings.challenges
        depends = {
            "source": settings.source,
            "path": None if settings.path is None else str(settings.path),
            "image_size": self.config.image_size,
        }
        return depends | ({"selection": selection.model_dump()} if selection else {})

    def split(self, wildcards: Any) -> dict[str, Any]:
        """What a split depends on."""
        settings = self.config.datasets[wildcards.dataset]
        return {
            "protocol": settings.protocol,
            "split_seed": self.config.split_seed,
            "inliers": self.inliers(wildcards.dataset),
            # Each challenge and level is tested, not a draw from their mixture.
            "max_ratio": None if settings.challenges else max(self.config.outlier_ratios),
        }

    def method(self, wildcards: Any) -> dict[str, Any]:
        """What a run depends on, beside its data and split."""
        method = self.config.methods[wildcards.method]
        module, _ = imports.split(method.detector)
        return {
            "detector": method.detector,
            "params": method.params,
            "milestones": self.config.milestones,
            "code_digest": digest(module, "benchmark.runs.train", without=INDIRECT),
        }

    def analysis(self) -> dict[str, Any]:
        """What everything after the scores depends on, beside them."""
        return self.config.model_dump(mode="json")

    def code(self, module: str) -> str:
        """The digest of a module of ``benchmark`` and what it imports."""
        name = f"benchmark.{module}"
        return digest(name, without={*INDIRECT} - {name})

    def published(self) -> list[str]:
        """The files of published values, and of those that others report."""
        return sorted(os.path.relpath(path) for path in DIRECTORY.rglob("*.csv"))

    def asset(self, name: str) -> str:
        """A file of the package ``benchmark`` that is no code."""
        return os.path.relpath(Path(__file__).parent / name)

    def tables(self) -> list[Item]:
        """The files of all tables; the CSV ones are shown."""
        return self._items(layout.tables(self.config, self.config.root), ".csv")

    def figures(self) -> list[Item]:
        """The files of all figures; the PNG ones are shown."""
        return self._items(layout.figures(self.config, self.config.root), ".png")

    def _items(self, paths: Iterable[str], suffix: str) -> list[Item]:
        items = []
        for path in paths:
            kind, _, dataset = Path(path).stem.partition("-")
            title = self.config.datasets[dataset].title if dataset else "All data sets"
            items.append(Item(path, kind, title, path.endswith(suffix)))
        return items
