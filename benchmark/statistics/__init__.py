"""Statistics: arrays in, numbers out. It knows nothing of configurations, runs or files."""

from benchmark.statistics.bootstrap import bootstrap_means
from benchmark.statistics.decisions import (
    MARGIN,
    MOST_RUNS,
    Decision,
    decide,
    holm,
    runs_to_decide,
    tost,
)
from benchmark.statistics.intervals import LEVEL, Array, Interval, percentiles
from benchmark.statistics.overlap import (
    BINS,
    TAIL,
    bin_edges,
    counts,
    overlap,
    overlap_draws,
    overlap_interval,
)
from benchmark.statistics.replicates import (
    Sample,
    mean_interval,
    mean_p_not_above,
    prediction_interval,
    prediction_p,
    sample,
)
from benchmark.statistics.roc import (
    Contrast,
    auroc,
    auroc_interval,
    delong,
    delong_error,
    f1,
    paired_delong,
    placements,
)

__all__ = [
    "BINS",
    "LEVEL",
    "MARGIN",
    "MOST_RUNS",
    "TAIL",
    "Array",
    "Contrast",
    "Decision",
    "Interval",
    "Sample",
    "auroc",
    "auroc_interval",
    "bin_edges",
    "bootstrap_means",
    "counts",
    "decide",
    "delong",
    "delong_error",
    "f1",
    "holm",
    "mean_interval",
    "mean_p_not_above",
    "overlap",
    "overlap_draws",
    "overlap_interval",
    "paired_delong",
    "percentiles",
    "placements",
    "prediction_interval",
    "prediction_p",
    "runs_to_decide",
    "sample",
    "tost",
]
