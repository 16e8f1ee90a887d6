"""AUROC against the level of each challenge, reconstruction error and gradient loss (A.4)."""

from pathlib import Path

from matplotlib.artist import Artist

from benchmark import captions, scores, verdicts
from benchmark.config import Config
from benchmark.figures.style import Drawing, band, nothing, panels
from benchmark.metrics import Metrics, challenge_study
from benchmark.metrics.challenge_study import PAIRS, of_loss
from benchmark.utils.text import shortened, spaced


def draw(config: Config, numbers: Metrics, root: Path, dataset: str) -> Drawing:
    """A panel per challenge, a line for each loss of the first pair that was run."""
    whole = challenge_study.load(config, root, dataset)
    frame = whole[whole["against_method"] == ""]
    there = set(zip(frame["method"], frame["component"], strict=True))
    pair = next((pair for pair in PAIRS if set(pair) <= there), None)
    if pair is None:
        return nothing("No challenge study: no complete runs of the methods that it compares.")
    losses = pair[::-1]
    challenges = list(dict.fromkeys(frame["challenge"]))
    figure, axes = panels(len(challenges), 1.9, columns=4)
    notes = captions.uneven_conditions(config, dataset)
    uneven = {name: f"* Level {level}: {text}. " for (name, level), text in notes.items()}
    handles: list[Artist] = []
    for axis, challenge in zip(axes, challenges, strict=True):
        handles = []
        for loss, marker in zip(losses, "so", strict=True):
            of = frame[(frame["challenge"] == challenge) & of_loss(frame, loss)]
            line = of.sort_values("level")
            (drawn,) = axis.plot(line["level"], line["value"], marker=marker)
            band(axis, drawn, line["low"], line["high"])
            handles.append(drawn)
        axis.axhline(0.5, color="0.6", linewidth=0.8, zorder=0)
        axis.set_title(f"{spaced(challenge)}{' *' * (challenge in uneven)}")
        axis.set_xticks(sorted(frame["level"].unique()))
        axis.set_ylim(min(0.45, float(frame["low"].min()) - 0.02), 1.02)
    for axis in axes[-4:]:
        axis.set_xlabel("level")
    for axis in axes[::4]:
        axis.set_ylabel("AUROC")
    labels = [
        f"{scores.component(loss.component)}, {shortened(config.methods[loss.method].title, 28)}"
        for loss in losses
    ]
    figure.legend(handles, labels, loc="outside upper center", ncols=2)
    shown = whole[whole["method"].isin({loss.method for loss in losses})]
    claim = captions.challenge_claim(config, dataset, verdicts.load(config, root).challenge_claim)
    caption = (
        f"AUROC of clean signs against signs under each challenge by its level, "
        f"{captions.dataset(config, dataset)}.\n"
        f"{''.join(text for name, text in uneven.items() if name in challenges)}"
        f"Bands: the {captions.intervals(frame)} {claim} "
        f"{captions.conditions(config, numbers.runs, dataset, ratio=False)}"
    )
    return Drawing(figure, caption, shown)
