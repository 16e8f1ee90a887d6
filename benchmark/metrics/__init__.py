"""The stage of the numbers: AUROC, F1, overlap, their averages, costs, and the challenge study."""

from benchmark.metrics.compute import Metrics, compute, load, stamp, write

__all__ = ["Metrics", "compute", "load", "stamp", "write"]
