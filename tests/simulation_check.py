"""Compare the simulated challenges with real files of CURE-TSR, in two figures of images alone.

    make simulation-check CURE_TSR=data/CURE-TSR GTSRB=gtsrb.npz

``signs`` is Fig. 8 of the paper: real files where they exist and the simulation elsewhere, each
picture framed by its source. ``simulation`` shows real files beside simulated challenges of the
same type and level, and measures both.
"""

import hashlib
import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.data.challenges import cure_tsr, cure_tsr_index, file_names, gtsrb, sign_sheet
from benchmark.data.challenges.selection import Selection
from benchmark.data.images import read_images, resize
from benchmark.detector import Images
from benchmark.errors import InputError
from benchmark.figures import signs
from benchmark.figures.style import WIDTH, Drawing, bare, save, style_sheet
from benchmark.utils.text import spaced

MEASURED, SHOWN = 100, 4
"""How many images of a source, challenge type and level are at most measured, and shown."""

ByCondition = Mapping[tuple[str, int], Images]
"""Images, (N, H, W, 3) uint8, of each challenge type and level."""

FIG8 = Selection(signs=(sign_sheet.SIGN,), on_problem="go")
"""What Fig. 8 shows: a stop sign under the paper's challenges."""


def fig8(
    root: Path,
    index: pd.DataFrame,
    photographs: Path,
    image_size: int = 28,
    selection: Selection = FIG8,
) -> sign_sheet.SignSheet:
    """One sign under the challenges: real where there are files, else simulated.

    Args:
        root: the folder of CURE-TSR, whole or in part.
        index: its index.
        photographs: GTSRB, as ``benchmark.data.challenges.gtsrb`` reads it.
        image_size: height and width in pixels.
        selection: the challenges and the sign.
    """
    rows = cure_tsr.select(index, selection, split=_is_split(root))
    rows = rows[rows["test"]].reset_index(drop=True).assign(sign=sign_sheet.SIGN)
    with TemporaryDirectory() as folder:
        gtsrb.read(photographs, image_size, selection, Path(folder))
        simulated = sign_sheet.load(Path(folder))
    assert simulated is not None
    if rows.empty:
        return simulated
    real = sign_sheet.from_files(_read(root, rows, image_size), rows, selection.class_names)
    return completed(real, simulated)


def completed(real: sign_sheet.SignSheet, simulated: sign_sheet.SignSheet) -> sign_sheet.SignSheet:
    """The real pictures, and simulated ones for the conditions without."""
    absent = np.array(real.sources) == sign_sheet.ABSENT
    return sign_sheet.SignSheet(
        np.where(absent[:, np.newaxis, np.newaxis, np.newaxis], simulated.images, real.images),
        real.names,
        tuple(np.where(absent, simulated.sources, real.sources).tolist()),
        np.where(absent, simulated.same, real.same),
        real.sign,
    )


def real_and_simulated(
    root: Path, index: pd.DataFrame, photographs: Path, image_size: int = 28
) -> tuple[ByCondition, ByCondition]:
    """Real and simulated images of all twelve types and five levels, at most ``MEASURED`` of each.

    Arguments as those of ``fig8``. A condition without a file has no real images.
    """
    selection = Selection(types=file_names.TYPES, on_problem="go")
    rows = cure_tsr.select(index, selection, split=_is_split(root))
    images, classes, _ = gtsrb.load_photographs(photographs)
    sample = np.sort(np.random.default_rng(0).permutation(len(classes))[:MEASURED])
    sample = sample[_varied(classes[sample])]
    real, simulated = {}, {}
    for label, condition in enumerate(selection.conditions, start=1):
        files = rows[rows["label"] == label]
        files = files.iloc[_varied(files["sign"])].head(MEASURED)
        if len(files):
            real[condition] = _read(root, files, image_size)
        simulated[condition] = resize(gtsrb.simulated(images, sample, *condition), image_size)
    return real, simulated


