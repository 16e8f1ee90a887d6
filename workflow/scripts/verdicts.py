"""Compare published with reproduced numbers."""

from benchmark import verdicts
from benchmark.config import load
from benchmark.utils import checksums
from benchmark.utils.logs import logged

with logged(snakemake.log[0]):
    config = load(snakemake.config, data=False)
    verdicts.write(config, config.root)
    checksums.write(checksums.beside(snakemake.log[0]), snakemake.output)
