"""The jobs before the scores: what a data set, a split and runs are made from, and how.

Snakemake's rules and ``python -m benchmark train`` both take their jobs from here, so that they
leave the same files. The Snakefile asks for parameters while it is parsed, so nothing here imports
a large library before a job is done.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark import layout
from benchmark.config import Config, DatasetConfig
from benchmark.errors import InputError
from benchmark.layout import RunKey
from benchmark.utils import imports
from benchmark.utils.code_digest import digest
from benchmark.utils.files import canonical

if TYPE_CHECKING:
    import pandas as pd

    from benchmark.data.dataset import Dataset
    from benchmark.runs.train import RunSpec

INDIRECT = ("benchmark.config", "benchmark.data")
"""Packages left out of code digests: rules see what they do through parameters and input files, so
that a new reader of data or a new method reruns nothing."""

TRIED = 12
"""Of at most so many other runs every choice is tried as what a training was begun with."""


def available(config: Config) -> list[str]:
    """The data sets that are run: all but optional ones whose files are absent."""
    return [key for key, settings in config.datasets.items() if settings.available]


def inliers(config: Config, dataset: str) -> list[int]:
    """The inlier classes of a data set, as indices.

    Raises:
        InputError: its files, which name the classes, are missing or malformed.
    """
    settings = config.datasets[dataset]
    return [*layout.configured_inliers(settings, dict(enumerate(settings.class_names())))]


def runs(config: Config) -> list[RunKey]:
    """Every run that is trained here, of the data sets that are run; errors as ``inliers``."""
    return [key for key in _run_keys(config) if not config.methods[key.method].external]


def imported(config: Config, root: Path) -> list[RunKey]:
    """The runs that were made elsewhere and are there; no job makes or removes them."""
    external = (key for key in _run_keys(config) if config.methods[key.method].external)
    return [key for key in external if (layout.run(root, key) / "run.json").is_file()]


def check_precision(config: Config, root: Path, device: str) -> None:
    """Refuse runs in a precision that their device does not have, unless they are there."""
    for key in runs(config) if device == "cpu" else ():
        folder = layout.run(root, key)
        tf32 = config.methods[key.method].params.get("precision") == "tf32"
        if tf32 and _precision(folder / "run.json") != "tf32":
            raise InputError(
                f"methods.{key.method}.precision: tf32, which only a GPU has; set it to float32, "
                f"or leave the method out ({folder} has no run in tf32)"
            )


def _precision(file: Path) -> Any:
    """The precision that a run says it was trained in; None if it does not say."""
    with suppress(OSError, ValueError, AttributeError):
        return json.loads(file.read_bytes()).get("precision")
    return None


def _run_keys(config: Config) -> Iterator[RunKey]:
    classes = {dataset: inliers(config, dataset) for dataset in available(config)}
    return layout.run_keys(config, classes)


def data_parameters(config: Config, dataset: str) -> dict[str, Any]:
    """What a prepared data set depends on, beside its files: arguments of ``make_data``."""
    settings = config.datasets[dataset]
    selection = settings.challenges
    return {
        "source": settings.source,
        "path": None if settings.path is None else str(canonical(settings.path)),
        "image_size": config.image_size,
        **({"selection": selection.model_dump()} if selection else {}),
    }


def split_parameters(config: Config, dataset: str) -> dict[str, Any]:
    """What the splits of a data set depend on, beside its labels: arguments of ``make_split``.

    They have all classes, so that inliers that are added change none.
    """
    settings = config.datasets[dataset]
    # Each challenge and level is tested in full, not a sample of all together.
    in_full = settings.challenges or settings.whole
    return {
        "protocol": settings.protocol,
        "split_seed": config.split_seed,
        "max_ratio": None if in_full else max(config.outlier_ratios),
    }


def run_parameters(config: Config, method: str) -> dict[str, Any]:
    """What a run depends on, beside its data and split: fields of ``RunSpec``."""
    configured = config.methods[method]
    return {
        "detector": configured.detector,
        "params": configured.params,
        "milestones": config.milestones_of(method),
        "code_digest": _code_digest(configured.detector, *_named_classes(configured.params)),
    }


@cache
def _code_digest(*classes: str) -> str:
    """The digest of the code that makes the runs of a method, which many runs have in common."""
    modules = [imports.split(path)[0] for path in classes]
    return digest(*modules, "benchmark.runs.train", without=INDIRECT)


def _named_classes(params: Mapping[str, Any]) -> list[str]:
    """The classes that hyperparameters name by import paths, but those of installed libraries."""
    named = []
    for value in params.values():
        with suppress(InputError):
            file = imports.find(imports.split(value)[0]) if isinstance(value, str) else None
            if file and not imports.is_installed(file):
                named.append(value)
    return named


def checkpoint(config: Config, root: Path, keys: Sequence[RunKey]) -> Path | None:
    """The checkpoint of runs that are trained together; None before their images are prepared."""
    from benchmark.runs import train

    specs = _specs(config, root, keys)
    return train.checkpoint(specs, layout.run(root, keys[0])) if specs else None


def begun(config: Config, root: Path, keys: Sequence[RunKey]) -> list[tuple[RunKey, ...]]:
    """The runs that were begun and stopped, those together that are in one checkpoint.

    Args:
        config: of the runs.
        root: the folder of results.
        keys: runs of one data set, method, fold and seed.
    """
    # Most have no checkpoint, and need no images for that.
    if not any(any(layout.run(root, key).glob(layout.CHECKPOINTS)) for key in keys):
        return []
    keys = sorted(keys)
    groups = _begun(_specs(config, root, keys), [layout.run(root, key) for key in keys])
    return [tuple(keys[place] for place in group) for group in groups]


def _specs(config: Config, root: Path, keys: Sequence[RunKey]) -> list["RunSpec"]:
    """What runs of one data set and method depend on; nothing before their images are prepared."""
    from benchmark import data as datasets
    from benchmark.runs import train

    sha256 = datasets.prepared_images(layout.data(root, keys[0].dataset))
    if sha256 is None:
        return []
    parameters = run_parameters(config, keys[0].method)
    return [
        train.RunSpec(**key._asdict(), class_name="", images_sha256=sha256, **parameters)
        for key in keys
    ]


def _begun(specs: Sequence["RunSpec"], directories: Sequence[Path]) -> list[tuple[int, ...]]:
    """The runs, by their places, that are in one checkpoint; no run is in two of them.

    A checkpoint lies in the folder of the first of its runs, and its name is a hash of them all. So
    what it was begun with is searched for: all further runs, fewer and fewer of them, none. Where
    there are more than ``TRIED``, it is all or none.
    """
    from benchmark.runs import train

    groups: list[tuple[int, ...]] = []
    for first in range(len(specs)):
        files = {*directories[first].glob(layout.CHECKPOINTS)}
        if not files or any(first in group for group in groups):
            continue
        further = range(first + 1, len(specs))
        numbers = [*range(len(further), -1, -1)] if len(further) <= TRIED else [len(further), 0]
        for rest in (rest for number in numbers for rest in combinations(further, number)):
            group = (first, *rest)
            if train.checkpoint([specs[place] for place in group], directories[first]) in files:
                groups.append(group)
                break
    return groups


def fingerprint(parameters: Mapping[str, Any]) -> str:
    """A hash of names, sizes and times of the files of a data set (see ``data_parameters``)."""
    from benchmark import data

    return data.fingerprint(parameters["source"], parameters["path"], parameters.get("selection"))


def make_data(directory: Path, parameters: Mapping[str, Any]) -> None:
    """Read a data set, resize it and keep it in a folder for the other jobs."""
    from benchmark import data

    # First, so that a file that is changed meanwhile counts as changed.
    files = fingerprint(parameters)
    data.prepare(data.read(**parameters, keep=directory), directory, files)


def images_differ(
    description: Mapping[str, Any], parameters: Mapping[str, Any], files: Callable[[], str]
) -> bool:
    """Whether a data set has other images or labels than those that were prepared.

    They are read only if names, sizes or times of the files are others than they were: in a copy on
    another machine the files may be newer, and the images the same.

    Args:
        description: what ``dataset.json`` says.
        parameters: see ``data_parameters``.
        files: gives the ``fingerprint`` of these parameters.
    """
    from benchmark import data

    stated = description.get("files")
    if stated is None or stated == files():
        return False
    return bool(data.hashes(data.read(**parameters)) != description["sha256"])


def make_split(
    table: Path, data: Path, fold: int, parameters: Mapping[str, Any], settings: DatasetConfig
) -> None:
    """Draw one fold of the data set in a folder.

    Args:
        table: the file of the split.
        data: the folder.
        fold: the number of the fold.
        parameters: see ``split_parameters``.
        settings: say which classes must have images enough.
    """
    from benchmark import data as datasets
    from benchmark import splits

    split = draw_split(datasets.load(data), fold, parameters, settings)
    made = {"fold": fold, **{key: parameters[key] for key in ("protocol", "split_seed")}}
    splits.write_split(split, table, **made)


def draw_split(
    dataset: "Dataset", fold: int, parameters: Mapping[str, Any], settings: DatasetConfig
) -> "pd.DataFrame":
    """One fold of a data set; arguments as for ``make_split``."""
    from benchmark import splits

    return splits.make_split(
        dataset.labels,
        dataset.n_train,
        groups=dataset.groups,
        inliers=layout.configured_inliers(settings, dict(enumerate(dataset.class_names))),
        class_names=dataset.class_names,
        others=True,
        fold=fold,
        **parameters,
    )


def make_runs(
    directories: Sequence[Path],
    data: Path,
    split: Path,
    parameters: Mapping[str, Any],
    device: str | None = None,
) -> None:
    """Train and score runs of one data set, method and fold, each in the folder of its key.

    Runs that were begun go on from their checkpoint, together if they are together in it. All the
    others are trained as one stack, where the method can.

    Args:
        directories: the folder of each run.
        data: the folder of the prepared data set.
        split: the split table of the fold.
        parameters: see ``run_parameters``.
        device: a torch device; by default a GPU where there is one.
    """
    from benchmark import data as datasets
    from benchmark.runs import train

    names, sha256 = datasets.load(data).class_names, datasets.images_sha256(data)
    keys = [RunKey.of(directory) for directory in directories]
    specs = [
        train.RunSpec(
            **key._asdict(), class_name=names[key.inlier], images_sha256=sha256, **parameters
        )
        for key in keys
    ]
    groups = _begun(specs, directories)
    others = tuple(place for place in range(len(specs)) if not any(place in g for g in groups))
    for group in filter(None, [*groups, others]):
        train.run_stack(
            [specs[place] for place in group],
            data,
            split,
            [directories[place] for place in group],
            device,
        )
