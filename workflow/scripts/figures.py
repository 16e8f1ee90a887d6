"""Draw the figures."""

from benchmark import figures
from benchmark.config import load
from benchmark.utils import checksums
from benchmark.utils.logs import logged

with logged(snakemake.log[0]):
    config = load(snakemake.config, data=False)
    figures.write(config, config.root, notes=True)
    checksums.write(checksums.beside(snakemake.log[0]), snakemake.output)
