"""Write the report."""

from benchmark import report
from benchmark.config import load
from benchmark.utils import checksums
from benchmark.utils.logs import logged

with logged(snakemake.log[0]):
    config = load(snakemake.config, data=False)
    report.write(config, config.root)
    checksums.write(checksums.beside(snakemake.log[0]), snakemake.output)
