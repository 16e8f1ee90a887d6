"""Rebuild all metrics, tables, figures and the report from scores: ``snakemake reanalyse``.

>>> python -m benchmark reanalyse --configfile config/quick.yaml  # doctest: +SKIP
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from benchmark import config as configuration
from benchmark import figures, layout, metrics, report, tables, verdicts
from benchmark.config import Config
from benchmark.errors import InputError
from benchmark.utils import checksums
from benchmark.utils.files import CannotBeWritten

STAGES = (metrics, verdicts, tables, figures, report)
"""The stages after the scores, in their order; each reads only files of earlier ones."""

BY_SNAKEMAKE = "metrics/by-snakemake"
"""An empty output of the rule ``metrics``: it is there if Snakemake made the metrics."""


def reanalyse(config: Config, root: Path) -> None:
    """Rebuild everything after the scores under ``root``, the folder of results.

    Snakemake's record is of the settings that it used last. So the file that only Snakemake makes
    beside the metrics is removed, and its next call computes them, and all that follows, again. The
    hashes of what Snakemake's jobs wrote are removed with it.
    """
    require_runs(root)
    for path in (root / BY_SNAKEMAKE, *root.glob(f"logs/*{checksums.SUFFIX}")):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise CannotBeWritten(path, error) from error
    for stage in STAGES:
        stage.write(config, root)


def require_runs(root: Path) -> None:
    """Refuse a folder of results without any run."""
    if not any(layout.manifests(root)):
        raise InputError(
            f"{root}/runs: no run there; run `snakemake all` first, or `python -m benchmark train`"
        )


def add_arguments(parser: ArgumentParser) -> None:
    """The arguments of the commands ``reanalyse`` and ``verify``."""
    parser.add_argument("--configfile", nargs="+", type=Path, default=[Path("config/paper.yaml")])
    parser.add_argument("--results", type=Path, help="default: the configuration's, results")


def chosen_results(chosen: Namespace) -> tuple[Config, Path]:
    """The configuration and the folder of results, with a run in it, that the arguments name."""
    config = configuration.read(*chosen.configfile, data=False)
    root = chosen.results / config.name if chosen.results else config.root
    require_runs(root)
    return config, root


def run(chosen: Namespace) -> int:
    """Rebuild the results of one configuration; the exit status."""
    config, root = chosen_results(chosen)
    reanalyse(config, root)
    (page,) = layout.report(config, root)
    print(f"Open {page}; tables are in {root}/tables, figures in {root}/figures.")
    return 0
