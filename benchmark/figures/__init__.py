"""The figures, each as PNG, SVG and the CSV of its numbers."""

from pathlib import Path

from benchmark import metrics
from benchmark import outputs as layout
from benchmark.config import Config
from benchmark.figures import beta, challenges, epochs, histograms, reconstructions, signs
from benchmark.figures.style import look, save, save_numbers

outputs = layout.figures

KINDS = {
    "challenges": challenges.draw,
    "signs": signs.draw,
    "histograms": histograms.draw,
    "beta": beta.draw,
    "reconstructions": reconstructions.draw,
    "epochs": epochs.draw,
}


def write(config: Config, root: Path, *, pictures: bool = True) -> None:
    """Draw all figures into ``root/figures`` from what ``benchmark.metrics`` wrote.

    Without ``pictures`` only their numbers are kept.
    """
    found = metrics.load(config, root)
    for name in layout.figure_names(config):
        kind, _, dataset = name.partition("-")
        with look():
            drawing = KINDS[kind](config, found, root, dataset)
            if pictures:
                save(drawing, root / "figures", name, found.provenance)
            else:
                save_numbers(drawing, root / "figures", name)
