"""Verdicts on all known runs: ours and those that others report of the same code and settings.

The rule and the columns are those of ``verdicts.numbers``; the verdicts there are from our own
scores alone. Ours count where they have the published epochs and settings. What others report are
numbers without scores: a run of theirs counts where it states every class, or, for averages, as one
average beside those of our whole runs. They have test outliers of their own, ours share them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from benchmark import published
from benchmark.published import AVERAGE, Published
from benchmark.statistics import replicates
from benchmark.statistics.intervals import Array
from benchmark.verdicts.numbers import Verdict, decided
from benchmark.verdicts.reproduced import Quantity, Reproduced, by_run


def judge(
    reproduced: Reproduced, ours: Sequence[Verdict], reported: Sequence[Published]
) -> list[Verdict]:
    """A verdict for every published number of which others report runs.

    Args:
        reproduced: our numbers.
        ours: the verdicts on our own runs.
        reported: what others report of theirs.
    """
    return list(_judge(reproduced, ours, [row for row in reported if not row.settings]))


def _judge(
    reproduced: Reproduced, ours: Sequence[Verdict], reported: Sequence[Published]
) -> Iterator[Verdict]:
    for own in ours:
        number = own.published
        if not own.dataset or number.metric != "AUROC" or number.outlier_ratio is not None:
            continue
        series = (number.data_source, number.run_method, number.run_component, number.metric)
        others = {
            run: {inlier: row.value for inlier, row in numbers.items()}
            for run, numbers in published.by_run(reported, *series).items()
            if number.inlier in numbers
        }
        if not others:
            continue
        counts = own.outcome not in ("not run", "short run", "other settings")
        what = Quantity(own.dataset, number.run_method, number.run_component)
        classes = list(reproduced.classes(own.dataset))
        values = _together(
            by_run(reproduced.values(what)) if counts else np.empty((0, len(classes))),
            list(others.values()),
            number.inlier,
            classes,
        )
        inlier = None if number.inlier == AVERAGE else number.inlier
        variance = reproduced.test_variance(what, inlier) if counts else 0.0
        verdict = Verdict(
            number,
            own.dataset,
            "inconclusive",
            values=int(np.isfinite(values).sum()),
            runs=own.runs if counts else 0,
            seeds=own.seeds if counts else (),
            epochs=own.epochs if counts else "",
            reported_runs=len(others),
            places=", ".join(dict.fromkeys(place for place, _ in others)),
        )
        decision = decided(reproduced, verdict, replicates.of_runs(values), variance)
        yield replace(decision, constant_classes=own.constant_classes if counts else "")


def _together(
    ours: Array, others: Sequence[dict[int, float]], inlier: int, classes: Sequence[int]
) -> Array:
    """Values of all runs, (runs, classes): one class, all of them, or their average alone."""
    if inlier != AVERAGE:
        own = ours[:, [classes.index(inlier)]]
        return np.concatenate([own, [[each[inlier]] for each in others]])
    if all(each.keys() >= set(classes) for each in others):
        return np.concatenate([ours, [[each[k] for k in classes] for each in others]])
    # The mean over classes is NaN where a run lacks one.
    averages = np.concatenate([ours.mean(axis=1), [each[AVERAGE] for each in others]])
    return averages[np.isfinite(averages), np.newaxis]
