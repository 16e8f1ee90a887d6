"""The protocols, two of them the paper's: which images train, validate and test each class's model.

A protocol first puts every image of the data set into one part, class by class. The split of an
inlier class is then its own images in the three parts, and outliers drawn at random from the test
part of all other classes. So neither depends on which classes a configuration names, and an image
that trains the model of one class is never another's test image. The same split seed gives the same
split anywhere.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmark.data.dataset import FEWEST_IMAGES, FOLD_COUNT, Labels, shuffled
from benchmark.data.dataset import outlier_count as outlier_count
from benchmark.errors import InputError
from benchmark.utils.files import atomic
from benchmark.utils.parquet import write_parquet

PARTS = ("train", "validation", "test")
FOLDS = {"official": 1, "folds": FOLD_COUNT, "whole": 1}
"""The protocols, and how many folds each has."""

_TRAIN, _VALIDATION, _TEST = range(len(PARTS))
_PARTITION, _OUTLIERS = range(2)  # two draws with independent randomness

Ids = npt.NDArray[np.int64]


def make_split(
    labels: Labels,
    n_train: int | None,
    protocol: str,
    fold: int,
    split_seed: int,
    inliers: Iterable[int],
    max_ratio: float | None,
    groups: Labels | None = None,
    class_names: Sequence[str] | None = None,
    others: bool = False,
) -> pd.DataFrame:
    """Draw the split of each inlier class.

    Args:
        labels: (N,) class indices of the whole data set.
        n_train: the first ``n_train`` samples are the official training part; None if there is
            no such part.
        protocol: ``official`` (90 % of a class's official training images train and 10 %
            validate; the official test part tests), ``whole`` (the same, but with all outliers of
            the test part, however few) or ``folds`` (training and test images pooled, five equal
            folds per class: three train, one validates, one tests).
        fold: 0, or for ``folds`` 0 to 4: the fold that tests; the next one validates.
        split_seed: fixes all draws.
        inliers: the inlier classes.
        max_ratio: the largest share of outliers in a test set, between 0 and 1; None for all
            images of the other classes.
        groups: (N,) the group of each image, such as the photographs of one traffic sign;
            ``official`` has all images of a group either in training or in validation.
        class_names: of each class, for the messages.
        others: also draw the split of all other classes that are large enough, so that the table
            is the same whichever of them are inliers.

    Returns:
        Columns ``inlier`` (int16, the inlier class), ``part`` (one of ``PARTS``), ``sample_id``
        (int32) and ``outlier_rank`` (int32): -1 for inliers, and 0, 1, 2, ... for a class's
        outliers in the order of the draw, so that the test set of a smaller ratio is a part of
        that of a larger one.

    Raises:
        InputError: an unknown protocol or fold, no official split, a class too small to split, or
            too few outliers for ``max_ratio``.
    """
    if protocol not in FOLDS:
        raise InputError(f"unknown protocol {protocol!r}; choose one of {', '.join(FOLDS)}")
    last = FOLDS[protocol] - 1
    if not 0 <= fold <= last:
        raise InputError(f"protocol {protocol} has no fold {fold}; its folds are 0 to {last}")
    if protocol == "folds":
        parts = _assign_folds(labels, fold, split_seed)
    elif n_train is None:
        raise InputError(f"protocol {protocol}: the data set has no official split; use folds")
    else:
        parts = _assign_official(labels, n_train, split_seed, groups)
    if protocol == "whole":
        max_ratio = None
    required = set(inliers)
    tables = []
    for inlier in sorted(required | set(np.unique(labels).tolist() if others else ())):
        name = repr(class_names[inlier]) if class_names else str(inlier)
        try:
            tables.append(
                _split_class(labels, parts, protocol, fold, split_seed, inlier, name, max_ratio)
            )
        except InputError:
            if inlier in required:
                raise
    return pd.concat(tables, ignore_index=True)


def fit_indices(split: pd.DataFrame, inlier: int) -> tuple[Ids, Ids]:
    """The sample ids, ascending, that train and that validate the model of class ``inlier``."""
    rows = _rows(split, inlier)
    train, validation = (
        rows.loc[rows["part"] == PARTS[part], "sample_id"].to_numpy(np.int64)
        for part in (_TRAIN, _VALIDATION)
    )
    return train, validation


def test_table(
    split: pd.DataFrame, labels: Labels, inlier: int, ratio: float | None = None
) -> pd.DataFrame:
    """The test set of class ``inlier`` at an outlier ratio, or with all outliers for None.

    Returns:
        Columns ``sample_id`` (int32), ``label`` (int16), ``inlier`` (bool) and ``outlier_rank``
        (int32): the inliers by id, then the outliers by rank.

    Raises:
        InputError: the split holds too few outliers for ``ratio``.
    """
    rows = _rows(split, inlier)
    test = rows[rows["part"] == PARTS[_TEST]]
    if ratio is not None:
        stored = int((test["outlier_rank"] >= 0).sum())
        needed = outlier_count(len(test) - stored, ratio)
        if needed > stored:
            raise InputError(
                f"class {inlier}: outlier ratio {ratio} needs {needed} outliers, the split has "
                f"{stored}; add {ratio} to outlier_ratios and make the split again"
            )
        test = test[test["outlier_rank"] < needed]
    ids = test["sample_id"].to_numpy()
    return pd.DataFrame(
        {
            "sample_id": ids,
            "label": np.asarray(labels)[ids].astype(np.int16),
            "inlier": (test["outlier_rank"] < 0).to_numpy(),
            "outlier_rank": test["outlier_rank"].to_numpy(),
        }
    )


# Because of its name pytest would take it for a test wherever it is imported.
test_table.__test__ = False  # type: ignore[attr-defined]


def split_hash(split: pd.DataFrame) -> str:
    """The sha256 of a split's content, whatever the order of its rows."""
    part = pd.Categorical(split["part"], categories=PARTS).codes
    columns = [split["inlier"], part, split["sample_id"], split["outlier_rank"]]
    content = np.column_stack([np.asarray(column, "<i8") for column in columns])
    content = content[np.lexsort(content.T[::-1])]
    return hashlib.sha256(content.tobytes()).hexdigest()


