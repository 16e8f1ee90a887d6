"""Read a data set, resize it and keep it for the other jobs."""

from pathlib import Path

from benchmark import jobs
from benchmark.utils.logs import logged

with logged(snakemake.log[0]):
    jobs.make_data(Path(snakemake.output.description).parent, snakemake.params.data)
