"""The jobs of a configuration: files and parameters of the Snakemake rules.

On the CPU every run is a job of its own: two jobs of one thread are faster than one job of two. On
a GPU, which one such small model leaves mostly idle, the inlier classes of a data set, method, fold
and seed train together as one stack, as in ``python -m benchmark train``; methods that use no GPU
keep to the CPU. Both make the same files.
"""

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import benchmark
from benchmark import config as configuration
from benchmark import data as datasets
from benchmark import jobs, layout
from benchmark.config import Config
from benchmark.config.methods import uses_gpu
from benchmark.data import reader_module
from benchmark.errors import InputError
from benchmark.jobs import INDIRECT
from benchmark.layout import RUN
from benchmark.published import DIRECTORY
from benchmark.runs import device
from benchmark.scheduling import order, state, units
from benchmark.utils import imports, running, stacking
from benchmark.utils.code_digest import digest
from workflow import records


class Stack(NamedTuple):
    """The rule of runs that train in one job.

    Attributes:
        methods: those whose runs it makes.
        rule: the name of the rule.
        place: the name of the job's log: ``RUN`` or the part of it that the runs share.
        values: the wildcards of ``RUN`` that the rule fills in; none for a single run.
        gpus: how many a job takes.
    """

    methods: Sequence[str]
    rule: str = "runs"
    place: str = RUN
    values: Mapping[str, Sequence[Any]] = {}
    gpus: int = 0

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
    def stacks(self) -> list[Stack]:
        """One for any single run; on a GPU one per data set for the methods that use it."""
        single: list[str] = []
        together: list[str] = []
        for method, settings in self.config.methods.items():
            if settings.external:
                continue
            stack = stacking.stacked(self.device) and uses_gpu(settings.detector)
            (together if stack else single).append(method)
        stacks = [Stack(single)] if single else []
        gpus = int(self.device != "cpu")
        for dataset in self.config.datasets if together else ():
            # A data set without its files has no runs; ``check`` tells the user.
            with suppress(InputError):
                place = f"{dataset}/{{method}}/fold-{{fold}}/seed-{{seed}}"
                values = {"dataset": (dataset,), "inlier": self.inliers(dataset)}
                stacks.append(Stack(together, f"runs_{dataset}", place, values, gpus))
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
                jobs.check_precision(self.config, self.config.root, self.device)
                if running.taken():
                    raise InputError(f"{running.FILE}: a training runs here; wait until it ends")
                self._refused_stack  # noqa: B018 -- once
            self._adopted  # noqa: B018 -- once
        except InputError as error:
            sys.exit(str(error))

    @cached_property
    def _refused_stack(self) -> None:
        """Refuse a checkpoint of several runs where each is a job, which would delete it."""
        if stacking.stacked(self.device):
            return
        config, root = self.config, self.config.root
        for group in units.units(config, root, state.missing(config, root), self.device):
            if len(group) > 1:
                raise InputError(
                    f"{jobs.checkpoint(config, root, group)}: has {len(group)} runs that were "
                    "begun together; go on with python -m benchmark train --minutes 60 "
                    f"--configfile {self.files.replace(' + ', ' ')}, or delete the file to start "
                    "over"
                )

    @cached_property
    def _adopted(self) -> None:
        """Files that were made without Snakemake are its own, or made again if others are due."""
        if self.workflow is None or not self.workflow.is_main_process:
            return
        config, root = self.config, self.config.root
        for dataset in jobs.available(config):
            folder = layout.data(root, dataset)
            files = [folder / name for name in ("dataset.json", "labels.npy", "images.npy")]
            source = partial(self._fingerprint, dataset)
            self._adopt(files, state.data_differs(config, root, dataset, source))
            for fold in config.datasets[dataset].folds:
                of = dataset, fold
                files = [layout.split(root, *of, suffix) for suffix in ("json", "parquet")]
                self._adopt(files, state.split_differs(config, root, *of))
        images = cache(datasets.prepared_images)
        for key, run in zip(jobs.runs(config), self._runs, strict=True):
            files = [Path(run, name) for name in state.FILES]
            self._adopt(files, state.run_differs(config, root, key, images, code=True))
        # Without a record nothing tells of which settings the numbers are; they are kept by run,
        # and all that follows is made from them again.
        *_, numbers = (Path(path) for path in layout.metrics(config, root))
        if records.unknown(self.workflow, numbers):
            records.remake(self.workflow, numbers)

    def _adopt(self, files: Sequence[Path], differences: Iterable[str]) -> None:
        """Compare files of one job with the configuration; the first is written last.

        Snakemake's own record does not do: it may be of a job that failed and left what was there
        before, and in a stack one file without a record hides the others'.
        """
        if all(file.is_file() for file in files):
            if records.made_without(self.workflow, files[:1]):
                records.accept(self.workflow, files)
            if any(differences):
                records.remake(self.workflow, files[0])

    @property
    def trains_here(self) -> bool:
        """Whether this process of Snakemake has the runs made, and on this machine."""
        here = self.workflow and self.workflow.local_exec and not self.workflow.dryrun
        return bool(here and self.workflow.is_main_process)

    def runs(self) -> list[str]:
        """The folders of all runs; none of an optional data set that is absent."""
        return self._runs

    @cached_property
    def _runs(self) -> list[str]:
        root = self.config.root
        return [str(layout.run(root, key)) for key in jobs.runs(self.config)]

    def in_runs(self, name: str) -> Callable[[Any], list[str]]:
        """A file of every run, those that were imported too, as an input function."""

        def files(wildcards: Any) -> list[str]:
            self.check()
            return [f"{run}/{name}" for run in (*self._runs, *self._imported)]

        return files

    @cached_property
    def _imported(self) -> list[str]:
        root = self.config.root
        return [str(layout.run(root, key)) for key in jobs.imported(self.config, root)]

    def splits(self) -> list[str]:
        """The descriptions of all splits."""
        return [
            str(layout.split(self.config.root, dataset, fold, "json"))
            for dataset in jobs.available(self.config)
            for fold in self.config.datasets[dataset].folds
        ]

    def first_outputs(self) -> set[str]:
        """The first output of every job."""
        names = jobs.available(self.config)
        data = [str(layout.data(self.config.root, name) / "images.npy") for name in names]
        splits = [str(Path(path).with_suffix(".parquet")) for path in self.splits()]
        stages = (layout.metrics, layout.verdicts, layout.tables, layout.figures, layout.report)
        later = [stage(self.config, self.config.root)[0] for stage in stages]
        return {*data, *splits, *(f"{run}/run.json" for run in self.runs()), *later}

    def inliers(self, dataset: str) -> list[int]:
        """The inlier classes of a data set, as indices."""
        return jobs.inliers(self.config, dataset)

    def priority(self, stack: Stack) -> Callable[[Any], int]:
        """The priority of the jobs of a rule: the higher, the more its first run decides."""

        def priority(wildcards: Any) -> int:
            values = dict(wildcards.items())
            runs = [run.format_map(values) for run in stack.files(RUN)]
            return -min(self._places.get(run, len(self._places)) for run in runs)

        return priority

    @cached_property
    def _places(self) -> dict[str, int]:
        """The place of each run in the order of ``benchmark.scheduling.order``, by its folder."""
        needs = order.replicates_needed(self.config, self.config.root)
        keys = order.ordered(self.config, jobs.runs(self.config), needs)
        return {key.path: place for place, key in enumerate(keys)}

    def source_files(self, wildcards: Any) -> str:
        """A hash of names, sizes and times of the files that a data set is read from.

        They are no input of the rule: files of the future would count as newer than what is made
        from them.
        """
        self.check()
        return self._fingerprint(wildcards.dataset)

    @cached_property
    def _fingerprint(self) -> Callable[[str], str]:
        """That of a data set's files, which are asked for once."""
        return cache(lambda dataset: jobs.fingerprint(jobs.data_parameters(self.config, dataset)))

    def data(self, wildcards: Any) -> dict[str, Any]:
        """The parameters of a prepared data set."""
        return jobs.data_parameters(self.config, wildcards.dataset)

    def split(self, wildcards: Any) -> dict[str, Any]:
        """The parameters of a split."""
        return jobs.split_parameters(self.config, wildcards.dataset)

    def method(self, wildcards: Any) -> dict[str, Any]:
        """The parameters of a run, beside its data and split."""
        return self._parameters[wildcards.method]

    @cached_property
    def _parameters(self) -> dict[str, dict[str, Any]]:
        """The parameters of the runs of each method, which thousands of jobs have in common."""
        configured = self.config.methods.items()
        names = [name for name, settings in configured if not settings.external]
        return {name: jobs.run_parameters(self.config, name) for name in names}

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

    def kinds(self, *taken: str) -> dict[str, list[str]]:
        """The files of all tables and figures of a kind, by the kinds that are not ``taken``."""
        by_kind: dict[str, list[str]] = {}
        for file in (*self.tables(), *self.figures()):
            if file.kind not in taken:
                by_kind.setdefault(file.kind, []).append(file.path)
        return by_kind

    def _results(self, paths: Iterable[str], shown: str) -> list[ResultFile]:
        results = []
        for path in paths:
            kind, _, dataset = Path(path).stem.partition("-")
            title = self.config.datasets[dataset].title if dataset else "All data sets"
            results.append(ResultFile(path, kind, title, path.endswith(shown)))
        return results
