"""Reading the images of CURE-TSR: clean signs to train on, clean and challenged ones to test on.

``Real_Train/ChallengeFree`` is the official training part; ``Real_Test``, clean and under each
chosen challenge and level, the official test part. A flat folder of challenge folders has no
official split. Photographs only; the rendered signs of the set are left out.
"""

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image
from tqdm import tqdm

from benchmark.data.challenges import cure_tsr_index, file_names, sign_sheet
from benchmark.data.challenges.cure_tsr import TEST, TRAIN, has_official_split, signs
from benchmark.data.challenges.cure_tsr_index import Problem
from benchmark.data.challenges.selection import Selection
from benchmark.data.dataset import Dataset
from benchmark.data.images import resize
from benchmark.detector import Images
from benchmark.errors import InputError
from benchmark.utils.files import atomic

_ADVICE = "mend it, or set `on_problem: go` to go on without"


def read(path: Path, selection: Selection, image_size: int, keep: Path | None = None) -> Dataset:
    """Read the chosen images, resized with the Lanczos filter.

    Args:
        path: the folder of CURE-TSR.
        selection: which images, and whether a problem stops the reading.
        image_size: height and width in pixels.
        keep: a folder for ``index.parquet``, which is used again, ``account.txt``, which says what
            is missing or was left out, and ``signs.npz``, pictures of one sign; by default
            ``path``.

    Returns:
        Label 0 is ``clean``, label k the k-th condition; the images of one photograph, clean or
        challenged, have the same group.

    Raises:
        InputError: no such folder, nothing of what was asked for, or with ``on_problem: stop``
            anything that is missing or bad: before any image is read where the names tell. The
            account is written first.
    """
    keep = keep or path
    found = cure_tsr_index.obtain(path, keep / "index.parquet")
    split = has_official_split(path, selection)
    rows = chosen(found, selection, split)
    used = found[found["part"].isin(("", TRAIN, TEST))] if split else found
    # Of empty folders only those that are asked for matter.
    known = [problem for problem in cure_tsr_index.problems(used) if problem.kind != "empty folder"]
    known += _lacking(found, rows, selection, split)
    account = keep / "account.txt"
    if selection.on_problem == "stop":
        _report(path, known, selection, 0, account)
    images, readable, unreadable = _images(path, rows, image_size)
    _report(path, [*known, *unreadable], selection, len(images), account)
    rows = rows[readable]
    if not len(rows):
        raise InputError(f"{path}: no image of what `challenges` asks for; see {account}")
    _keep_pictures(images, rows, selection, keep)
    return Dataset(
        images=images,
        labels=rows["label"].to_numpy(np.int64),
        class_names=selection.class_names,
        n_train=int((rows["part"] == TRAIN).sum()) if split else None,
        groups=_photographs(rows),
    )


def chosen(found: pd.DataFrame, selection: Selection, split: bool) -> pd.DataFrame:
    """The good rows of an index that a selection asks for, with their ``label``.

    Training images first, then by label, sign and number: the same files give the same order.
    """
    wanted = {code for code, name in file_names.SIGNS.items() if name in signs(selection)}
    conditions = [(file_names.CLEAN, file_names.CLEAN), *_codes(selection)]
    label = {condition: k for k, condition in enumerate(conditions)}
    good = found[
        (found["problem"] == "") & found["sign"].isin(wanted) & (found["sequence"] == 1)
    ].copy()
    pairs = zip(good["challenge"], good["level"], strict=True)
    good["label"] = [label.get((int(type_), int(level)), -1) for type_, level in pairs]
    good = good[good["label"] >= 0]
    if split:
        training = (good["part"] == TRAIN) & (good["label"] == 0)
        good = good[training | (good["part"] == TEST)]
    good = good.assign(test=good["part"] != TRAIN)
    return good.sort_values(["test", "label", "sign", "number", "file"], ignore_index=True)


