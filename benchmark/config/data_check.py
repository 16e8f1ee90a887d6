"""Comparing a configuration with the data sets' files; no image is read."""

from collections.abc import Iterator, Sequence

import numpy as np

from benchmark.config.models import Config, DatasetConfig, suggestion
from benchmark.data import CHALLENGED, has_official_split, labels
from benchmark.data.dataset import (
    FEWEST_IMAGES,
    FOLD_COUNT,
    Labels,
    check_classes,
    outlier_count,
)
from benchmark.errors import InputError

FEWEST = {"to train": 3, "to test": 1}
"""The smallest numbers of images of an inlier class in official parts: one to train validates."""


def check_data(config: Config, source: str = "config") -> None:
    """Check that the data sets' files exist and have what the configured splits need.

    That is the official split, if it is to be used, and the inlier classes with images enough, and
    with enough outliers for the largest share of them.

    Files that can be downloaded may be missing, and so may an optional data set.

    Raises:
        InputError: one line per problem: ``source``, key, what is wrong, what to do.
    """
    problems = [
        f"{source}: datasets.{key}.{field}: {problem}"
        for key, dataset in config.datasets.items()
        if dataset.available
        for field, problem in _problems(dataset, config.outlier_ratios)
    ]
    if problems:
        raise InputError("\n".join(problems))


def _problems(dataset: DatasetConfig, ratios: Sequence[float]) -> Iterator[tuple[str, str]]:
    """The keys of a data set that its files contradict, each with a message."""
    try:
        classes = dataset.class_names()
        official = has_official_split(dataset.source, dataset.path)
        labelled = labels(dataset.source, dataset.path)
        if labelled:
            check_classes(labelled[0], classes, dataset.path)
    except InputError as error:
        yield "path", str(error)
        return
    if dataset.own_parts and not official:
        if dataset.source in CHALLENGED:
            yield "protocol", f"{dataset.path} has no Real_Train and Real_Test; add them"
        else:
            yield "protocol", f"{dataset.source!r} has no official split; set it to folds"
        return
    for inlier in dataset.inliers or ():
        if problem := _name_problem(inlier, classes):
            yield "inliers", problem
    if labelled:
        yield from _too_small(dataset, ratios, classes, *labelled)


def _too_small(
    dataset: DatasetConfig,
    ratios: Sequence[float],
    classes: Sequence[str],
    of_images: Labels,
    n_train: int | None,
) -> Iterator[tuple[str, str]]:
    """The same for inlier classes with too few images, or too few outliers for a share of them."""
    parts, needed = {"in all": of_images}, f"{FEWEST_IMAGES}"
    if dataset.own_parts:
        parts = {"to train": of_images[:n_train], "to test": of_images[n_train:]}
        needed += "".join(f", {number} of them {place}" for place, number in FEWEST.items())
    tested = _tested([*parts.values()][-1], dataset)
    for index, name in enumerate(classes):
        if dataset.inliers and not {index, name} & set(dataset.inliers):
            continue
        numbers = {place: int((part == index).sum()) for place, part in parts.items()}
        lacking = any(numbers.get(place, needs) < needs for place, needs in FEWEST.items())
        if lacking or sum(numbers.values()) < FEWEST_IMAGES:
            counts = ", ".join(f"{number} {place}" for place, number in numbers.items())
            problem = f"too few images of the class {name!r} ({counts}); an inlier class needs"
            yield "inliers", f"{problem} {needed}: add images, or name the other classes here"
        elif problem := (
            _no_outlier(name, index, tested)
            if dataset.whole
            else _ratio_problem(name, index, tested, ratios)
        ):
            yield "inliers", problem


def _tested(of_images: Labels, dataset: DatasetConfig) -> list[dict[int, int]]:
    """For each fold, how many images of each class test; of the labels that there are to test."""
    classes, numbers = np.unique(of_images, return_counts=True)
    sizes = dict(zip(classes.tolist(), numbers.tolist(), strict=True))
    if dataset.own_parts:
        return [sizes]
    return [
        {label: len(range(fold, size, FOLD_COUNT)) for label, size in sizes.items()}
        for fold in dataset.folds
    ]


def _ratio_problem(
    name: str, index: int, tested: Sequence[dict[int, int]], ratios: Sequence[float]
) -> str:
    """Why a share of outliers is too large or too small to test a class; empty if none is."""
    ratio = max(ratios)
    for sizes in tested:
        if not outlier_count(sizes[index], min(ratios)):
            return (
                f"no outliers for the class {name!r}: outlier ratio {min(ratios)} with "
                f"{sizes[index]} inliers to test gives none; raise the smallest of outlier_ratios"
            )
        needed, others = outlier_count(sizes[index], ratio), sum(sizes.values()) - sizes[index]
        if needed > others:
            return (
                f"too few outliers for the class {name!r}: outlier ratio {ratio} with "
                f"{sizes[index]} inliers to test needs {needed}, the other classes have {others}; "
                "lower the largest of outlier_ratios, or name the other classes here"
            )
    return ""


def _no_outlier(name: str, index: int, tested: Sequence[dict[int, int]]) -> str:
    """Why there is nothing to find in a test part; empty if there is."""
    if any(sizes.keys() - {index} for sizes in tested):
        return ""
    return f"no outliers to test for the class {name!r}; add images of another class"


def _name_problem(inlier: int | str, classes: Sequence[str]) -> str:
    """Why an entry of ``inliers`` means no class, or may mean two; empty if neither."""
    if inlier in classes:
        return ""
    if inlier not in range(len(classes)):
        return f"no class {inlier!r}; {suggestion(str(inlier), classes)}"
    name = classes[int(inlier)]
    if name != str(inlier) and any(each.isdecimal() for each in classes):
        return (
            f"{inlier} may be an index, of the class {name!r}, or a name, as some classes have "
            "numbers for names; write the name, in quotes"
        )
    return ""
