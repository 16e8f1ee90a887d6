"""Train and score the runs of one job: one, or the classes and seeds that make up a stack."""

from pathlib import Path

from benchmark import data as datasets
from benchmark import layout
from benchmark.layout import RunKey
from benchmark.runs import train
from benchmark.utils import checksums
from benchmark.utils.logs import logged

with logged(snakemake.log[0]):
    data = Path(snakemake.input.data[0]).parent
    names = datasets.load(data).class_names
    directories = [Path(path).parent for path in snakemake.output.run]
    keys = [RunKey.of(directory) for directory in directories]
    train.run_stack(
        [
            train.RunSpec(
                **key._asdict(),
                class_name=names[key.inlier],
                **snakemake.params.method,
            )
            for key in keys
        ],
        data,
        Path(snakemake.input.split[0]),
        directories,
    )
    for directory in directories:
        checksums.write(layout.run_checksums(directory), [directory / "run.json", directory])