def picture(file: Path, image_size: int | None = None) -> Images:
    """One image, (H, W, 3) uint8, resized if a size is given.

    Raises:
        OSError: it cannot be read.
    """
    try:
        with Image.open(file) as opened:
            pixels = np.asarray(opened.convert("RGB"))
    except Exception as error:  # Pillow's decoders raise errors of any type for a damaged file.
        raise OSError(" ".join(str(error).split())) from error
    return pixels if image_size is None else resize(pixels[np.newaxis], image_size)[0]


def _codes(selection: Selection) -> list[tuple[int, int]]:
    return [(file_names.code(name), level) for name, level in selection.conditions]


def _lacking(
    found: pd.DataFrame, rows: pd.DataFrame, selection: Selection, split: bool
) -> list[Problem]:
    """Conditions without a folder, and those whose folder has no image, or none of the signs."""
    clean = (file_names.CLEAN, file_names.CLEAN)
    every = [clean, *_codes(selection)]
    asked = {TRAIN: [clean], TEST: every} if split else {"": every}
    bare = found[found["problem"] == "empty folder"]
    empty = {
        (part, file_names.condition(str(folder)))
        for part, folder in zip(bare["part"], bare["folder"], strict=True)
    }
    lacking = []
    for part, conditions in asked.items():
        missing = cure_tsr_index.absent(found, [part], conditions)
        lacking += missing
        here = rows[rows["part"] == part]
        there = set(zip(here["challenge"], here["level"], strict=True))
        places = {problem.place for problem in missing}
        for condition in conditions:
            place = cure_tsr_index.place(part, condition)
            if condition in there or place in places:
                continue
            if (part, condition) in empty:
                lacking.append(Problem("empty folder", place, ""))
            else:
                lacking.append(Problem("no such sign", place, ", ".join(signs(selection))))
    return lacking


def _images(
    root: Path, rows: pd.DataFrame, image_size: int
) -> tuple[Images, npt.NDArray[np.bool_], list[Problem]]:
    """The images that can be read, which ones those are, and the others as problems."""
    images = np.empty((len(rows), image_size, image_size, 3), np.uint8)
    readable, unreadable = np.zeros(len(rows), bool), []
    kept = 0
    files = rows[["part", "folder", "file"]].itertuples(index=False)
    progress = tqdm(files, f"Reading {root.name}", len(rows), unit=" images", mininterval=1)
    for row, names in enumerate(progress):
        place = "/".join(filter(None, names))
        try:
            images[kept] = picture(root / place, image_size)
        except OSError as error:
            unreadable.append(Problem("unreadable image", place, str(error)))
            continue
        readable[row] = True
        kept += 1
    return images[:kept], readable, unreadable


def _report(
    path: Path, problems: list[Problem], selection: Selection, n_images: int, account: Path
) -> None:
    lines = cure_tsr_index.account(problems)
    with atomic(account) as beside:
        text = "\n".join([f"{n_images:,} images read from {path}", *lines])
        beside.write_text(text + "\n", encoding="utf-8")
    if not problems:
        return
    if selection.on_problem == "stop":
        more = f" and {len(problems) - 1:,} more, all in {account}" if len(problems) > 1 else ""
        raise InputError(f"{path}: {problems[0]}{more}; {_ADVICE}")
    for line in lines:
        print(f"{path}: {line}", file=sys.stderr)


def _photographs(rows: pd.DataFrame) -> npt.NDArray[np.int64]:
    """A number for each photograph: the same part, sign and number."""
    return np.asarray(rows.groupby(["test", "sign", "number"]).ngroup(), np.int64)


def _keep_pictures(
    images: Images, rows: pd.DataFrame, selection: Selection, directory: Path
) -> None:
    """Keep one test sign under all conditions, for the figure."""
    named = rows.reset_index(drop=True).assign(sign=rows["sign"].map(file_names.SIGNS).to_numpy())
    tests = named[named["test"]]
    if len(tests):
        sign_sheet.of_photographs(images, tests, selection.class_names).save(directory)
