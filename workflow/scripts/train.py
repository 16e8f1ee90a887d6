"""Train and score the runs of one job: one, or the classes and seeds that make up a stack."""

from pathlib import Path

from benchmark import datasets, plan, runs
from benchmark.console import logged

with logged(snakemake.log[0]):
    data = Path(snakemake.input.data[0]).parent
    names = datasets.load(data).class_names
    directories = [Path(path).parent for path in snakemake.output.run]
    places = [plan.place(directory) for directory in directories]
    runs.run_stack(
        [
            runs.RunSpec(
                **place._asdict(),
                class_name=names[place.inlier],
                **snakemake.params.method,
            )
            for place in places
        ],
        data,
        Path(snakemake.input.split[0]),
        directories,
    )
