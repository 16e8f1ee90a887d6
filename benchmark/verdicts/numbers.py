"""A verdict for every published number, by the rule of ``docs/verdicts.md``.

reproduced
    our mean is shown to be less than ``MARGINS`` away from the printed number, which is one draw of
    its authors' runs; ``bound`` is the distance that is shown
higher, lower
    ours is so: the published number lies outside the 95 % prediction interval of a new run, and
    more than ``LEAST`` away
compatible
    it lies inside, but the runs are too noisy to confirm it, and more of them would be
inconclusive
    neither, but so many further seeds would decide if mean and spread stayed. Where no class has
    two runs, or every image has the same score, the verdict is always inconclusive
short run
    fewer epochs than published (``conditions.published_epochs``); the parameter count does not
    depend on them
other settings
    hyperparameters that differ from the published ones
not run
    no number, or an average that lacks a class
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from benchmark.config.methods import is_deterministic
from benchmark.layout import MAIN_RATIO
from benchmark.metrics.conditions import comparable_epochs, seeds
from benchmark.published import AVERAGE, GAIN, Published, Series, equal_series, series
from benchmark.runs.command import command
from benchmark.statistics import decisions, replicates
from benchmark.statistics.intervals import Array
from benchmark.statistics.replicates import Sample
from benchmark.utils.text import first, listed, span
from benchmark.verdicts.reproduced import POOLED_METRICS, Quantity, Reproduced, by_run

Outcome = Literal[
    "reproduced",
    "higher",
    "lower",
    "compatible",
    "inconclusive",
    "short run",
    "other settings",
    "not run",
]

DECIDED: tuple[Outcome, ...] = ("reproduced", "higher", "lower")
"""Verdicts that no further run is needed for."""

OPEN: tuple[Outcome, ...] = (
    *("compatible", "inconclusive", "short run", "other settings", "not run"),
)
"""The others; what comes first says more."""

Reason = Literal["", "no chance", "one run per class", "too noisy", "further seeds"]
"""What a verdict rests on, or why there is none: the test samples alone, as the method gives the
same in every run; nothing is known of the spread; no feasible number of seeds, or some, would
decide."""

MARGINS = {"AUROC": decisions.MARGIN, "F1": decisions.MARGIN, "parameters": 0.01, "overlap": 3.0}
"""Distance up to which numbers count as equivalent: of AUROC and F1, of parameter counts as a share
of the published one, of overlap in percentage points."""

LEAST = {"AUROC": decisions.LEAST, "F1": decisions.LEAST, "overlap": 1.0}
"""Difference under which none is called higher or lower."""

OVERLAP = "overlap difference, percentage points"
LOSSES = (("cae", "reconstruction"), ("vae", "latent"))
"""What the gradient loss of CAE + Grad is compared with in the paper's Fig. 5 and 6."""

_METRICS = {OVERLAP: "overlap", GAIN: "AUROC"}
"""Whose margins a difference has."""

_OUTCOMES: dict[decisions.Decision, Outcome] = {
    "same": "reproduced",
    "above": "higher",
    "below": "lower",
    "noisy": "compatible",
    "open": "inconclusive",
}


