"""Verdicts on all known runs: ours and those that others report of the same code and settings.

The rule and the columns are those of ``verdicts.numbers``; the verdicts there are from our own
scores alone. Ours count where they have the published epochs and settings. What others report are
numbers without scores: a run of theirs counts where it states every class, or, for averages, as one
average beside those of our whole runs. They have test outliers of their own, ours share them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from benchmark import published
from benchmark.published import AVERAGE, Published
from benchmark.statistics import replicates
from benchmark.statistics.intervals import Array
from benchmark.verdicts.numbers import Verdict, decided
from benchmark.verdicts.reproduced import Quantity, Reproduced, by_run

ROUNDED = 0.001
"""How far a stated average may be from that of the stated classes, by rounding."""


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
        by_class = _by_class(reproduced, what) if counts else {}
        values = _together(by_class, list(others.values()), number.inlier)
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


def _by_class(reproduced: Reproduced, what: Quantity) -> dict[int, Array]:
    """The values of our runs by inlier class, (runs,) each, NaN where a run has none."""
    values = by_run(reproduced.values(what))
    return dict(zip(reproduced.classes(what.dataset), values.T, strict=True))


def _together(
    ours: Mapping[int, Array], others: Sequence[Mapping[int, float]], inlier: int
) -> Array:
    """Values of all runs, (runs, classes): of one class, of all of them, or of averages alone."""
    classes = [inlier] if inlier != AVERAGE else _classes_of_average(others)
    if classes and (not ours or inlier != AVERAGE or set(classes) == ours.keys()):
        theirs = np.array([[each[k] for k in classes] for each in others])
        own = [np.stack([ours[k] for k in classes], axis=1)] if ours else []
        return np.concatenate([*own, theirs])
    # The average is NaN where a run of ours lacks a class.
    averages = [np.mean(list(ours.values()), axis=0)] if ours else []
    both = np.concatenate([*averages, [each[AVERAGE] for each in others]])
    return both[np.isfinite(both), np.newaxis]


def _classes_of_average(others: Sequence[Mapping[int, float]]) -> list[int]:
    """The classes that every reported run has and that give its average; none if they do not."""
    classes = sorted(set.intersection(*(set(each) - {AVERAGE} for each in others)))
    if not classes:
        return []
    means = [np.mean([each[k] for k in classes]) for each in others]
    averages = [each[AVERAGE] for each in others]
    return classes if np.allclose(means, averages, atol=ROUNDED) else []
