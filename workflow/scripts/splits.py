"""Draw one fold of a data set."""

from pathlib import Path

from benchmark import data, layout, splits
from benchmark.config import load
from benchmark.utils.logs import logged

with logged(snakemake.log[0]):
    settings = load(snakemake.config, data=False).datasets[snakemake.wildcards.dataset]
    dataset = data.load(Path(snakemake.input.description).parent)
    drawn = {"fold": int(snakemake.wildcards.fold), **snakemake.params.split}
    split = splits.make_split(
        dataset.labels,
        dataset.n_train,
        groups=dataset.groups,
        inliers=layout.configured_inliers(settings, dict(enumerate(dataset.class_names))),
        class_names=dataset.class_names,
        others=True,
        **drawn,
    )
    made = {key: drawn[key] for key in ("protocol", "fold", "split_seed")}
    splits.write_split(split, Path(snakemake.output.table), **made)
