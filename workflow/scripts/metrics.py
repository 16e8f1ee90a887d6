"""Compute the numbers of all runs."""

from benchmark import metrics
from benchmark.config import load
from benchmark.console import logged
from benchmark.cure_tsr import study

with logged(snakemake.log[0]):
    config = load(snakemake.config, data=False)
    metrics.write(config, config.root)
    study.write(config, config.root)
