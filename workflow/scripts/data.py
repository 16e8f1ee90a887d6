"""Read a data set, resize it and keep it for the other jobs."""

from pathlib import Path

from benchmark import datasets
from benchmark.console import logged

with logged(snakemake.log[0]):
    directory = Path(snakemake.output.description).parent
    dataset = datasets.read(**snakemake.params.data, keep=directory)
    datasets.prepare(dataset, directory)
