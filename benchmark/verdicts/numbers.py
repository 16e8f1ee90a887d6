"""A verdict for every published number.

The rule is ``decisions.decide``: a published number is one draw, so it is compared with the spread
of our runs, not with the interval of their mean.

reproduced
    our mean is shown to be nearer to it than the margin (``MARGINS``) or than one run's own spread
higher, lower
    ours is so: the published number lies outside the 95 % prediction interval of a new run, and
    more than the margin away
inconclusive
    neither is shown. One run of a class says nothing about its spread: in an average, such
    classes are assumed to spread as those with more runs do on average. Where no class has two
    runs, or every image has the same score, the verdict is always inconclusive
short run
    fewer epochs than published (``conditions.published_epochs``); the parameter count does not
    depend on them
other settings
    hyperparameters that differ from the published ones
not run
    no number, or an average that lacks a class
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from benchmark.layout import MAIN_RATIO
from benchmark.metrics.conditions import comparable_epochs, published_epochs, seeds
from benchmark.metrics.cost import of_method
from benchmark.published import AVERAGE, Published
from benchmark.runs.command import command
from benchmark.statistics import bootstrap, decisions, intervals, replicates
from benchmark.statistics.intervals import Array
from benchmark.statistics.replicates import Sample
from benchmark.utils.text import first, listed, span
from benchmark.verdicts.reproduced import POOLED_METRICS, Quantity, Reproduced, by_inlier

Outcome = Literal[
    "reproduced", "higher", "lower", "inconclusive", "short run", "other settings", "not run"
]

Reason = Literal["", "no chance", "one run per class", "further seeds"]
"""Why a verdict is inconclusive: the method gives the same in every run, nothing is known of the
spread, or more seeds are needed."""

MARGINS = {"AUROC": decisions.MARGIN, "F1": decisions.MARGIN, "parameters": 0.01, "overlap": 1.0}
"""Largest difference that counts as none: of AUROC and F1, of parameter counts as a share of the
published one, of overlap in percentage points."""

OVERLAP = "overlap difference, percentage points"
LOSSES = (("cae", "reconstruction"), ("vae", "latent"))
"""What the gradient loss of CAE + Grad is compared with in the paper's Fig. 5 and 6."""

