"""Read a data set, resize it and keep it for the other jobs."""

from pathlib import Path

from benchmark import data
from benchmark.utils.logs import logged

directory = Path(snakemake.output.description).parent
with logged(snakemake.log[0], directory):
    dataset = data.read(**snakemake.params.data, keep=directory)
    data.prepare(dataset, directory)
