"""Read a data set, resize it and keep it for the other jobs."""

from pathlib import Path

from benchmark import jobs
from benchmark.utils import checksums
from benchmark.utils.logs import logged

with logged(snakemake.log[0]):
    directory = Path(snakemake.output.description).parent
    jobs.make_data(directory, snakemake.params.data)
    checksums.write(checksums.beside(snakemake.log[0]), [*snakemake.output, directory])
