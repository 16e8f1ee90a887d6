"""Average AUROC against the weight of the gradient loss, beta = n alpha (the paper's A.3)."""

from pathlib import Path

import pandas as pd

from benchmark import captions, published
from benchmark.config import Config
from benchmark.figures.style import Drawing, band, nothing, panels
from benchmark.metrics import Metrics
from benchmark.published import AVERAGE, data_source


def draw(config: Config, numbers: Metrics, root: Path, dataset: str) -> Drawing:
    """A line per method with a gradient loss, and OCGAN's published average dotted."""
    frame = _sweep(config, numbers, dataset)
    if frame.empty:
        return nothing("No beta sweep: no complete run of a method with a gradient loss.")
    figure, (axis,) = panels(1, 3.0)
    for method, line in frame.groupby("method", sort=False):
        label = captions.title_and_classes(config, numbers.runs, dataset, str(method))
        (drawn,) = axis.plot(line["n"], line["mean"], label=label)
        band(axis, drawn, line["mean"] - line["spread"], line["mean"] + line["spread"])
    weight = config.beta / config.alpha
    axis.axvline(weight, color="0.6", linewidth=0.8, zorder=0)
    axis.annotate(
        f"β = {config.beta:g}",
        (weight, 1),
        (0, 2),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="center",
        va="bottom",
        color="0.35",
        fontsize=8,
    )
    values = published.find(
        published.load(), data_source(config, dataset), "ocgan", "score", "AUROC"
    )
    # The paper holds GradCon beside OCGAN; another line that is over some classes says so itself.
    compared = frame[frame["method"] == "cae_grad"]
    lacking = bool((frame if compared.empty else compared)["lacking"].any())
    ocgan = published.comparable(values, config, dataset, lacking=lacking).get(AVERAGE)
    dotted = ""
    if ocgan:
        label = f"OCGAN, published {ocgan.value:.3f}{'°' * ocgan.recalled}"
        axis.axhline(ocgan.value, color="black", linestyle=":", label=label)
        doubt = " (° could not be checked in a source)" * ocgan.recalled
        dotted = f"Dotted: OCGAN as the paper prints it{doubt}. "
    axis.set_xlabel(f"n, where β = n α and α = {config.alpha:g}")
    axis.set_ylabel("average AUROC")
    figure.legend(loc="outside upper center", ncols=4)
    several = captions.several(numbers.runs, dataset, "seed")
    caption = (
        f"Average AUROC over the inlier classes against β = n α, the weight of the gradient loss "
        f"in the anomaly score, {captions.dataset(config, dataset)}.\n"
        f"{'Bands: standard deviation over seeds. ' if several else ''}"
        f"{dotted}"
        f"{'' if frame['complete'].all() else 'Some runs are missing. '}"
        f"{captions.conditions(config, numbers.runs, dataset, methods=set(frame['method']))}"
    )
    return Drawing(figure, caption, frame)


def _sweep(config: Config, numbers: Metrics, dataset: str) -> pd.DataFrame:
    averages = numbers.averages
    swept = averages[
        (averages["dataset"] == dataset)
        & (averages["model"] == "best")
        & (averages["inlier"] == AVERAGE)
        & averages["beta_multiple"].notna()
    ]
    swept = swept.assign(
        n=swept["beta_multiple"],
        beta=(swept["beta_multiple"] * config.alpha).round(9),
        complete=swept["found"] == swept["expected"],
    )
    columns = ["dataset", "method", "n", "beta", "mean", "spread", "complete", "lacking"]
    return swept[columns].sort_values(["method", "n"])
