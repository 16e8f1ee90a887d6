"""The jobs of a configuration: files and parameters of the Snakemake rules.

On the CPU every run is a job of its own: two jobs of one thread are faster than one job of two. On
a GPU, which one such small model leaves mostly idle, the inlier classes and seeds of a data set,
method and fold train together as one stack. Both make the same files.
"""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import benchmark
from benchmark import config as configuration
from benchmark import layout
from benchmark.config import Config
from benchmark.data import fingerprint, reader_module
from benchmark.errors import InputError
from benchmark.layout import RUN
from benchmark.published import DIRECTORY
from benchmark.runs import device
from benchmark.utils import imports
from benchmark.utils.code_digest import digest
from benchmark.utils.files import canonical

INDIRECT = ("benchmark.config", "benchmark.data")
"""Packages left out of code digests: rules see what they do through parameters and input files, so
that a new reader of data or a new method reruns nothing."""


class Stack(NamedTuple):
    """The rule of runs that train in one job.

    Attributes:
        rule: the name of the rule.
        place: the name of the job's log: ``RUN`` or the part of it that the runs share.
        values: the wildcards of ``RUN`` that the rule fills in.
    """

    rule: str = "runs"
    place: str = RUN
    values: Mapping[str, Iterable[str | int]] = {}

    def files(self, pattern: str) -> list[str]:
        """The files of a pattern for all runs; the other wildcards stay."""
        files = [pattern]
        for name, values in self.values.items():
            files = [file.replace(f"{{{name}}}", str(value)) for file in files for value in values]
        return list(dict.fromkeys(files))


class ResultFile(NamedTuple):
    """A file of a table or figure: kind, title of its data set, whether Snakemake's report has it.

    Snakemake's report has one file of each.
    """

    path: str
    kind: str
    dataset: str
    shown: bool


