"""The stage of the numbers: AUROC, F1, overlap, their averages, costs, and the challenge study."""

from pathlib import Path

from benchmark.config import Config
from benchmark.metrics import challenge_study
from benchmark.metrics.compute import Metrics, compute, load, stamp, write_numbers

__all__ = ["Metrics", "compute", "load", "stamp", "write"]


def write(config: Config, root: Path) -> None:
    """Compute all numbers of the runs under ``root`` and write them under ``root/metrics``."""
    write_numbers(config, root)
    challenge_study.write(config, root)
