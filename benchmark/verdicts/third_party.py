"""What our runs and those that others report say together of a published number.

The verdicts are from our scores alone; this is told beside them and counts in none.
"""

from collections.abc import Sequence

import numpy as np

from benchmark import published as papers
from benchmark import statistics
from benchmark.metrics.conditions import seeds
from benchmark.published import AVERAGE, Published, data_source
from benchmark.utils.text import counted
from benchmark.verdicts.reproduced import Evidence, Quantity, columns


def notes(
    known: Evidence, dataset: str, published: Sequence[Published], reported: Sequence[Published]
) -> list[str]:
    """A sentence for each method of which others report runs and ours are the paper's.

    Ours have to have all inlier classes, the paper's epochs and its settings; reported runs all
    classes. The level of test samples is added to the spread between runs, which may share them.
    """
    return [
        text
        for method in known.config.methods
        if (text := _note(known, dataset, method, published, reported))
    ]


def _note(
    known: Evidence,
    dataset: str,
    method: str,
    published: Sequence[Published],
    reported: Sequence[Published],
) -> str:
    which = (data_source(known.config, dataset), method, "score", "AUROC")
    printed = papers.find(published, *which).get(AVERAGE)
    theirs = {
        which_run: run
        for which_run, run in papers.by_run(reported, *which).items()
        if run.keys() >= known.classes(dataset).keys()
    }
    if printed is None or not theirs:
        return ""
    what = Quantity(dataset, method)
    barred = known.lacks(what) or known.short(dataset, method) or known.otherwise(dataset, method)
    if barred or known.constant(what):
        return ""
    groups = [
        np.append(ours, [run[inlier].value for run in theirs.values()])
        for inlier, ours in zip(known.classes(dataset), columns(known.values(what)), strict=True)
    ]
    found = statistics.sample(groups)
    variance = known.test_variance(what)
    low, high = statistics.prediction_interval(found, variance)
    p = statistics.prediction_p(found, printed.value, variance)
    places = ", ".join(dict.fromkeys(place for place, _ in theirs))
    return (
        f"Beside the verdicts, which are from our scores alone: {printed.method} on "
        f"{printed.dataset} by our "
        f"{counted(len(seeds(known.runs(dataset, method))), 'seed')} and "
        f"{counted(len(theirs), 'run')} that others report ({places}) has an average AUROC of "
        f"{found.mean:.3f}; 95 % of new runs lie in {low:.3f} to {high:.3f}, and the published "
        f"{printed.value:.3f} lies {'inside' if low <= printed.value <= high else 'outside'} "
        f"(p = {p:.2g})."
    )
