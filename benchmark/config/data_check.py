"""Comparing a configuration with the data sets' files; no image is read."""

from collections.abc import Iterator

from benchmark.config.models import Config, DatasetConfig, suggestion
from benchmark.data import CHALLENGED, has_official_split
from benchmark.errors import InputError


def check_data(config: Config, source: str = "config") -> None:
    """Check that the data sets' files exist and have the configured split and inlier classes.

    Files that can be downloaded may be missing, and so may an optional data set.

    Args:
        config: a configuration that ``load`` or ``read`` returned.
        source: the file or files that it is from, for the messages.

    Raises:
        InputError: one line per problem: file, key, what is wrong, what to do.
    """
    problems = [
        f"{source}: datasets.{key}.{field}: {problem}"
        for key, dataset in config.datasets.items()
        if dataset.available
        for field, problem in _problems(dataset)
    ]
    if problems:
        raise InputError("\n".join(problems))


def _problems(dataset: DatasetConfig) -> Iterator[tuple[str, str]]:
    """The keys of a data set that its files contradict, each with a message."""
    try:
        classes = dataset.class_names()
        official = has_official_split(dataset.source, dataset.path)
    except InputError as error:
        yield "path", str(error)
        return
    if dataset.protocol == "official" and not official:
        if dataset.source in CHALLENGED:
            yield "protocol", f"{dataset.path} has no Real_Train and Real_Test; add them"
        else:
            yield "protocol", f"{dataset.source!r} has no official split; set it to folds"
    for inlier in dataset.inliers or ():
        if inlier not in classes and inlier not in range(len(classes)):
            yield "inliers", f"no class {inlier!r}; {suggestion(str(inlier), classes)}"
