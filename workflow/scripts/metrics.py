"""Compute the numbers of all runs."""

from benchmark import metrics
from benchmark.config import load
from benchmark.utils.logs import logged

with logged(snakemake.log[0], *snakemake.output):
    config = load(snakemake.config, data=False)
    metrics.write(config, config.root)
