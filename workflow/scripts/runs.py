"""Train and score the runs of one job: one, or the classes that make up a stack."""

from pathlib import Path

from benchmark import jobs, layout
from benchmark.utils import checksums
from benchmark.utils.logs import logged
from benchmark.utils.time_limit import ending_on_signals

with logged(snakemake.log[0]):
    directories = [Path(path).parent for path in snakemake.output.run]
    with ending_on_signals():
        jobs.make_runs(
            directories,
            Path(snakemake.input.data[0]).parent,
            Path(snakemake.input.split[0]),
            snakemake.params.method,
        )
    for directory in directories:
        checksums.write(layout.run_checksums(directory), [directory / "run.json", directory])
