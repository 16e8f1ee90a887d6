"""The stage from scores to numbers: AUROC, F1 and the overlap of histograms."""

from benchmark.metrics.compute import Metrics, compute, load, stamp, write

__all__ = ["Metrics", "compute", "load", "stamp", "write"]