@dataclass(frozen=True)
class Verdict:
    """A published number and its verdict.

    Attributes:
        published: the number.
        dataset: key of our data set, empty when the configuration has none of that source.
        outcome: the verdict.
        missing: why there is no number of ours, in a few words; else empty.
        reason: what the verdict rests on, or why there is none; else empty.
        short_epochs: epochs of the runs, if one has fewer than published; else empty.
        other_settings: hyperparameters that differ from the published ones.
        constant_classes: names of the classes of which a run gives every image the same score.
        spread_classes: how many of the ``classes`` have the two runs that tell their spread.
        spread_known: whether that is enough to know the spread over runs.
        classes: inlier classes of the number.
        values: numbers in the mean, one per run, or per seed and fold for pooled metrics.
        runs_without_number: complete runs that are not among them.
        mean: ours, over runs, then classes; NaN without.
        low: lower end of the prediction interval of a new run; it and all of the following are NaN
            without two runs of a class, or where the spread of runs is not known.
        high: its upper end.
        mean_low: lower end of the 95 % interval of the mean over all runs and test outliers.
        mean_high: its upper end.
        margin: up to which distance numbers count as equivalent.
        bound: the distance from the published number under which our mean is shown to be.
        p: of the published number as a new run of ours, two-sided.
        equivalence_p: of the two one-sided tests within the margin.
        whole: runs that have every class, where the number is of several; else 0.
        seed_ratio: variance between their averages over that of independent classes; NaN unless
            there are two.
        further: seeds that would decide it if mean and spread stayed; None if none is known.
        runs: complete runs behind it.
        seeds: their seeds.
        epochs: their epochs, from least to most.
        reported_runs: how many runs of others are behind it as well.
        places: where they are reported.
        equals: place and method of another published series that has the same number for every
            class; else empty.
        command: makes the runs and everything after them.
    """

    published: Published
    dataset: str
    outcome: Outcome
    missing: str = ""
    reason: Reason = ""
    short_epochs: str = ""
    other_settings: str = ""
    constant_classes: str = ""
    spread_classes: int = 0
    spread_known: bool = False
    classes: int = 0
    values: int = 0
    runs_without_number: int = 0
    mean: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    mean_low: float = float("nan")
    mean_high: float = float("nan")
    margin: float = float("nan")
    bound: float = float("nan")
    p: float = float("nan")
    equivalence_p: float = float("nan")
    whole: int = 0
    seed_ratio: float = float("nan")
    further: int | None = None
    runs: int = 0
    seeds: tuple[int, ...] = ()
    epochs: str = ""
    reported_runs: int = 0
    places: str = ""
    equals: str = ""
    command: str = ""


PUBLISHED = {
    **{"place": "place", "published_dataset": "dataset", "published_method": "method"},
    **{name: name for name in ("loss", "inlier_class", "metric")},
    "published": "value",
    **{name: name for name in ("confidence", "copied", "copied_from", "source")},
    **{name: name for name in ("seen_in", "checked_value", "checked_in", "recalled")},
    **{"method": "run_method", "component": "run_component"},
    **{name: name for name in ("inlier", "outlier_ratio")},
}
"""Columns of the published number in the frame, and the fields of ``Published`` that they hold."""


def judge(reproduced: Reproduced, published: Sequence[Published]) -> list[Verdict]:
    """A verdict for every published number, once for each of our data sets of its source."""
    twins = equal_series(published)
    return [
        replace(_judge(reproduced, number, dataset), equals=_series_name(twins, number))
        for number in published
        for dataset in reproduced.datasets(number.data_source) or [""]
    ]


def _series_name(twins: Mapping[Series, Series], number: Published) -> str:
    place, method, loss, _ = twins.get(series(number), ("", "", "", ""))
    return ", ".join(part for part in (place, method, loss) if part not in ("", "score"))


