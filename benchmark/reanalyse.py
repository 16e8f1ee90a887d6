"""Rebuild all metrics, tables, figures and the report from scores: ``snakemake reanalyse``.

>>> python -m benchmark.reanalyse --configfile config/quick.yaml  # doctest: +SKIP

``--check`` writes nothing and tells where the tables that are there differ from their scores.
"""

import argparse
import sys
from pathlib import Path

from benchmark import config as configuration
from benchmark import drift, figures, metrics, report, tables
from benchmark.config import Config
from benchmark.cure_tsr import study
from benchmark.errors import InputError


def reanalyse(config: Config, root: Path) -> None:
    """Rebuild everything after the scores under ``root`` (``<results>/<name>``).

    Raises:
        InputError: no run has scores there.
    """
    _need_runs(root)
    for step in (metrics, study, tables, figures, report):
        step.write(config, root)


def _need_runs(root: Path) -> None:
    if not any((root / "runs").glob("*/*/fold-*/inlier-*/seed-*/run.json")):
        raise InputError(f"{root}/runs: no run there; run `snakemake all` first")


def main(arguments: list[str] | None = None) -> int:
    """Rebuild or check one configuration's results; the exit status, 1 if they differ."""
    parser = argparse.ArgumentParser(prog="python -m benchmark.reanalyse", description=__doc__)
    parser.add_argument("--configfile", nargs="+", type=Path, default=[Path("config/paper.yaml")])
    parser.add_argument("--results", type=Path, help="default: the configuration's, results")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    chosen = parser.parse_args(arguments)
    try:
        config = configuration.read(*chosen.configfile, data=False)
        root = chosen.results / config.name if chosen.results else config.root
        if chosen.check:
            return _check(config, root)
        reanalyse(config, root)
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    (page,) = report.outputs(config, root)
    print(f"Open {page}; tables are in {root}/tables, figures in {root}/figures.")
    return 0


def _check(config: Config, root: Path) -> int:
    _need_runs(root)
    found = drift.find(config, root)
    for line in found:
        print(line, file=sys.stderr)
    if not found:
        print(f"{root}: every table is what its scores give.")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
