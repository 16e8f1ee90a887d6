"""Compute the numbers of all runs."""

from benchmark import metrics
from benchmark.config import load
from benchmark.utils import checksums
from benchmark.utils.logs import logged

with logged(snakemake.log[0]):
    config = load(snakemake.config, data=False)
    metrics.write(config, config.root)
    checksums.write(checksums.beside(snakemake.log[0]), snakemake.output)