def frame(verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """A row per verdict: the columns ``PUBLISHED``, the fields of ``Verdict``, and ``p_holm``.

    ``p_holm`` is Holm's correction of ``p`` over all of them.
    """
    own = [field.name for field in fields(Verdict) if field.name != "published"]
    table = pd.DataFrame(
        [
            {column: getattr(verdict.published, name) for column, name in PUBLISHED.items()}
            | {name: getattr(verdict, name) for name in own}
            | {"seeds": listed(verdict.seeds), "seed_count": len(verdict.seeds)}
            for verdict in verdicts
        ],
        columns=[*PUBLISHED, *own, "seed_count"],
    )
    adjusted = pd.Series(np.nan, table.index)
    tested = table["p"].notna()
    adjusted[tested] = decisions.holm(table.loc[tested, "p"].tolist())
    return table.assign(p_holm=adjusted)


def outcomes(judged: pd.DataFrame) -> "pd.Series[str]":
    """The verdict on each number that the paper prints, once.

    Of several data sets of ours that are copies of the paper's it is the one that says most. What
    the authors stated earlier (``GAIN``) is no number of the paper.

    Args:
        judged: rows of ``frame`` on our own runs.
    """
    printed = judged[judged["metric"] != GAIN]
    key = ["place", "published_dataset", "published_method", "loss", "inlier_class", "metric"]
    says = printed["outcome"].map([*DECIDED, *OPEN].index)
    ordered = printed.assign(says=says).sort_values("says", kind="stable")
    return ordered.drop_duplicates([*key, "outlier_ratio"])["outcome"]


def _judge(reproduced: Reproduced, number: Published, dataset: str) -> Verdict:
    verdict = Verdict(number, dataset, "not run")
    quantities = _quantities(number, dataset)
    methods = list(dict.fromkeys(what.method for what in quantities))
    if not dataset or not reproduced.config.methods.keys() >= set(methods):
        return replace(verdict, missing="not configured")
    inlier = None if number.inlier == AVERAGE else number.inlier
    of_methods = [reproduced.runs(dataset, name, inlier) for name in methods]
    runs = pd.concat(of_methods) if len(of_methods) > 1 else of_methods[0]
    inliers = list(reproduced.classes(dataset)) if inlier is None else [inlier]
    verdict = replace(
        verdict,
        runs=len(runs),
        seeds=seeds(runs),
        epochs=span(comparable_epochs(runs)),
        command=command(reproduced.config, dataset, methods, inliers),
    )
    missing = first(reproduced.missing(what, inlier) for what in quantities)
    if missing:
        return replace(verdict, missing=missing)
    differences = _differences(reproduced, quantities, methods, inlier)
    if number.settings:
        differences |= {"other_settings": number.settings}
    if number.metric == "parameters":
        cost = reproduced.metrics.cost_by_method[dataset, methods[0]]
        verdict = _parameters(verdict, cost)
        return _not_comparable(replace(verdict, **differences | {"short_epochs": ""}))
    values, test_variance = _values(reproduced, quantities, inlier)
    if np.isnan(values).all(axis=0).any():
        return replace(verdict, missing="scores without a number")
    pooled = quantities[-1].metric in POOLED_METRICS
    made = len(runs.drop_duplicates(["fold", "seed", *["inlier"] * (not pooled)]))
    number_of_values = int(np.isfinite(values).sum())
    verdict = replace(
        verdict,
        **differences,
        values=number_of_values,
        runs_without_number=made - number_of_values,
    )
    if all(is_deterministic(reproduced.config.methods[name].detector) for name in methods):
        verdict = _without_chance(reproduced, verdict, values, test_variance)
    else:
        verdict = decided(reproduced, verdict, replicates.of_runs(values), test_variance)
    return _not_comparable(verdict)


def _without_chance(
    reproduced: Reproduced, verdict: Verdict, values: Array, test_variance: float
) -> Verdict:
    """The verdict on a method that gives the same in every run of a fold: by its test samples."""
    folds = len(reproduced.config.datasets[verdict.dataset].folds)
    # The runs of a seed are those of its folds, one after the other.
    by_fold = np.nanmean(values.reshape(-1, folds, values.shape[1]), axis=0)
    if not test_variance:
        return decided(reproduced, verdict, replicates.of_runs(by_fold), test_variance)
    sample = replicates.without_chance(by_fold.mean(axis=0))
    return replace(decided(reproduced, verdict, sample, test_variance), reason="no chance")


def _quantities(number: Published, dataset: str) -> list[Quantity]:
    """What a published number is of: one quantity, or of a difference its rivals, then its own.

    The activation-based representation of a gain is the reconstruction error of CAE.
    """
    ratio = MAIN_RATIO if number.outlier_ratio is None else number.outlier_ratio
    if number.metric == OVERLAP:
        rivals = [pair for pair in LOSSES if "second" in number.method or pair[1] in number.method]
        pairs = [*rivals, (number.run_method, number.run_component)]
        return [Quantity(dataset, *pair, "overlap", ratio) for pair in pairs]
    if number.metric == GAIN:
        pairs = [("cae", "reconstruction"), (number.run_method, number.run_component)]
        return [Quantity(dataset, *pair, ratio=ratio) for pair in pairs]
    metric = number.metric.lower()
    return [Quantity(dataset, number.run_method, number.run_component, metric, ratio)]


def _differences(
    reproduced: Reproduced,
    quantities: Sequence[Quantity],
    methods: Sequence[str],
    inlier: int | None,
) -> dict[str, Any]:
    """What keeps the runs from being compared with the published number: fields of ``Verdict``."""
    series = [(quantities[-1].dataset, name, inlier) for name in methods]
    return {
        "short_epochs": first(reproduced.short_epochs(*runs) for runs in series),
        "other_settings": first(reproduced.other_settings(*runs) for runs in series),
        "constant_classes": first(reproduced.constant_classes(what, inlier) for what in quantities),
    }


def _not_comparable(verdict: Verdict) -> Verdict:
    """The verdict where runs differ from the published ones; the first difference decides it."""
    differences: dict[Outcome, str] = {
        "short run": verdict.short_epochs,
        "other settings": verdict.other_settings,
        "inconclusive": verdict.constant_classes,
    }
    for outcome, difference in differences.items():
        if difference:
            return replace(verdict, outcome=outcome, reason="", further=None)
    return verdict


def _values(
    reproduced: Reproduced, quantities: Sequence[Quantity], inlier: int | None
) -> tuple[Array, float]:
    """Values of the runs, (runs, classes), and the variance of their average by test outliers.

    NaN stands where a run, a seed and fold, has no value. A difference of overlaps is that of the
    rival that overlaps least.
    """
    (*rivals, own) = quantities
    cube = reproduced.values(own)
    if rivals and own.metric == "auroc":
        variance = sum(reproduced.test_variance(what) for what in quantities)
        return by_run(cube - reproduced.values(rivals[0])), variance
    if rivals:
        cubes = [reproduced.values(rival) for rival in rivals]
        least = rivals[int(np.argmin([np.nanmean(each) for each in cubes]))]
        variance = sum(reproduced.overlap_variance(what, "outliers") for what in (least, own))
        return by_run(np.min(cubes, axis=0) - cube), variance
    if inlier is not None:
        cube = cube[:, :, [list(reproduced.classes(own.dataset)).index(inlier)]]
    return by_run(cube), reproduced.test_variance(own, inlier)


def _parameters(verdict: Verdict, cost: Mapping[str, Any]) -> Verdict:
    """A parameter count is not a matter of chance, nor of epochs: it is the same, or it is not."""
    mean, value = float(cost["parameters"]), verdict.published.value
    if abs(mean - value) <= MARGINS["parameters"] * value:
        return replace(verdict, outcome="reproduced", mean=mean)
    return replace(verdict, outcome="higher" if mean > value else "lower", mean=mean)


def decided(
    reproduced: Reproduced, verdict: Verdict, sample: Sample, test_variance: float
) -> Verdict:
    """The verdict by the runs' numbers, whatever their epochs."""
    number = verdict.published
    metric = _METRICS.get(number.metric, number.metric)
    margins = {"margin": MARGINS[metric], "least": LEAST[metric]}
    decision = decisions.decide(sample, number.value, test_variance, **margins)
    verdict = replace(
        verdict,
        outcome=_OUTCOMES[decision],
        mean=sample.mean,
        spread_classes=sample.replicated,
        spread_known=sample.spread_known,
        classes=sample.counts.size,
        whole=int(sample.whole),
        seed_ratio=sample.seed_ratio,
    )
    if not sample.spread_known:
        return replace(verdict, reason="one run per class")
    reason: Reason = "too noisy" if decision == "noisy" else ""
    if decision == "open":
        runs = decisions.runs_to_decide(sample, number.value, test_variance, **margins)
        folds = len(reproduced.config.datasets[verdict.dataset].folds)
        # A seed is a run in each fold.
        further = None if runs is None else -(-runs // folds)
        verdict, reason = replace(verdict, further=further), "further seeds"
    low, high = replicates.prediction_interval(sample, 2 * test_variance)
    mean_low, mean_high = replicates.mean_interval(sample, test_variance)
    return replace(
        verdict,
        reason=reason,
        low=low,
        high=high,
        mean_low=mean_low,
        mean_high=mean_high,
        margin=MARGINS[metric],
        bound=decisions.bound(sample, number.value, test_variance),
        p=replicates.prediction_p(sample, number.value, 2 * test_variance),
        equivalence_p=decisions.equivalence_p(sample, number.value, test_variance, MARGINS[metric]),
    )