def write_split(
    split: pd.DataFrame, path: Path, *, protocol: str, fold: int, split_seed: int
) -> None:
    """Write the table to ``path`` (.parquet) and, beside it, a .json of how it was made.

    The .json holds the protocol, fold, split seed, the sizes of each inlier class's parts and the
    split hash.
    """
    facts = {
        "protocol": protocol,
        "fold": fold,
        "split_seed": split_seed,
        "sizes": sizes(split),
        "sha256": split_hash(split),
    }
    # The table gets its name first, so that no .json describes a table that is missing.
    with atomic(path.with_suffix(".json")) as json_path, atomic(path) as table_path:
        write_parquet(split, table_path)
        json_path.write_text(json.dumps(facts, indent=2) + "\n")


def read_split(path: Path) -> pd.DataFrame:
    """Read a split; ``InputError`` for a file that is missing, damaged or was changed."""
    try:
        split = pd.read_parquet(path)
        stated = json.loads(path.with_suffix(".json").read_text())["sha256"]
        if (actual := split_hash(split)) != stated:
            raise ValueError(f"its sha256 is {actual}, its .json states {stated}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: missing or damaged ({reason}); delete it and its .json and run again"
        ) from error
    return split


def _assign_official(labels: Labels, n_train: int, split_seed: int, groups: Labels | None) -> Ids:
    """90 % and 10 % of each class's official training part; the official test part.

    As the part of each image, (N,) indices into ``PARTS``.
    """
    parts = np.full(len(labels), _TEST)
    parts[:n_train] = _TRAIN
    groups = np.arange(len(labels)) if groups is None else groups
    for label in np.unique(labels[:n_train]).tolist():
        ids = np.flatnonzero(labels[:n_train] == label)
        drawn = shuffled(np.unique(groups[ids]), split_seed, _PARTITION, label)
        validation = drawn[len(drawn) * 9 // 10 :]
        parts[ids[np.isin(groups[ids], validation)]] = _VALIDATION
    return parts


def _assign_folds(labels: Labels, fold: int, split_seed: int) -> Ids:
    """Five folds of each class, whose sizes differ by one at most, the same for every ``fold``."""
    fold_parts = np.full(FOLDS["folds"], _TRAIN)
    fold_parts[fold] = _TEST
    fold_parts[(fold + 1) % len(fold_parts)] = _VALIDATION
    parts = np.empty(len(labels), np.int64)
    for label in np.unique(labels).tolist():
        ids = shuffled(np.flatnonzero(labels == label), split_seed, _PARTITION, label)
        parts[ids] = fold_parts[np.arange(len(ids)) % len(fold_parts)]
    return parts


def _split_class(
    labels: Labels,
    parts: Ids,
    protocol: str,
    fold: int,
    split_seed: int,
    inlier: int,
    name: str,
    max_ratio: float | None,
) -> pd.DataFrame:
    """The split of a class, of which messages give the name."""
    is_inlier = labels == inlier
    ids = [np.flatnonzero(is_inlier & (parts == part)) for part in range(len(PARTS))]
    sizes = [len(part) for part in ids]
    if sum(sizes) < FEWEST_IMAGES or 0 in sizes:
        counts = ", ".join(f"{size} {part}" for part, size in zip(PARTS, sizes, strict=True))
        raise InputError(
            f"class {name}: too few images for protocol {protocol} ({counts}); it needs at least "
            f"{FEWEST_IMAGES}, some in each part: add images or leave it out of `inliers`"
        )
    candidates = np.flatnonzero(~is_inlier & (parts == _TEST))
    needed = len(candidates) if max_ratio is None else outlier_count(sizes[_TEST], max_ratio)
    if needed > len(candidates):
        raise InputError(
            f"class {name}, fold {fold}: outlier ratio {max_ratio} with {sizes[_TEST]} inliers "
            f"needs {needed} outliers, the test part of the other classes has {len(candidates)}; "
            "lower the largest of outlier_ratios"
        )
    outliers = shuffled(candidates, split_seed, _OUTLIERS, fold, inlier)[:needed]
    ranks = np.concatenate([np.full(sum(sizes), -1), np.arange(needed)])
    return pd.DataFrame(
        {
            "inlier": np.full(len(ranks), inlier, np.int16),
            "part": np.repeat(PARTS, [*sizes[:_TEST], sizes[_TEST] + needed]),
            "sample_id": np.concatenate([*ids, outliers]).astype(np.int32),
            "outlier_rank": ranks.astype(np.int32),
        }
    )


def _rows(split: pd.DataFrame, inlier: int) -> pd.DataFrame:
    rows = split[split["inlier"] == inlier]
    if rows.empty:
        inliers = ", ".join(map(str, sorted(split["inlier"].unique().tolist())))
        raise InputError(f"the split has no inlier class {inlier}, only {inliers}; make it again")
    return rows


def sizes(split: pd.DataFrame) -> dict[str, dict[str, int]]:
    """By inlier class, the sizes of its parts; those of the test part by kind."""
    kinds = split["part"].astype(str)
    kinds = kinds.mask(kinds == PARTS[_TEST], "test_inliers")
    kinds = kinds.mask(split["outlier_rank"] >= 0, "test_outliers")
    counts = split.groupby([split["inlier"].astype(str), kinds]).size()
    return {inlier: counts[inlier].to_dict() for inlier in split["inlier"].astype(str).unique()}
