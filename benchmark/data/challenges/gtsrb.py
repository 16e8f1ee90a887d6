"""Photographs of GTSRB under simulated challenges, for use without CURE-TSR.

The source is torchvision's folder of GTSRB, or an ``.npz`` file with ``images`` (N, H, W, 3) uint8,
``sign_class`` (N,), GTSRB's class numbers, and ``track`` (N,): a track is a film of one physical
sign. A fifth of each class's tracks is for testing, clean and under every chosen challenge and
level, so that no sign is in both parts. These are no images of CURE-TSR: whatever shows them
or numbers from them says ``NAME``.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from benchmark.data.challenges import sign_sheet
from benchmark.data.challenges.selection import Selection
from benchmark.data.challenges.sign_sheet import SignSheet
from benchmark.data.dataset import Dataset, Labels, shuffled
from benchmark.data.images import as_images, read_images, resize
from benchmark.data.npz import Arrays, open_npz, read_labels
from benchmark.detector import Images
from benchmark.errors import InputError


class Photographs(NamedTuple):
    """Images (N, H, W, 3) uint8, their GTSRB class numbers and their tracks, (N,)."""

    images: Images
    signs: Labels
    tracks: Labels


NAME = "simulated challenges on GTSRB"

SIGNS = {
    1: "speed_limit", 12: "priority_road", 13: "yield", 14: "stop", 17: "no_entry", 25: "road_work",
}  # fmt: skip
"""Names of GTSRB's class numbers, those of CURE-TSR for the signs that it has too; other classes
are named by their number."""

FOLDER = Path("gtsrb", "GTSRB", "Training")
"""Where torchvision unpacks the training part: ``<class>/<track>_<frame>.ppm`` below it."""

SIDE = 32
"""Height and width that the files of a folder, which differ in size, are first resized to."""

CLASSES = 43
"""Number of sign classes of GTSRB."""

TEST_TRACKS = 5
"""One of so many tracks is for testing."""


def class_names(path: Path, selection: Selection) -> tuple[str, ...]:
    """``clean`` and the chosen conditions; reads the signs' classes only."""
    if _is_file(path):
        with open_npz(path) as arrays:
            _check_arrays(arrays, path)
            numbers = read_labels(arrays, "sign_class", path)
    else:
        numbers = np.arange(CLASSES)
    _chosen_signs(numbers, selection)
    return selection.class_names


def has_official_split(path: Path) -> bool:
    """Always, by track."""
    return True


def labels(path: Path) -> None:
    """Every sign of GTSRB has hundreds of images."""


def files(path: Path, selection: Selection) -> tuple[Path, ...]:
    """The ``.npz`` file; what is downloaded is the same whenever it is."""
    return (path,) if _is_file(path) else ()


def read(path: Path, image_size: int, selection: Selection, keep: Path | None = None) -> Dataset:
    """Split by track, put the test images under the challenges, and resize all.

    The challenges act on the photographs at their size in the file, then all are resized. An
    image's row in the file is the seed of its challenges. A group is a track. The folder ``keep``
    gets ``signs.npz``, pictures of one sign.

    Raises:
        InputError: a missing or malformed file, a download that fails, an unknown sign, or fewer
            than five tracks.
    """
    images, numbers, tracks = load_photographs(path)
    signs = np.array([sign(number) for number in numbers.tolist()])
    rows = np.flatnonzero(np.isin(signs, _chosen_signs(numbers, selection)))
    is_test = np.isin(tracks[rows], _test_tracks(numbers[rows], tracks[rows]))
    train, test = rows[~is_test], rows[is_test]
    if not len(train) or not len(test):
        raise InputError(f"{path}: too few tracks of the chosen signs; a class needs five or more")
    clean = resize(images[np.r_[train, test]], image_size)
    progress = tqdm(selection.conditions, "Simulating challenges", unit=" conditions")
    challenged = [resize(simulated(images, test, *each), image_size) for each in progress]
    if keep is not None:
        conditions = [clean[len(train) :], *challenged]
        _sign_sheet(conditions, signs[test], selection.class_names).save(keep)
    labels = np.repeat(np.arange(1, len(challenged) + 1), len(test))
    return Dataset(
        images=np.concatenate([clean, *challenged]),
        labels=np.r_[np.zeros(len(clean), np.int64), labels],
        class_names=selection.class_names,
        n_train=len(train),
        groups=np.r_[tracks[train], np.tile(tracks[test], 1 + len(challenged))],
    )


