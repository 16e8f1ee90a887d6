"""Photographs of GTSRB under simulated challenges, to stand in for CURE-TSR.

The source is torchvision's folder of GTSRB, or an ``.npz`` file with ``images`` (N, H, W, 3) uint8,
``sign_class`` (N,), GTSRB's class numbers, and ``track`` (N,): its frames show one physical sign. A
fifth of each class's tracks test, clean and under every chosen challenge and level, and no sign is
on both sides. What comes of it is not CURE-TSR, and is to be called ``NAME`` wherever it is shown.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from benchmark.data import npz
from benchmark.data.challenges import sign_sheet
from benchmark.data.challenges.selection import Selection
from benchmark.data.challenges.sign_sheet import Plate
from benchmark.data.dataset import Dataset
from benchmark.data.images import as_images, resize
from benchmark.detector import Images
from benchmark.errors import InputError


class Photographs(NamedTuple):
    """Images (N, H, W, 3) uint8, their GTSRB class numbers and their tracks, (N,)."""

    images: Images
    signs: npt.NDArray[np.int64]
    tracks: npt.NDArray[np.int64]


NAME = "simulated challenges on GTSRB"

SIGNS = {
    1: "speed_limit",
    12: "priority_road",
    13: "yield",
    14: "stop",
    17: "no_entry",
    25: "road_work",
}
"""The class numbers of GTSRB that have a name here, the others are called by their number; names
are those of CURE-TSR where it has the sign."""

FOLDER = Path("gtsrb", "GTSRB", "Training")
"""Where torchvision unpacks the training part: ``<class>/<track>_<frame>.ppm`` below it."""

SIDE = 32
"""Files of a folder, which differ in size, are first resized to ``SIDE`` x ``SIDE``."""

CLASSES = 43
"""Sign classes of GTSRB."""

TEST_SHARE = 5
"""One of so many tracks tests."""

_TRACKS = 0  # what randomness is for


def class_names(path: Path, selection: Selection) -> tuple[str, ...]:
    """``clean`` and the chosen conditions; reads the signs' classes only.

    Raises:
        InputError: a missing or malformed file, or an unknown sign.
    """
    if _is_file(path):
        with npz.open_file(path) as arrays:
            _chosen(_numbers(arrays, "sign_class", path), selection)
    else:
        names = tuple(sign(number) for number in range(CLASSES))
        _known(selection, names)
    return selection.class_names


def has_official_split(path: Path, selection: Selection) -> bool:
    """Always, by track."""
    return True


def read(path: Path, selection: Selection, image_size: int, keep: Path | None = None) -> Dataset:
    """Split by track, put the test images under the challenges, and resize all.

    The challenges act on the photographs as they are in the file, then all are resized. The seed of
    an image is its place in the file.

    Args:
        path: the file.
        selection: which challenges, levels and signs.
        image_size: height and width in pixels.
        keep: a folder for ``signs.npz``, pictures of one sign; by default they are not kept.

    Returns:
        Label 0 is ``clean``, label k the k-th condition; a group is a track.

    Raises:
        InputError: a missing or malformed file, an unknown sign, or fewer than five tracks.
    """
    images, signs, tracks = load(path)
    rows = np.flatnonzero(_chosen(signs, selection))
    held = _test_tracks(signs[rows], tracks[rows])
    train, test = (rows[np.isin(tracks[rows], held) == side] for side in (False, True))
    if not len(train) or not len(test):
        raise InputError(f"{path}: too few tracks of the chosen signs; a class needs five or more")
    clean = resize(images[np.r_[train, test]], image_size)
    shown = tqdm(selection.conditions, "Simulating challenges", unit=" conditions", mininterval=1)
    challenged = [resize(under(images, test, name, level), image_size) for name, level in shown]
    if keep is not None:
        _keep_pictures(clean[len(train) :], challenged, signs[test], selection, keep)
    labels = np.repeat(np.arange(1, len(challenged) + 1), len(test))
    return Dataset(
        images=np.concatenate([clean, *challenged]),
        labels=np.r_[np.zeros(len(clean), np.int64), labels],
        class_names=selection.class_names,
        n_train=len(train),
        groups=np.r_[tracks[train], np.tile(tracks[test], 1 + len(challenged))],
    )


def load(path: Path) -> Photographs:
    """The photographs of an ``.npz`` file, or of torchvision's folder, downloaded if absent.

    Raises:
        InputError: a missing or malformed file, or a download that fails.
    """
    if not _is_file(path):
        return _from_folder(_obtain(path))
    with npz.open_file(path) as arrays:
        signs, tracks = (_numbers(arrays, name, path) for name in ("sign_class", "track"))
        images = as_images(_array(arrays, "images", path), f"{path}, images")
    if not len(images) == len(signs) == len(tracks):
        raise InputError(f"{path}: images, sign_class and track differ in length")
    return Photographs(images, signs, tracks)


def under(images: Images, rows: npt.NDArray[np.intp], challenge: str, level: int) -> Images:
    """Some of the images under a challenge, (len(rows), H, W, C) uint8."""
    # It takes scipy, which a check of the configuration does without.
    from benchmark.data.challenges.simulation import simulate

    return np.stack([simulate(images[row], challenge, level, seed=int(row)) for row in rows])


def sign(number: int) -> str:
    """The name of a GTSRB class."""
    return SIGNS.get(number, str(number))


def _chosen(signs: npt.NDArray[np.int64], selection: Selection) -> npt.NDArray[np.bool_]:
    there = np.unique(signs)
    known = tuple(sign(number) for number in there.tolist())
    names = _known(selection, known)
    return np.isin(
        signs, [number for number, name in zip(there, known, strict=True) if name in names]
    )


def _known(selection: Selection, known: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return selection.known_signs(known, "GTSRB")
    except ValueError as error:
        raise InputError(str(error)) from error


def _is_file(path: Path) -> bool:
    return path.is_file() or path.suffix == ".npz"


def _obtain(root: Path) -> Path:
    """The folder of the training part, after downloading it if it is absent."""
    folder = root / FOLDER
    if not folder.is_dir():
        from torchvision.datasets import GTSRB

        try:
            GTSRB(str(root), split="train", download=True)
        except (OSError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise InputError(
                f"{folder}: absent, and the download failed ({reason}); run "
                f"`torchvision.datasets.GTSRB({str(root)!r}, download=True)` on a machine with a "
                "network and put the folder there, or correct `path:`"
            ) from error
    return folder


def _from_folder(folder: Path) -> Photographs:
    # Pillow comes in here, as a check of the configuration does without it.
    from benchmark.data.challenges.cure_tsr_images import picture

    files = sorted(folder.glob("*/*_*.ppm"))
    if not files:
        raise InputError(f"{folder}: no <class>/<track>_<frame>.ppm; remove it to download it anew")
    images = np.empty((len(files), SIDE, SIDE, 3), np.uint8)
    for row, file in enumerate(tqdm(files, "Reading GTSRB", unit=" images", mininterval=1)):
        try:
            images[row] = picture(file, SIDE)
        except OSError as error:
            raise InputError(f"{file}: cannot be read ({error}); download it again") from error
    signs = np.array([int(file.parent.name) for file in files])
    # Tracks are counted anew in each class.
    tracks = signs * 1000 + np.array([int(file.name.split("_")[0]) for file in files])
    return Photographs(images, signs, tracks)


def _test_tracks(signs: npt.NDArray[np.int64], tracks: npt.NDArray[np.int64]) -> list[int]:
    """A fifth of the tracks of each class, drawn once and for all."""
    held: list[int] = []
    for number in np.unique(signs).tolist():
        mine = np.unique(tracks[signs == number])
        seed = np.random.SeedSequence(number, spawn_key=(_TRACKS,))
        # Raw output, as in benchmark.splits: the same tracks with any numpy.
        order = np.argsort(np.random.PCG64(seed).random_raw(len(mine)), kind="stable")
        held += mine[order[: len(mine) // TEST_SHARE]].tolist()
    return held


def _numbers(arrays: Mapping[str, Any], name: str, path: Path) -> npt.NDArray[np.int64]:
    found = _array(arrays, name, path)
    if found.ndim != 1 or found.dtype.kind not in "iu":
        raise InputError(
            f"{path}, {name}: {found.dtype} of shape {found.shape}; save integers (N,)"
        )
    return found.astype(np.int64)


def _array(arrays: Mapping[str, Any], name: str, path: Path) -> npt.NDArray[Any]:
    if name not in arrays:
        raise InputError(f"{path}: no array {name!r}; needs images, sign_class and track")
    return np.asarray(arrays[name])


def _keep_pictures(
    clean: Images,
    challenged: list[Images],
    signs: npt.NDArray[np.int64],
    selection: Selection,
    directory: Path,
) -> None:
    """Keep one test sign under all conditions, for the figure: the most colourful."""
    names = np.array([sign(number) for number in signs.tolist()])
    name = sign_sheet.SIGN if sign_sheet.SIGN in names else str(names[0])
    colour = np.where(names == name, np.ptp(clean, axis=3).mean(axis=(1, 2)), -1)
    best = int(colour.argmax())
    count = 1 + len(challenged)
    Plate(
        np.stack([clean[best], *(condition[best] for condition in challenged)]),
        selection.class_names,
        (sign_sheet.SIMULATED,) * count,
        np.ones(count, bool),
        name,
    ).save(directory)
