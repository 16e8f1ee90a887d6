"""The figures, each as PNG, SVG and the CSV of its numbers."""

import os
from dataclasses import replace
from pathlib import Path

# A notebook's backend, which its commands inherit, need not exist here.
os.environ["MPLBACKEND"] = "agg"

from benchmark import captions, layout, metrics
from benchmark.config import Config
from benchmark.figures import (
    beta,
    challenges,
    epochs,
    explanations,
    forest,
    histograms,
    reconstructions,
    signs,
)
from benchmark.figures.style import Drawing, save, save_numbers, style_sheet
from benchmark.metrics import Metrics
from benchmark.utils.text import shortened

KINDS = {
    "forest": forest.draw,
    "explanations": explanations.draw,
    "challenges": challenges.draw,
    "signs": signs.draw,
    "histograms": histograms.draw,
    "beta": beta.draw,
    "reconstructions": reconstructions.draw,
    "epochs": epochs.draw,
}


def draw(config: Config, numbers: Metrics, root: Path, name: str) -> Drawing:
    """One figure, ``<kind>-<dataset>``, that names its data set in the picture and the numbers.

    In the picture it stands above the entries of the legend where there is one, else on top.
    """
    kind, _, dataset = name.partition("-")
    drawing = KINDS[kind](config, numbers, root, dataset)
    title = shortened(captions.dataset(config, dataset), 100)
    if drawing.figure.legends:
        drawing.figure.legends[0].set_title(title)
    else:
        drawing.figure.suptitle(title)
    return replace(drawing, frame=captions.with_images(config, drawing.frame, dataset))


def write(config: Config, root: Path, *, pictures: bool = True, notes: bool = False) -> None:
    """Draw the figures into ``root/figures`` from what earlier stages wrote.

    Without ``pictures`` only their numbers are kept. A figure that would be empty, as runs are
    missing, is not written; with ``notes`` a picture says why, for Snakemake, which expects every
    file that the configuration can have.
    """
    numbers = metrics.load(config, root)
    for name in layout.figure_names(config):
        with style_sheet():
            drawing = draw(config, numbers, root, name)
            if drawing.frame.empty and not notes:
                for path in (root / "figures").glob(f"{name}.*"):
                    path.unlink()
            elif pictures:
                save(drawing, root / "figures", name, numbers.provenance)
            else:
                save_numbers(drawing, root / "figures", name)