def load_photographs(path: Path) -> Photographs:
    """The photographs of an ``.npz`` file, or of torchvision's folder, downloaded if absent."""
    if not _is_file(path):
        return _from_folder(_obtain(path))
    with open_npz(path) as arrays:
        _check_arrays(arrays, path)
        signs, tracks = (read_labels(arrays, name, path) for name in ("sign_class", "track"))
        images = as_images(arrays["images"], f"{path}, images")
    if not len(images) == len(signs) == len(tracks):
        raise InputError(f"{path}: images, sign_class and track differ in length")
    return Photographs(images, signs, tracks)


def simulated(images: Images, rows: npt.NDArray[np.intp], challenge: str, level: int) -> Images:
    """Some of the images under a challenge, (len(rows), H, W, C) uint8."""
    # It takes scipy, which a check of the configuration does without.
    from benchmark.data.challenges.simulation import simulate

    return np.stack([simulate(images[row], challenge, level, seed=int(row)) for row in rows])


def sign(number: int) -> str:
    """The name of a GTSRB class.

    >>> sign(14), sign(42)
    ('stop', '42')
    """
    return SIGNS.get(number, str(number))


def _chosen_signs(numbers: Labels, selection: Selection) -> tuple[str, ...]:
    """The names of the chosen signs among those with these class numbers."""
    return selection.signs_among(tuple(map(sign, np.unique(numbers).tolist())), "GTSRB")


def _is_file(path: Path) -> bool:
    return path.is_file() or path.suffix == ".npz"


def _check_arrays(arrays: Arrays, path: Path) -> None:
    for name in ("images", "sign_class", "track"):
        if name not in arrays:
            raise InputError(f"{path}: no array {name!r}; needs images, sign_class and track")


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
    files = sorted(folder.glob("*/*_*.ppm"))
    if not files:
        raise InputError(
            f"{folder}: no <class>/<track>_<frame>.ppm; remove it to have it downloaded again"
        )
    images = read_images(files, SIDE, title="Reading GTSRB")
    signs = np.array([int(file.parent.name) for file in files])
    # Each class numbers its tracks from 0; the class makes them unique.
    tracks = signs * 1000 + np.array([int(file.name.split("_")[0]) for file in files])
    return Photographs(images, signs, tracks)


def _test_tracks(signs: Labels, tracks: Labels) -> list[int]:
    """A fifth of the tracks of each class, the same ones whenever they are drawn."""
    chosen: list[int] = []
    for number in np.unique(signs).tolist():
        drawn = shuffled(np.unique(tracks[signs == number]), number, 0)
        chosen += drawn[: len(drawn) // TEST_TRACKS].tolist()
    return chosen


def _sign_sheet(
    conditions: list[Images], signs: npt.NDArray[np.str_], class_names: tuple[str, ...]
) -> SignSheet:
    """The most colourful photograph of one sign, from (N, H, W, 3) images of each condition."""
    name = sign_sheet.SIGN if sign_sheet.SIGN in signs else str(signs[0])
    colour = np.where(signs == name, np.ptp(conditions[0], axis=3).mean(axis=(1, 2)), -1)
    images = np.stack([condition[colour.argmax()] for condition in conditions])
    sources = (sign_sheet.SIMULATED,) * len(conditions)
    return SignSheet(images, class_names, sources, np.ones(len(conditions), bool), name)
