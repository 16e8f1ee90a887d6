"""Train and score the runs of one job: one, or the classes that make up a stack."""

from pathlib import Path

from benchmark import jobs
from benchmark.utils.logs import logged

with logged(snakemake.log[0]):
    jobs.make_runs(
        [Path(path).parent for path in snakemake.output.run],
        Path(snakemake.input.data[0]).parent,
        Path(snakemake.input.split[0]),
        snakemake.params.method,
    )
