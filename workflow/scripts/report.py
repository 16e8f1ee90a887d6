"""Write the report."""

from benchmark import report
from benchmark.config import load
from benchmark.utils.logs import logged

with logged(snakemake.log[0], *snakemake.output):
    config = load(snakemake.config, data=False)
    report.write(config, config.root)
