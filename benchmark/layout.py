"""The path of every file of the results, from the configuration alone.

``root`` is the folder of a configuration's results, ``results/<name>``. The Snakefile uses these
paths while it is parsed, so nothing here imports a large library.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import NamedTuple

from benchmark.config import Config, DatasetConfig
from benchmark.published import SOURCES, data_source

DATA = "data/{dataset}"
"""The folder of a prepared data set, below ``root``."""

SPLIT = "splits/{dataset}/fold-{fold}"
"""The files of a split, below ``root``, without their suffix."""

RUN = "{dataset}/{method}/fold-{fold}/inlier-{inlier}/seed-{seed}"
"""The folder of a run, below ``root/runs``."""


CHECKPOINTS = "training-*.safetensors"
"""The checkpoints in the folder of a run that is trained."""


class RunKey(NamedTuple):
    """What identifies a run."""

    dataset: str
    method: str
    fold: int
    inlier: int
    seed: int

    @property
    def path(self) -> str:
        """The folder of the run, below ``root/runs``."""
        return RUN.format(**self._asdict())

    @classmethod
    def of(cls, directory: Path) -> "RunKey":
        """The run that a folder belongs to.

        >>> RunKey.of(Path("results/quick/runs/mnist/cae/fold-0/inlier-3/seed-1"))
        RunKey(dataset='mnist', method='cae', fold=0, inlier=3, seed=1)
        """
        dataset, method, *numbers = directory.parts[-5:]
        return cls(dataset, method, *(int(part.rpartition("-")[2]) for part in numbers))


def configured_inliers(settings: DatasetConfig, names: Mapping[int, str]) -> dict[int, str]:
    """Those of a data set's classes, index to name, that its configuration has as inliers."""
    chosen = settings.inliers
    return {k: name for k, name in names.items() if not chosen or k in chosen or name in chosen}


def run_keys(config: Config, inliers: Mapping[str, Iterable[int]]) -> Iterator[RunKey]:
    """Every run of a configuration, given the inlier classes of each data set that is run."""
    for dataset, classes in inliers.items():
        folds = config.datasets[dataset].folds
        for method in config.methods:
            for rest in product(folds, classes, config.seeds_of(method)):
                yield RunKey(dataset, method, *rest)


def data(root: Path, dataset: str) -> Path:
    """The folder of a prepared data set."""
    return root / DATA.format(dataset=dataset)


def split(root: Path, dataset: str, fold: int, suffix: str = "parquet") -> Path:
    """A file of a split: its table, or with the suffix ``json`` its description."""
    return root / f"{SPLIT.format(dataset=dataset, fold=fold)}.{suffix}"


def run(root: Path, key: RunKey) -> Path:
    """The folder of a run."""
    return root / "runs" / key.path


def run_checksums(directory: Path) -> Path:
    """The hashes of a run's files, given its folder: beside its log, also if it has none alone."""
    root = directory.parents[len(RunKey._fields)]
    return root / "logs/runs" / f"{RunKey.of(directory).path}.sha256"


def manifests(root: Path, dataset: str = "*") -> Iterator[Path]:
    """The ``run.json`` files that exist, of all data sets or one."""
    return root.glob(f"runs/{RunKey(dataset, *'****').path}/run.json")


FIGURES = ("histograms", "beta", "reconstructions", "epochs")
"""One of each per data set, named ``<figure>-<dataset>``, as far as the configuration has them."""

CHALLENGE_FIGURES = ("challenges", "signs")
"""A data set of challenges has these too."""

MAIN_RATIO = 0.5
"""The paper's test sets are half outliers, except in its Table 5."""


def main_ratio(config: Config) -> float:
    """The share of outliers, in (0, 1), in the test sets of all tables but ``outliers``."""
    return min(config.outlier_ratios, key=lambda ratio: abs(ratio - MAIN_RATIO))


def table_names(config: Config) -> list[str]:
    """Names of the tables: verdicts on the paper, those of each data set, the cost of all runs."""
    by_dataset = []
    for dataset, settings in config.datasets.items():
        shares = len(config.outlier_ratios) > 1 and not settings.whole
        kinds = ["auroc", "ablation", "overlap"] + ["outliers"] * shares + ["selection"]
        first = ["ran"] + ["challenges"] * bool(settings.challenges)
        last = ["verdicts"] * (data_source(config, dataset) in SOURCES)
        by_dataset += [f"{kind}-{dataset}" for kind in first + kinds + last]
    return ["verdicts", "claims", "explanations"] * judged(config) + by_dataset + ["cost"]


def judged(config: Config) -> bool:
    """Whether one of the configuration's data sets has published numbers."""
    sources = {data_source(config, dataset) for dataset in config.datasets}
    return not sources.isdisjoint({*SOURCES, "cure_tsr"})


def figure_names(config: Config) -> list[str]:
    """Names of the figures that the configuration can have."""
    scored_on_the_way = any(config.milestones_of(method) for method in config.methods)
    names = []
    for dataset, settings in config.datasets.items():
        published = ("forest", "explanations") * (data_source(config, dataset) in SOURCES)
        kinds = published + CHALLENGE_FIGURES * bool(settings.challenges) + FIGURES
        names += [f"{kind}-{dataset}" for kind in kinds if kind != "epochs" or scored_on_the_way]
    return names


def metrics(config: Config, root: Path) -> list[str]:
    """Files of ``benchmark.metrics``; the same for every configuration."""
    names = ("metrics", "runs", "histograms", "averages", "cost")
    tables = _files(root / "metrics", names, "parquet")
    return [*tables, *_files(root / "metrics", ("provenance",), "json")]


def challenges(config: Config, root: Path) -> dict[str, str]:
    """Files of ``benchmark.metrics.challenge_study`` by data set."""
    return {
        dataset: f"{root}/metrics/challenges-{dataset}.parquet"
        for dataset, settings in config.datasets.items()
        if settings.challenges
    }


def verdicts(config: Config, root: Path) -> list[str]:
    """Files of ``benchmark.verdicts``; the same for every configuration."""
    names = ("numbers", "claims", "selection", "third_party", "explanations", "challenge_claim")
    return _files(root / "verdicts", names, "parquet")


def tables(config: Config, root: Path) -> list[str]:
    """Files of ``benchmark.tables``."""
    return _files(root / "tables", table_names(config), "csv", "md", "tex", "html")


def figures(config: Config, root: Path) -> list[str]:
    """Files of ``benchmark.figures``."""
    return _files(root / "figures", figure_names(config), "png", "svg", "csv")


def report(config: Config, root: Path) -> list[str]:
    """Files of ``benchmark.report``."""
    return _files(root / "report", ("index",), "html")


def _files(folder: Path, names: Iterable[str], *suffixes: str) -> list[str]:
    return [f"{folder}/{name}.{suffix}" for name, suffix in product(names, suffixes)]