def draw(real: ByCondition, simulated: ByCondition) -> Drawing:
    """A block per challenge type, a row per level: real files on the left, simulated on the right.

    Conditions without files are absent from ``real`` and have an empty place in the figure.
    """
    types = list(dict.fromkeys(name for name, _ in simulated))
    levels = sorted({level for _, level in simulated})
    across = 2
    down = -(-len(types) // across)
    figure = Figure(figsize=(WIDTH, down * len(levels) * 0.43 + 0.7))
    figure.suptitle(f"CURE-TSR beside {gtsrb.NAME}")
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for axis, challenge in zip(axes, types, strict=False):
        pictures = [
            [side.get((challenge, level)) for side in (real, simulated)] for level in levels
        ]
        _draw_block(axis, pictures, levels)
        axis.set_title(spaced(challenge))
    for spare in axes[len(types) :]:
        spare.remove()
    lacking = len(simulated.keys() - real.keys())
    caption = (
        f"Real files of CURE-TSR (left of each block) beside {gtsrb.NAME} (right), the levels 1 to "
        "5 from above, resized as the models see them. The signs differ."
    )
    if lacking:
        caption += (
            f" {lacking} of the {len(simulated)} conditions have no real counterpart in the files "
            "at hand; how near their simulation comes is not known."
        )
    return Drawing(figure, caption, _measured(real, simulated))


def _measured(real: ByCondition, simulated: ByCondition) -> pd.DataFrame:
    """The means over the images of each condition and source; values in 0..255.

    Contrast is the standard deviation over an image's values, saturation a pixel's largest less its
    smallest channel, sharpness the difference of horizontal neighbours.
    """
    rows = []
    for condition in simulated:
        for source, side in (("CURE-TSR", real), (gtsrb.NAME, simulated)):
            if condition in side:
                values = side[condition].astype(np.float64)
                contrast = values.std(axis=(1, 2, 3)).mean()
                saturation = np.ptp(values, axis=3).mean()
                sharpness = np.abs(np.diff(values, axis=2)).mean()
                means = values.mean(), contrast, saturation, sharpness
                rows.append((*condition, source, len(values), *means))
    measures = ("brightness", "contrast", "saturation", "sharpness")
    return pd.DataFrame(rows, columns=["challenge", "level", "images", "count", *measures])


def _draw_block(axis: Axes, rows: list[list[Images | None]], levels: list[int]) -> None:
    """The real and simulated pictures of one challenge type at each level."""
    block = _block(rows)
    bare(axis)
    axis.imshow(block)
    height = block.shape[0] / len(levels)
    middles = [height * (row + 0.5) for row in range(len(levels))]
    axis.set_yticks(middles, [str(level) for level in levels])
    axis.tick_params(length=0)
    for (real, _), middle in zip(rows, middles, strict=True):
        if real is None:
            axis.text(
                block.shape[1] * 0.22, middle, "no real file",
                ha="center", va="center", fontsize=6, color="0.5",
            )  # fmt: skip
    labels = {sign_sheet.REAL: "CURE-TSR", sign_sheet.SIMULATED: "simulated on GTSRB"}
    for x, (source, label) in zip((0.25, 0.75), labels.items(), strict=True):
        axis.text(
            x, -0.02, label, transform=axis.transAxes, ha="center", va="top",
            fontsize=7, color=signs.COLOURS[source],
        )  # fmt: skip


def _block(rows: list[list[Images | None]]) -> Images:
    """Rows of real and simulated pictures on white; grey where there are no real ones."""
    size = next(side.shape[1] for row in rows for side in row if side is not None)
    step, aisle = size + 2, size // 2
    half = SHOWN * step
    block = np.full((len(rows) * step, 2 * half + aisle, 3), 255, np.uint8)
    for row, sides in enumerate(rows):
        band = block[row * step : row * step + size]
        for left, side in zip((0, half + aisle), sides, strict=True):
            if side is None:
                band[:, left : left + half - 2] = 235
                continue
            for k, image in enumerate(side[:SHOWN]):
                band[:, left + k * step :][:, :size] = image
    return block


def _varied(signs: Iterable[object]) -> npt.NDArray[np.intp]:
    """An order that begins with one image of each sign, then a second of each, and so on."""
    series = pd.Series(list(signs))
    return np.argsort(series.groupby(series).cumcount().to_numpy(), kind="stable")


def _is_split(root: Path) -> bool:
    return file_names.parts(root) != ("",)


def _read(root: Path, rows: pd.DataFrame, image_size: int) -> Images:
    names = rows[["part", "folder", "file"]].itertuples(index=False)
    return read_images([root.joinpath(*filter(None, place)) for place in names], image_size)


def _checksum(images: Iterable[Images]) -> dict[str, str]:
    """What a figure was made of, for its metadata."""
    sha256 = hashlib.sha256()
    for array in images:
        sha256.update(np.ascontiguousarray(array).data)
    return {"images_sha256": sha256.hexdigest()}


def main(arguments: list[str] | None = None) -> int:
    """Draw both figures; the exit status."""
    parser = ArgumentParser(prog="python -m tests.simulation_check", description=__doc__)
    parser.add_argument("root", type=Path, help="the folder of CURE-TSR, whole or in part")
    parser.add_argument("photographs", type=Path, help="GTSRB: an .npz file, or torchvision's root")
    parser.add_argument("results", type=Path, help="the folder for the figures")
    chosen = parser.parse_args(arguments)
    root, photographs, results = chosen.root, chosen.photographs, chosen.results
    try:
        index = cure_tsr_index.obtain(root, results / "index.parquet")
        sheet = fig8(root, index, photographs)
        real, simulated = real_and_simulated(root, index, photographs)
    except (InputError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    images = [*real.values(), *simulated.values()]
    with style_sheet():
        drawing = signs.draw_sheet(sheet, "CURE-TSR where it has the file")
        save(drawing, results, "signs", _checksum([sheet.images]))
        save(draw(real, simulated), results, "simulation", _checksum(images))
    print(f"{results}/signs.png, {results}/simulation.png ({SHOWN} of each condition)")
    print(f"{results}/simulation.csv: means over up to {MEASURED} images of each")
    return 0


if __name__ == "__main__":
    sys.exit(main())
