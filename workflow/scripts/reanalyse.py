"""Rebuild everything after the scores from the runs that exist."""

from benchmark.config import load
from benchmark.reanalyse import reanalyse
from benchmark.utils.logs import logged

with logged(snakemake.log[0]):
    config = load(snakemake.config, data=False)
    reanalyse(config, config.root)
