"""Write the splits of a configuration as CSV, for programs that know nothing of this project.

>>> python -m benchmark export-splits --configfile config/demo.yaml  # doctest: +SKIP

One file per data set and fold: a row for each image in each part of each inlier class.
docs/other_code.md has its columns, and how to load it.
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

import pandas as pd

from benchmark import config as configuration
from benchmark import data as datasets
from benchmark import jobs, layout, splits
from benchmark.config import Config
from benchmark.scheduling.units import prepare
from benchmark.utils import running
from benchmark.utils.files import atomic

COLUMNS = (
    *("dataset", "fold", "inlier", "class_name", "part"),
    *("sample_id", "label", "outlier_rank", "split_sha256"),
)


def table(config: Config, root: Path, dataset: str, fold: int) -> pd.DataFrame:
    """A prepared split with the columns ``COLUMNS``, of the configured inlier classes.

    ``label`` is the class of the image, ``inlier`` that of the model; ``outlier_rank`` is -1 for
    inliers, and the order in which outliers were drawn.
    """
    prepared = datasets.load(layout.data(root, dataset))
    split = splits.read_split(layout.split(root, dataset, fold))
    rows = split[split["inlier"].isin(jobs.inliers(config, dataset))]
    whole = rows.assign(
        dataset=dataset,
        fold=fold,
        class_name=rows["inlier"].map(dict(enumerate(prepared.class_names))),
        label=prepared.labels[rows["sample_id"]],
        split_sha256=splits.split_hash(split),
    )
    return whole[[*COLUMNS]]


def add_arguments(parser: ArgumentParser) -> None:
    """The arguments of the command ``export-splits``."""
    parser.add_argument("--configfile", nargs="+", type=Path, required=True)
    parser.add_argument(
        "--to", type=Path, help="a folder; by default that of the splits in the results"
    )


def run(chosen: Namespace) -> int:
    """Export all splits of one configuration; the exit status."""
    files = " ".join(map(str, chosen.configfile))
    # The splits of committed results are the same elsewhere.
    config = configuration.read(*chosen.configfile, data=False).for_new_runs
    configuration.check_data(config, files)
    root = config.root
    for dataset in jobs.available(config):
        with running.alone():
            prepare(config, root, dataset)
        for fold in config.datasets[dataset].folds:
            rows = table(config, root, dataset, fold)
            path = layout.split(chosen.to or root, dataset, fold, "csv")
            if chosen.to:
                path = chosen.to / f"{dataset}-fold-{fold}.csv"
            with atomic(path) as beside:
                rows.to_csv(beside, index=False)
            print(
                f"{path}: {rows['inlier'].nunique()} inlier classes, split "
                f"{rows['split_sha256'].iloc[0][:12]}; sample_id is the row in "
                f"{layout.data(root, dataset)}/images.npy"
            )
    return 0
