"""Draw one fold of a data set."""

from pathlib import Path

from benchmark import jobs
from benchmark.config import load
from benchmark.utils import checksums
from benchmark.utils.logs import logged

with logged(snakemake.log[0]):
    jobs.make_split(
        Path(snakemake.output.table),
        Path(snakemake.input.description).parent,
        int(snakemake.wildcards.fold),
        snakemake.params.split,
        load(snakemake.config, data=False).datasets[snakemake.wildcards.dataset],
    )
    checksums.write(checksums.beside(snakemake.log[0]), snakemake.output)
