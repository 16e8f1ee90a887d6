"""Rebuild everything after the scores from the runs that exist."""

from benchmark.config import load
from benchmark.console import logged
from benchmark.reanalyse import reanalyse

with logged(snakemake.log[0]):
    config = load(snakemake.config, data=False)
    reanalyse(config, config.root)