_OUTCOMES: dict[decisions.Decision, Outcome] = {
    "same": "reproduced",
    "above": "higher",
    "below": "lower",
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
        reason: why it is inconclusive; else empty.
        short_epochs: epochs of the runs, if one has fewer than published; else empty.
        other_settings: hyperparameters that differ from the published ones.
        constant_classes: names of the classes of which a run gives every image the same score.
        spread_classes: how many of the ``classes`` have the two runs that tell their spread.
        spread_known: whether that is enough to know the spread over runs.
        classes: inlier classes of the number.
        values: numbers in the mean, one per run, or per seed and fold for pooled metrics.
        runs_without_number: complete runs that are not among them.
        mean: ours, over runs, then classes; NaN without.
        low: lower end of the prediction interval of a new run; NaN without two runs of a class, or
            where the spread of runs is not known; so are p and the mean's interval.
        high: its upper end.
        mean_low: lower end of the mean's own interval, by the hierarchical bootstrap.
        mean_high: its upper end.
        p: of the published number as a new run of ours, two-sided.
        equivalence_p: of two one-sided tests within the margin alone.
        further: seeds that would decide it if mean and spread stayed; None if none is known. It is
            a lower bound unless ``spread_known``.
        further_limit: so many seeds would not decide it; None if ``further`` is known.
        runs: complete runs behind it.
        seeds: their seeds.
        epochs: their epochs, from least to most.
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
    p: float = float("nan")
    equivalence_p: float = float("nan")
    further: int | None = None
    further_limit: int | None = None
    runs: int = 0
    seeds: tuple[int, ...] = ()
    epochs: str = ""
    command: str = ""


PUBLISHED = {
    **{"place": "place", "published_dataset": "dataset", "published_method": "method"},
    **{name: name for name in ("loss", "inlier_class", "metric")},
    "published": "value",
    **{name: name for name in ("confidence", "copied", "copied_from", "source")},
    **{"method": "run_method", "component": "run_component"},
    **{name: name for name in ("inlier", "outlier_ratio")},
}
"""Columns of the published number in the frame, and the fields of ``Published`` that they hold."""


def judge(reproduced: Reproduced, published: Sequence[Published]) -> list[Verdict]:
    """A verdict for every published number, once for each of our data sets of its source."""
    return [
        _judge(reproduced, number, dataset)
        for number in published
        for dataset in reproduced.datasets(number.data_source) or [""]
    ]


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


def _judge(reproduced: Reproduced, number: Published, dataset: str) -> Verdict:
    verdict = Verdict(number, dataset, "not run")
    quantities = _quantities(number, dataset)
    methods = list(dict.fromkeys(what.method for what in quantities))
    if not dataset or not reproduced.config.methods.keys() >= set(methods):
        return replace(verdict, missing="not configured")
    inlier = None if number.inlier == AVERAGE else number.inlier
    runs = pd.concat([reproduced.runs(dataset, name, inlier) for name in methods])
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
    if number.metric == "parameters":
        verdict = _parameters(verdict, of_method(reproduced.metrics.cost, dataset, methods[0]))
        return _not_comparable(replace(verdict, **differences | {"short_epochs": ""}))
    values, test_variance = _values(reproduced, quantities, inlier)
    if not all(group.size for group in values):
        return replace(verdict, missing="scores without a number")
    pooled = quantities[-1].metric in POOLED_METRICS
    made = len(runs.drop_duplicates(["fold", "seed"])) if pooled else len(runs)
    sample = replicates.sample(values)
    verdict = replace(
        verdict,
        **differences,
        spread_classes=sample.replicated,
        spread_known=sample.spread_known,
        classes=sample.counts.size,
        values=int(sample.counts.sum()),
        runs_without_number=made - int(sample.counts.sum()),
    )
    verdict = _decided(verdict, sample, values, test_variance)
    if verdict.outcome == "inconclusive":
        verdict = _with_reason(reproduced, verdict, methods, sample, test_variance)
    return _not_comparable(verdict)


def _quantities(number: Published, dataset: str) -> list[Quantity]:
    """What a published number is of: one quantity, or for an overlap its rivals, then its own."""
    ratio = MAIN_RATIO if number.outlier_ratio is None else number.outlier_ratio
    if number.metric == OVERLAP:
        rivals = [pair for pair in LOSSES if "second" in number.method or pair[1] in number.method]
        pairs = [*rivals, (number.run_method, number.run_component)]
        return [Quantity(dataset, *pair, "overlap", ratio) for pair in pairs]
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
            return replace(verdict, outcome=outcome, reason="", further=None, further_limit=None)
    return verdict


def _values(
    reproduced: Reproduced, quantities: Sequence[Quantity], inlier: int | None
) -> tuple[list[Array], float]:
    """Values of the runs, an array per class, and the variance of their average by test samples."""
    (*rivals, own) = quantities
    cube = reproduced.values(own)
    if rivals:
        least = np.min([reproduced.values(rival) for rival in rivals], axis=0)
        variance = sum(reproduced.overlap_variance(what) for what in (rivals[0], own))
        return by_inlier(least - cube), variance
    if inlier is not None:
        cube = cube[:, :, [list(reproduced.classes(own.dataset)).index(inlier)]]
    return by_inlier(cube), reproduced.test_variance(own, inlier)


def _parameters(verdict: Verdict, cost: "pd.Series[Any]") -> Verdict:
    """A parameter count is not a matter of chance, nor of epochs: it is the same, or it is not."""
    mean, value = float(cost["parameters"]), verdict.published.value
    if abs(mean - value) <= MARGINS["parameters"] * value:
        return replace(verdict, outcome="reproduced", mean=mean)
    return replace(verdict, outcome="higher" if mean > value else "lower", mean=mean)


def _decided(
    verdict: Verdict, sample: Sample, values: Sequence[Array], test_variance: float
) -> Verdict:
    """The verdict by the runs' values, whatever their epochs; ``sample`` is of ``values``."""
    value, margin = verdict.published.value, _margin(verdict.published)
    outcome = _OUTCOMES[decisions.decide(sample, value, test_variance, margin)]
    verdict = replace(verdict, outcome=outcome, mean=sample.mean)
    if not test_variance and not any(np.ptp(group) for group in values):
        return verdict
    mean = intervals.percentiles(bootstrap.bootstrap_means(values, test_variance))
    verdict = replace(verdict, mean_low=mean.low, mean_high=mean.high)
    if not sample.spread_known:
        return verdict
    low, high = replicates.prediction_interval(sample, test_variance)
    error = float(np.sqrt(sample.mean_variance))
    return replace(
        verdict,
        low=low,
        high=high,
        p=replicates.prediction_p(sample, value, test_variance),
        equivalence_p=decisions.tost(sample.mean - value, error, sample.freedom, margin),
    )


def _margin(number: Published) -> float:
    return MARGINS["overlap" if number.metric == OVERLAP else number.metric]


def _with_reason(
    reproduced: Reproduced,
    verdict: Verdict,
    methods: Sequence[str],
    sample: Sample,
    test_variance: float,
) -> Verdict:
    """An inconclusive verdict with what would decide it, as far as that is known."""
    if all(published_epochs(reproduced.config, name) is None for name in methods):
        return replace(verdict, reason="no chance")
    if not test_variance and not sample.spread_known:
        return replace(verdict, reason="one run per class")
    number, folds = verdict.published, len(reproduced.config.datasets[verdict.dataset].folds)
    runs = decisions.runs_to_decide(sample, number.value, test_variance, _margin(number))
    if runs is None:
        limit = decisions.MOST_RUNS // folds
        return replace(verdict, reason="further seeds", further_limit=limit)
    # A seed is a run in each fold.
    return replace(verdict, reason="further seeds", further=-(-runs // folds))
