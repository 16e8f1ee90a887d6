"""Rebuild all metrics, tables, figures and the report from scores: ``snakemake reanalyse``.

>>> python -m benchmark.reanalyse --configfile config/quick.yaml  # doctest: +SKIP
"""

import argparse
import sys
from pathlib import Path

from benchmark import config as configuration
from benchmark import figures, metrics, report, tables
from benchmark.config import Config
from benchmark.cure_tsr import study
from benchmark.errors import InputError


def reanalyse(config: Config, root: Path) -> None:
    """Rebuild everything after the scores under ``root`` (``results/<name>``).

    Raises:
        InputError: no run has scores there.
    """
    if not any((root / "runs").glob("*/*/fold-*/inlier-*/seed-*/run.json")):
        raise InputError(f"{root}/runs: no run there; run `snakemake all` first")
    for step in (metrics, study, tables, figures, report):
        step.write(config, root)


def main(arguments: list[str] | None = None) -> int:
    """Rebuild one configuration's results; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmark.reanalyse", description=__doc__)
    parser.add_argument("--configfile", nargs="+", type=Path, default=[Path("config/paper.yaml")])
    parser.add_argument("--results", type=Path, default=Path("results"), help="default: results")
    chosen = parser.parse_args(arguments)
    try:
        config = configuration.read(*chosen.configfile, data=False)
        root = chosen.results / config.name
        reanalyse(config, root)
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    (page,) = report.outputs(config, root)
    print(f"Open {page}; tables are in {root}/tables, figures in {root}/figures.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
