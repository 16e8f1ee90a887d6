"""Two figures from the images alone: Fig. 8 of the paper, and how near the simulation comes.

>>> python -m benchmark simulation-check data/CURE-TSR gtsrb.npz results/likeness  # doctest: +SKIP

``signs`` takes the real files where they exist and the simulation elsewhere, and frames each
picture by its source. ``likeness`` has real files beside simulated ones of the same type and level.
"""

import hashlib
from argparse import ArgumentParser, Namespace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmark.data.challenges import cure_tsr_images, cure_tsr_index, file_names, gtsrb, sign_sheet
from benchmark.data.challenges.selection import Selection
from benchmark.data.images import resize
from benchmark.detector import Images
from benchmark.errors import InputError
from benchmark.figures import likeness, signs
from benchmark.figures.likeness import EACH, Condition
from benchmark.figures.style import look, save

MOST = 100
"""Images of a source per type and level for the numbers of ``likeness``."""


FIG8 = Selection(signs=(sign_sheet.SIGN,), on_problem="go")
"""What Fig. 8 shows: a stop sign under the paper's challenges."""


def fig8(
    root: Path,
    found: pd.DataFrame,
    photographs: Path,
    image_size: int = 28,
    selection: Selection = FIG8,
) -> sign_sheet.Plate:
    """One sign under the challenges, real where there are files, else simulated.

    Args:
        root: the folder of CURE-TSR, whole or in part.
        found: its index.
        photographs: of GTSRB, as ``benchmark.data.challenges.gtsrb`` reads them.
        image_size: height and width in pixels.
        selection: the challenges and the sign.
    """
    rows = cure_tsr_images.chosen(found, selection, split=_is_split(root))
    rows = rows[rows["test"]].reset_index(drop=True).assign(sign=sign_sheet.SIGN)
    with TemporaryDirectory() as kept:
        gtsrb.read(photographs, selection, image_size, Path(kept))
        simulated = sign_sheet.load(Path(kept))
    assert simulated is not None
    if rows.empty:
        return simulated
    real = sign_sheet.of_photographs(_images(root, rows, image_size), rows, selection.class_names)
    return sign_sheet.merged(real, simulated)


def pairs(
    root: Path, found: pd.DataFrame, photographs: Path, image_size: int = 28
) -> tuple[dict[Condition, Images], dict[Condition, Images]]:
    """Real and simulated images of all twelve types and five levels, at most ``MOST`` of each.

    Arguments as those of ``fig8``. A condition without a file has no real images.
    """
    selection = Selection.model_validate({"types": file_names.TYPES, "on_problem": "go"})
    rows = cure_tsr_images.chosen(found, selection, split=_is_split(root))
    images, classes, _ = gtsrb.load(photographs)
    picked = np.sort(np.random.default_rng(0).permutation(len(classes))[:MOST])
    # Pictures shown first: of different signs.
    picked = picked[np.argsort([_rank(classes[picked], k) for k in range(len(picked))])]
    real, simulated = {}, {}
    for label, condition in enumerate(selection.conditions, start=1):
        mine = _varied(rows[rows["label"] == label])[:MOST]
        if len(mine):
            real[condition] = _images(root, mine, image_size)
        simulated[condition] = resize(gtsrb.under(images, picked, *condition), image_size)
    return real, simulated


def _rank(classes: npt.NDArray[np.int64], k: int) -> int:
    """How many images before image k have its class."""
    return int((classes[:k] == classes[k]).sum())


def add_arguments(parser: ArgumentParser) -> None:
    """Those of the command ``simulation-check``."""
    parser.add_argument("root", type=Path, help="the folder of CURE-TSR, whole or in part")
    parser.add_argument("photographs", type=Path, help="GTSRB: an .npz file, or torchvision's root")
    parser.add_argument("results", type=Path, help="the folder for the figures")


def run(chosen: Namespace) -> int:
    """Draw both figures; the exit status."""
    root, photographs = chosen.root, chosen.photographs
    found = cure_tsr_index.obtain(root, chosen.results / "index.parquet")
    shown = fig8(root, found, photographs)
    real, simulated = pairs(root, found, photographs)
    with look():
        drawing = signs.sheet(shown, "CURE-TSR where it has the file")
        save(drawing, chosen.results, "signs", _source(shown.images))
        drawing = likeness.draw(real, simulated)
        made_of = _source(*real.values(), *simulated.values())
        save(drawing, chosen.results, "likeness", made_of)
    print(f"{chosen.results}/signs.png, {chosen.results}/likeness.png ({EACH} of each condition)")
    print(f"{chosen.results}/likeness.csv: means over up to {MOST} images of each")
    return 0


def _source(*images: Images) -> dict[str, str]:
    """What a figure was made of."""
    whole = hashlib.sha256()
    for some in images:
        whole.update(np.ascontiguousarray(some).data)
    return {"images_sha256": whole.hexdigest()}


def _is_split(root: Path) -> bool:
    return file_names.parts(root) != ("",)


def _varied(rows: pd.DataFrame) -> pd.DataFrame:
    """The first of each sign type, then the second, and so on."""
    turn = rows.groupby("sign").cumcount()
    return rows.assign(turn=turn).sort_values(["turn", "sign"], ignore_index=True)


def _images(root: Path, rows: pd.DataFrame, image_size: int) -> Images:
    images = []
    for names in rows[["part", "folder", "file"]].itertuples(index=False):
        file = root.joinpath(*filter(None, names))
        try:
            images.append(cure_tsr_images.picture(file, image_size))
        except OSError as error:
            raise InputError(f"{file}: cannot be read ({error}); mend or remove it") from error
    return np.stack(images)
