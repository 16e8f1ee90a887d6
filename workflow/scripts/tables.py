"""Write the tables."""

from benchmark import tables
from benchmark.config import load
from benchmark.utils import checksums
from benchmark.utils.logs import logged

with logged(snakemake.log[0]):
    config = load(snakemake.config, data=False)
    tables.write(config, config.root)
    checksums.write(checksums.beside(snakemake.log[0]), snakemake.output)