@dataclass(frozen=True)
class Jobs:
    """The jobs of a configuration on a device.

    ``files`` names the configuration's files in messages, ``workflow`` is Snakemake's. Methods with
    an argument ``wildcards`` are input or parameter functions of a rule.
    """

    config: Config
    device: str
    files: str = "config"
    workflow: Any = None

    @property
    def on_gpu(self) -> bool:
        """Whether runs train in stacks."""
        return self.device != "cpu"

    @property
    def stacks(self) -> list[Stack]:
        """One for any run on the CPU; on a GPU one per data set."""
        if not self.on_gpu:
            return [Stack()]
        stacks = []
        for dataset in self.config.datasets:
            # A data set without its files has no runs; ``check`` tells the user.
            with suppress(InputError):
                axes = {"inlier": self.inliers(dataset), "seed": self.config.seeds}
                place = f"{dataset}/{{method}}/fold-{{fold}}"
                stacks.append(Stack(f"runs_{dataset}", place, {"dataset": [dataset], **axes}))
        return stacks

    def check(self) -> None:
        """End with one line per problem unless data sets and device are as the configuration says.

        Rules that need images call it while Snakemake plans, before a job starts. The rule
        ``reanalyse`` does not: it needs scores only.
        """
        try:
            if self.config.committed:
                raise InputError(
                    f"{self.files}: its runs are committed; make them again elsewhere, with "
                    "--config results=results"
                )
            configuration.check_data(self.config, self.files)
            if self.trains_here:
                device.check(self.device)
        except InputError as error:
            sys.exit(str(error))

    @property
    def trains_here(self) -> bool:
        """Whether this process of Snakemake has the runs made, and on this machine."""
        here = self.workflow and self.workflow.local_exec and not self.workflow.dryrun
        return bool(here and self.workflow.is_main_process)

    @property
    def _available(self) -> list[str]:
        return [key for key, settings in self.config.datasets.items() if settings.available]

    def runs(self) -> list[str]:
        """The folders of all runs; none of an optional data set that is absent."""
        inliers = {dataset: self.inliers(dataset) for dataset in self._available}
        keys = layout.run_keys(self.config, inliers)
        return [str(layout.run(self.config.root, key)) for key in keys]

    def in_runs(self, name: str) -> Callable[[Any], list[str]]:
        """A file of every run, as an input function."""

        def files(wildcards: Any) -> list[str]:
            self.check()
            return [f"{run}/{name}" for run in self.runs()]

        return files

    def splits(self) -> list[str]:
        """The descriptions of all splits."""
        return [
            str(layout.split(self.config.root, dataset, fold, "json"))
            for dataset in self._available
            for fold in self.config.datasets[dataset].folds
        ]

    def inliers(self, dataset: str) -> list[int]:
        """The inlier classes of a data set, as indices."""
        settings = self.config.datasets[dataset]
        return [*layout.configured_inliers(settings, dict(enumerate(settings.class_names())))]

    def sources(self, wildcards: Any) -> list[str]:
        """The file that a data set is read from, if it is one; ``source_files`` tells of others."""
        self.check()
        path = self.config.datasets[wildcards.dataset].path
        return [str(canonical(path))] if path and path.expanduser().is_file() else []

    def source_files(self, wildcards: Any) -> str:
        """A hash of names, sizes and times of the files that a data set is read from."""
        settings = self.config.datasets[wildcards.dataset]
        return fingerprint(settings.source, settings.path, settings.challenges)

    def data(self, wildcards: Any) -> dict[str, Any]:
        """The parameters of a prepared data set."""
        settings = self.config.datasets[wildcards.dataset]
        selection = settings.challenges
        return {
            "source": settings.source,
            "path": None if settings.path is None else str(canonical(settings.path)),
            "image_size": self.config.image_size,
            **({"selection": selection.model_dump()} if selection else {}),
        }

    def split(self, wildcards: Any) -> dict[str, Any]:
        """The parameters of a split, which has all classes: inliers that are added change none."""
        settings = self.config.datasets[wildcards.dataset]
        return {
            "protocol": settings.protocol,
            "split_seed": self.config.split_seed,
            # Each challenge and level is tested in full, not a sample of all together.
            "max_ratio": None if settings.challenges else max(self.config.outlier_ratios),
        }

    def method(self, wildcards: Any) -> dict[str, Any]:
        """The parameters of a run, beside its data and split."""
        method = self.config.methods[wildcards.method]
        module, _ = imports.split(method.detector)
        return {
            "detector": method.detector,
            "params": method.params,
            "milestones": self.config.milestones,
            "code_digest": digest(module, "benchmark.runs.train", without=INDIRECT),
        }

    def analysis(self) -> dict[str, Any]:
        """The parameters of everything after the scores; where images lie is none of them."""
        return self.config.model_dump(
            mode="json", exclude={"results": True, "datasets": {"__all__": {"path"}}}
        )

    def code(self, module: str) -> str:
        """The digest of a module of ``benchmark`` and what it imports."""
        return digest(f"benchmark.{module}", without=INDIRECT)

    def reader(self, wildcards: Any) -> str:
        """The digest of the code that reads and prepares a data set, without other readers."""
        reader = reader_module(self.config.datasets[wildcards.dataset].source)
        return digest(reader, "benchmark.data.prepared", without=("benchmark.data.__init__",))

    def script(self, name: str) -> str:
        """The digest of a rule's script alone."""
        return digest(f"workflow.scripts.{name}", without=imports.PACKAGES)

    def published(self) -> list[str]:
        """The files of published numbers, and of numbers that others report."""
        return sorted(os.path.relpath(path) for path in DIRECTORY.rglob("*.csv"))

    def asset(self, name: str) -> str:
        """A file of the package ``benchmark`` that is no code."""
        return os.path.relpath(Path(benchmark.__file__).parent / name)

    def tables(self) -> list[ResultFile]:
        """The files of all tables; Snakemake's report has those in CSV."""
        return self._results(layout.tables(self.config, self.config.root), ".csv")

    def figures(self) -> list[ResultFile]:
        """The files of all figures; Snakemake's report has those in PNG."""
        return self._results(layout.figures(self.config, self.config.root), ".png")

    def _results(self, paths: Iterable[str], shown: str) -> list[ResultFile]:
        results = []
        for path in paths:
            kind, _, dataset = Path(path).stem.partition("-")
            title = self.config.datasets[dataset].title if dataset else "All data sets"
            results.append(ResultFile(path, kind, title, path.endswith(shown)))
        return results
