"""Compare published with reproduced numbers."""

from benchmark import verdicts
from benchmark.config import load
from benchmark.utils.logs import logged

with logged(snakemake.log[0], *snakemake.output):
    config = load(snakemake.config, data=False)
    verdicts.write(config, config.root)
