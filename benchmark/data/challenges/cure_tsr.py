"""CURE-TSR as a data set: clean signs to train on, clean and challenged ones to test on.

``Real_Train/ChallengeFree`` is the official training part; ``Real_Test``, clean and under each
chosen challenge and level, the official test part. A flat folder of challenge folders has no
official split. Photographs only; the rendered signs of the set are left out.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from benchmark.data.challenges import file_names, sign_sheet
from benchmark.data.challenges.file_names import NO_CHALLENGE, TEST, TRAIN, Condition, Problem
from benchmark.data.challenges.selection import Selection
from benchmark.data.dataset import Dataset
from benchmark.data.images import UnreadableImage, read_image
from benchmark.detector import Images
from benchmark.errors import InputError
from benchmark.utils.files import atomic

if TYPE_CHECKING:  # a check of the configuration does without pandas
    import pandas as pd


def class_names(path: Path, selection: Selection) -> tuple[str, ...]:
    """``clean`` and the chosen conditions; checks that the folder exists, not what is in it."""
    file_names.parts(path)
    _signs(selection)
    return selection.class_names


def has_official_split(path: Path) -> bool:
    """Whether there are ``Real_Train`` and ``Real_Test``."""
    return {TRAIN, TEST} <= set(file_names.parts(path))


def labels(path: Path) -> None:
    """Every sign has hundreds of images."""


def files(path: Path, selection: Selection) -> Iterator[Path]:
    """All but hidden files in the folders of the chosen conditions, sorted."""
    chosen = _conditions(selection)
    for part in file_names.parts(path):
        for folder in sorted((path / part).iterdir()):
            if file_names.condition(folder.name) in chosen and folder.is_dir():
                yield from sorted(file for file in folder.iterdir() if file.name[0] != ".")


def read(path: Path, image_size: int, selection: Selection, keep: Path | None = None) -> Dataset:
    """Read the chosen images; those of one photograph, clean or challenged, are a group.

    The folder ``keep``, by default ``path``, gets ``index.parquet``, which is used again,
    ``account.txt``, which says what is missing or was left out, and ``signs.npz``, pictures of one
    sign.

    Raises:
        InputError: no such folder, nothing of what was asked for, or with ``on_problem: stop``
            anything that is missing or bad: before any image is read if the names show it. The
            account is written first.
    """
    from benchmark.data.challenges import cure_tsr_index  # it takes pandas and pyarrow

    keep = keep or path
    account = keep / "account.txt"
    index = cure_tsr_index.obtain(path, keep / "index.parquet")
    split = has_official_split(path)
    rows = select(index, selection, split)
    problems = _problems(index, rows, selection, split)
    if selection.on_problem == "stop":
        _report(path, problems, selection, 0, account)
    images, readable, unreadable = _read_images(path, rows, image_size)
    _report(path, [*problems, *unreadable], selection, len(images), account)
    rows = rows.iloc[readable].reset_index(drop=True)
    if rows.empty:
        raise InputError(f"{path}: no image of what `challenges` asks for; see {account}")
    if rows["test"].any():
        tests = rows[rows["test"]].assign(sign=rows["sign"].map(file_names.SIGNS))
        sign_sheet.from_files(images, tests, selection.class_names).save(keep)
    return Dataset(
        images=images,
        labels=rows["label"].to_numpy(np.int64),
        class_names=selection.class_names,
        n_train=int((~rows["test"]).sum()) if split else None,
        groups=np.asarray(rows.groupby(["test", "sign", "number"]).ngroup(), np.int64),
    )


def select(index: "pd.DataFrame", selection: Selection, split: bool) -> "pd.DataFrame":
    """The good rows of an index that a selection asks for, with their ``label``.

    Training images first, then by label, sign and number: the same files give the same order.
    Column ``test`` is False for training images.
    """
    signs = [code for code, name in file_names.SIGNS.items() if name in _signs(selection)]
    labels = {condition: label for label, condition in enumerate(_conditions(selection))}
    good = (index["problem"] == "") & index["sign"].isin(signs) & (index["sequence"] == 1)
    rows = index[good].copy()
    codes = zip(rows["challenge"].tolist(), rows["level"].tolist(), strict=True)
    rows["label"] = [labels.get(condition, -1) for condition in codes]
    rows["test"] = rows["part"] != TRAIN
    rows = rows[rows["label"] >= 0]
    if split:
        rows = rows[(rows["part"] == TEST) | (rows["part"] == TRAIN) & (rows["label"] == 0)]
    return rows.sort_values(["test", "label", "sign", "number", "file"], ignore_index=True)


def _signs(selection: Selection) -> tuple[str, ...]:
    return selection.signs_among(tuple(file_names.SIGNS.values()), "CURE-TSR")


def _conditions(selection: Selection) -> list[Condition]:
    """The conditions in the order of their labels."""
    chosen = [(file_names.code(challenge), level) for challenge, level in selection.conditions]
    return [NO_CHALLENGE, *chosen]


def _problems(
    index: "pd.DataFrame", rows: "pd.DataFrame", selection: Selection, split: bool
) -> list[Problem]:
    """What is wrong in the parts that are read, and the chosen conditions that have no image."""
    if split:
        index = index[index["part"].isin(("", TRAIN, TEST))]  # "" for files beside the parts
    is_empty = index["problem"] == "empty folder"
    folders, empty = file_names.folders(index), file_names.folders(index[is_empty])
    # Of the empty folders only those of chosen conditions matter.
    problems = file_names.of_index(index[~is_empty])
    codes = (rows[column].tolist() for column in ("part", "challenge", "level"))
    readable = set(zip(*codes, strict=True))
    tested = [(TEST if split else "", condition) for condition in _conditions(selection)]
    for part, condition in [(TRAIN, NO_CHALLENGE)] * split + tested:
        place = file_names.title(condition, part)
        if (part, condition) not in folders:
            problems.append(Problem("folder not found", place))
        elif (part, condition) in empty:
            problems.append(Problem("empty folder", place))
        elif (part, *condition) not in readable:
            problems.append(Problem("no such sign", place, ", ".join(_signs(selection))))
    return problems


def _read_images(
    root: Path, rows: "pd.DataFrame", image_size: int
) -> tuple[Images, list[int], list[Problem]]:
    """The images that can be read, the places of their rows, and the others as problems."""
    images = np.empty((len(rows), image_size, image_size, 3), np.uint8)
    readable: list[int] = []
    unreadable = []
    files = rows[["part", "folder", "file"]].itertuples(index=False)
    progress = tqdm(files, f"Reading {root.name}", len(rows), unit=" images", mininterval=1)
    for row, names in enumerate(progress):
        place = "/".join(filter(None, names))
        try:
            images[len(readable)] = read_image(root / place, image_size)
            readable.append(row)
        except UnreadableImage as error:
            unreadable.append(Problem("unreadable image", place, error.reason))
    return images[: len(readable)], readable, unreadable


def _report(
    path: Path, problems: list[Problem], selection: Selection, n_images: int, account: Path
) -> None:
    """Write the account, and raise or print the problems as ``on_problem`` says."""
    lines = file_names.account(problems)
    with atomic(account) as partial:
        text = "\n".join([f"{n_images:,} images read from {path}", *lines])
        partial.write_text(text + "\n", encoding="utf-8")
    if problems and selection.on_problem == "stop":
        more = f" and {len(problems) - 1:,} more, all in {account}" if len(problems) > 1 else ""
        raise InputError(
            f"{path}: {problems[0]}{more}; mend it, or set `on_problem: go` to go on without"
        )
    for line in lines:
        print(f"{path}: {line}", file=sys.stderr)
