"""What one process trains at a time: a run, or on a GPU a stack of runs."""

from collections.abc import Sequence
from pathlib import Path

from benchmark import jobs, layout
from benchmark.config import Config
from benchmark.config.methods import trains_in_stacks
from benchmark.errors import InputError
from benchmark.layout import RunKey
from benchmark.utils.stacking import stacked


def units(
    config: Config, root: Path, keys: Sequence[RunKey], device: str
) -> list[tuple[RunKey, ...]]:
    """The missing runs in groups that are trained together, in the order of their first runs.

    On a GPU the classes of a data set, method, fold and seed are one group where the method trains
    in stacks, elsewhere each run is one. Runs that were begun in another group, as on another
    machine or before there were more classes, go on in that.

    Args:
        config: of the runs.
        root: the folder of results.
        keys: the missing runs, in their order.
        device: where they are trained.
    """
    series: dict[tuple[str, str, int, int], list[RunKey]] = {}
    for key in keys:
        series.setdefault((key.dataset, key.method, key.fold, key.seed), []).append(key)
    grouped = [group for runs in series.values() for group in _groups(config, root, runs, device)]
    place = {key: number for number, key in enumerate(keys)}
    return sorted(grouped, key=lambda group: min(place[key] for key in group))


def require_usable_checkpoints(
    config: Config, root: Path, groups: Sequence[Sequence[RunKey]]
) -> None:
    """Refuse checkpoints that these trainings would not go on from, and would delete when done.

    Raises:
        InputError: the first of them, and how many there are.
    """
    of_others = [
        file
        for group in groups
        for key in group
        for file in sorted(layout.run(root, key).glob(layout.CHECKPOINTS))
        if file != jobs.checkpoint(config, root, group)
    ]
    if of_others:
        more = f" and {len(of_others) - 1} more" * (len(of_others) > 1)
        raise InputError(
            f"{of_others[0]}{more}: begun with other settings, classes, images or code than there "
            "are here; restore those to go on, or delete the file to start over"
        )


def _groups(
    config: Config, root: Path, runs: Sequence[RunKey], device: str
) -> list[tuple[RunKey, ...]]:
    """The groups of the runs of one data set, method, fold and seed."""
    begun = jobs.begun(config, root, runs)
    rest = tuple(sorted({*runs}.difference(*begun)))
    together = stacked(device) and trains_in_stacks(config.methods[runs[0].method].detector)
    return [*begun, *([rest] if together and rest else [(key,) for key in rest])]


def prepared(config: Config, root: Path, dataset: str) -> bool:
    """Whether the images and splits of a data set are there."""
    folds = config.datasets[dataset].folds
    descriptions = [layout.split(root, dataset, fold, "json") for fold in folds]
    return all(
        file.is_file() for file in (layout.data(root, dataset) / "dataset.json", *descriptions)
    )


def prepare(config: Config, root: Path, dataset: str) -> None:
    """Prepare the images and splits of a data set, as far as they are not there."""
    data = layout.data(root, dataset)
    if not (data / "dataset.json").is_file():
        jobs.make_data(data, jobs.data_parameters(config, dataset))
    for fold in config.datasets[dataset].folds:
        if not layout.split(root, dataset, fold, "json").is_file():
            table = layout.split(root, dataset, fold)
            parameters = jobs.split_parameters(config, dataset)
            jobs.make_split(table, data, fold, parameters, config.datasets[dataset])
