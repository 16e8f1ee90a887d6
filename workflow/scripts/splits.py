"""Draw one fold of a data set."""

from pathlib import Path

from benchmark import data, splits
from benchmark.utils import checksums
from benchmark.utils.logs import logged

with logged(snakemake.log[0]):
    dataset = data.load(Path(snakemake.input.description).parent)
    drawn = {"fold": int(snakemake.wildcards.fold), **snakemake.params.split}
    split = splits.make_split(dataset.labels, dataset.n_train, groups=dataset.groups, **drawn)
    made = {key: drawn[key] for key in ("protocol", "fold", "split_seed")}
    splits.write_split(split, Path(snakemake.output.table), **made)
    checksums.write(checksums.beside(snakemake.log[0]), snakemake.output)
