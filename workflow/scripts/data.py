"""Read a data set, resize it and keep it for the other jobs."""

from pathlib import Path

from benchmark import data
from benchmark.utils import checksums
from benchmark.utils.logs import logged

with logged(snakemake.log[0]):
    directory = Path(snakemake.output.description).parent
    dataset = data.read(**snakemake.params.data, keep=directory)
    data.prepare(dataset, directory)
    checksums.write(checksums.beside(snakemake.log[0]), [*snakemake.output, directory])
