"""Published against reproduced: a verdict for every published number.

The rule is ``statistics.decide``: a published number is one draw, so it is held against the spread
of our runs, not against the interval of their mean. ``reproduced``: our mean is shown to be nearer
to it than the margin (``MARGINS``) or than one run's own spread. ``higher`` and ``lower`` (ours
than the published one): it lies outside the 95 % prediction interval of a new run and more than the
margin away. ``inconclusive``: neither is shown, with the further seeds that would show one if the
mean and the spread stayed. One run of a class tells nothing of its spread over seeds. In an average
such classes are held to spread as those with more runs do on average, and the verdict says of how
many that is. Where no class has two runs it is always inconclusive; the number of seeds is then a
lower bound, from the test samples alone. So are scores that are the same for every image: they come
of a model that tells nothing.

``short run``: fewer epochs than the paper (``evidence.paper_epochs``), which never counts as a
reproduction; only the parameter count does not depend on them. ``other settings``: other
hyperparameters than the paper's, which are the methods' defaults; that goes for the parameter count
too. ``not run``: no number, or an average that lacks a class.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from benchmark import captions, layout, statistics
from benchmark.metrics import conditions
from benchmark.published import AVERAGE, Published
from benchmark.runs import command
from benchmark.statistics import Array
from benchmark.utils import text
from benchmark.verdicts import reproduced
from benchmark.verdicts.reproduced import Evidence, Quantity

Outcome = Literal[
    "reproduced", "higher", "lower", "inconclusive", "short run", "other settings", "not run"
]

MARGINS = {"AUROC": statistics.MARGIN, "F1": statistics.MARGIN, "parameters": 0.01, "overlap": 1.0}
"""Largest difference that counts as none: of AUROC and F1, of parameter counts as a share of the
published one, of overlap in percentage points."""

OVERLAP = "overlap difference, percentage points"
LOSSES = (("cae", "reconstruction"), ("vae", "latent"))
"""What the gradient loss of CAE + Grad is compared with in the paper's Fig. 5 and 6."""

_OUTCOMES: dict[statistics.Decision, Outcome] = {
    "same": "reproduced",
    "above": "higher",
    "below": "lower",
    "open": "inconclusive",
}


@dataclass(frozen=True)
class Verdict:
    """A published number and what became of it.

    Attributes:
        published: the number.
        dataset: key of our data set, empty when the configuration has none of that source.
        outcome: the verdict.
        detail: what a reader needs beside it, maybe empty.
        mean: ours, over runs then classes; NaN without.
        low: lower end of the prediction interval of a new run; NaN without two runs of a class, or
            where nothing tells how runs vary, as for p and the mean's interval.
        high: its upper end.
        mean_low: lower end of the mean's own interval, by the hierarchical bootstrap.
        mean_high: its upper end.
        p: of the published number as a new run of ours, two-sided.
        equivalence_p: of two one-sided tests within the margin alone.
        further: seeds that would decide an inconclusive one; None if none is known.
        runs: complete runs behind it.
        seeds: their seeds.
        epochs: their epochs, from least to most.
        command: makes the runs and everything after them.
    """

    published: Published
    dataset: str
    outcome: Outcome
    detail: str = ""
    mean: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    mean_low: float = float("nan")
    mean_high: float = float("nan")
    p: float = float("nan")
    equivalence_p: float = float("nan")
    further: int | None = None
    runs: int = 0
    seeds: tuple[int, ...] = ()
    epochs: str = ""
    command: str = ""


def judge(known: Evidence, published: Sequence[Published]) -> list[Verdict]:
    """A verdict for every published number, once for each of our data sets that is its own."""
    return [
        _judge(known, row, dataset)
        for row in published
        for dataset in known.datasets(row.data_source) or [""]
    ]


def frame(verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """The verdicts as a table, one row each; ``p_holm`` is Holm's over all of them."""
    table = pd.DataFrame([_record(verdict) for verdict in verdicts])
    adjusted = pd.Series(np.nan, table.index)
    tested = table["p"].notna()
    adjusted[tested] = statistics.holm(table.loc[tested, "p"].tolist())
    return table.assign(p_holm=adjusted)


def _record(verdict: Verdict) -> dict[str, Any]:
    row = verdict.published
    told = {
        "place": row.place,
        "published_dataset": row.dataset,
        "published_method": row.method,
        "loss": row.loss,
        "inlier_class": row.inlier_class,
        "metric": row.metric,
        "published": row.value,
        "confidence": row.confidence,
        "copied": row.copied,
        "copied_from": row.copied_from,
        "source": row.source,
        "method": row.run_method,
        "component": row.run_component,
        "inlier": row.inlier,
        "outlier_ratio": row.outlier_ratio,
    }
    own = {field.name: getattr(verdict, field.name) for field in fields(Verdict)}
    own["seeds"] = text.listed(verdict.seeds)
    return told | {name: value for name, value in own.items() if name != "published"}


def _judge(known: Evidence, row: Published, dataset: str) -> Verdict:
    blank = Verdict(row, dataset, "not run")
    if not dataset:
        return replace(blank, detail="not configured")
    wanted = _quantities(known, row, dataset)
    inlier = None if row.inlier == AVERAGE else row.inlier
    absent = [name for name in _methods(wanted) if name not in known.config.methods]
    if absent:
        return replace(blank, detail="not configured")
    runs = pd.concat([known.runs(dataset, name, inlier) for name in _methods(wanted)])
    told = replace(
        blank,
        runs=len(runs),
        seeds=conditions.seeds(runs),
        epochs=text.span(conditions.epochs(runs)),
        command=_command(known, dataset, _methods(wanted), inlier),
    )
    lacks = [text for text in (known.lacks(what, inlier) for what in wanted) if text]
    if lacks:
        return replace(told, detail=lacks[0])
    barred = _barred(known, wanted, inlier)
    if row.metric == "parameters":
        return _bar(_parameters(told, runs["parameters"]), barred)
    groups, variance = _draws(known, wanted, inlier)
    if not all(group.size for group in groups):
        return replace(told, detail="scores without a number")
    found = statistics.sample(groups)
    weighed = _weigh(told, found, groups, variance)
    if weighed.outcome == "inconclusive":
        weighed = _undecided(known, weighed, _methods(wanted), found, variance)
    return _bar(weighed, barred, captions.spread(found), _lost(wanted, runs, groups))


def _barred(known: Evidence, wanted: Sequence[Quantity], inlier: int | None) -> dict[Outcome, str]:
    """What bars a final verdict, with the reason, the gravest first."""
    (*_, own) = wanted
    short, other = (
        text.first(tells(own.dataset, name, inlier) for name in _methods(wanted))
        for tells in (known.short, known.otherwise)
    )
    constant = text.first(known.constant(what, inlier) for what in wanted)
    if own.metric == "parameters":
        short = ""
    reasons: dict[Outcome, str] = {
        "short run": short,
        "other settings": other,
        "inconclusive": constant,
    }
    return {outcome: reason for outcome, reason in reasons.items() if reason}


def _bar(told: Verdict, barred: dict[Outcome, str], *beside: str) -> Verdict:
    """The verdict that is left, and what a reader needs beside it."""
    if barred:
        told = replace(told, outcome=next(iter(barred)), detail="", further=None)
    return replace(told, detail="; ".join(filter(None, [told.detail, *barred.values(), *beside])))


def _lost(wanted: Sequence[Quantity], runs: pd.DataFrame, groups: Sequence[Array]) -> str:
    """Tells of complete runs that are not in the mean; empty if all are."""
    if wanted[-1].metric in reproduced.WHOLE:
        made, lacks = len(runs.drop_duplicates(["fold", "seed"])), "without all classes"
    else:
        made, lacks = len(runs), "no number"
    lost = made - sum(group.size for group in groups)
    verb = "has" if lost == 1 else "have"
    return f"{lost} of {text.counted(made, 'run')} {verb} {lacks}" if lost else ""


def _quantities(known: Evidence, row: Published, dataset: str) -> list[Quantity]:
    """What a published number is of: one quantity, or for an overlap its rivals, then its own."""
    ratio = layout.MAIN_RATIO if row.outlier_ratio is None else row.outlier_ratio
    if row.metric == OVERLAP:
        rivals = [pair for pair in LOSSES if "second" in row.method or pair[1] in row.method]
        pairs = [*rivals, (row.run_method, row.run_component)]
        return [Quantity(dataset, *pair, "overlap", ratio) for pair in pairs]
    return [Quantity(dataset, row.run_method, row.run_component, row.metric.lower(), ratio)]


def _methods(wanted: Sequence[Quantity]) -> list[str]:
    return list(dict.fromkeys(what.method for what in wanted))


def _draws(
    known: Evidence, wanted: Sequence[Quantity], inlier: int | None
) -> tuple[list[Array], float]:
    """Values of the runs, an array per class, and the variance of their average by test samples."""
    (*rivals, own) = wanted
    cube = known.values(own)
    if rivals:
        least = np.min([known.values(rival) for rival in rivals], axis=0)
        variance = sum(known.overlap_variance(what) for what in (rivals[0], own))
        return reproduced.columns(least - cube), variance
    if inlier is not None:
        cube = cube[:, :, [list(known.classes(own.dataset)).index(inlier)]]
    return reproduced.columns(cube), known.test_variance(own, inlier)


def _parameters(told: Verdict, counts: pd.Series) -> Verdict:
    """A parameter count is no matter of chance, nor of epochs: it is the same, or it is not."""
    mean, value = float(counts.mean()), told.published.value
    if abs(mean - value) <= MARGINS["parameters"] * value:
        return replace(told, outcome="reproduced", mean=mean)
    return replace(told, outcome="higher" if mean > value else "lower", mean=mean)


def _weigh(
    told: Verdict, found: statistics.Sample, groups: Sequence[Array], variance: float
) -> Verdict:
    """The verdict by the runs' values, whatever their epochs; ``found`` is of ``groups``."""
    value, margin = told.published.value, _margin(told.published)
    outcome = _OUTCOMES[statistics.decide(found, value, variance, margin)]
    told = replace(told, outcome=outcome, mean=found.mean)
    if not variance and not any(np.ptp(group) for group in groups):
        return told
    drawn = statistics.percentiles(statistics.bootstrap_means(groups, variance))
    told = replace(told, mean_low=drawn.low, mean_high=drawn.high)
    if not found.spread_known:
        return told
    low, high = statistics.prediction_interval(found, variance)
    error = float(np.sqrt(found.mean_variance))
    return replace(
        told,
        low=low,
        high=high,
        p=statistics.prediction_p(found, value, variance),
        equivalence_p=statistics.tost(found.mean - value, error, found.freedom, margin),
    )


def _margin(row: Published) -> float:
    return MARGINS["overlap" if row.metric == OVERLAP else row.metric]


def _undecided(
    known: Evidence,
    told: Verdict,
    methods: Sequence[str],
    found: statistics.Sample,
    variance: float,
) -> Verdict:
    """An inconclusive verdict with what would decide it, as far as that is known."""
    if all(conditions.paper_epochs(known.config, name) is None for name in methods):
        return replace(told, detail="fitted without chance: further seeds give the same")
    if not variance and not found.spread_known:
        return replace(told, detail="one run per class: the spread over seeds is not known")
    row, folds = told.published, len(known.config.datasets[told.dataset].folds)
    runs = statistics.runs_to_decide(found, row.value, variance, _margin(row))
    if runs is None:
        most = text.counted(statistics.MOST_RUNS // folds, "further seed")
        return replace(told, detail=f"more than {most}")
    # A seed is a run in each fold.
    further = -(-runs // folds)
    least = "" if found.spread_known else "at least "
    return replace(told, further=further, detail=f"{least}{text.counted(further, 'further seed')}")


def _command(known: Evidence, dataset: str, methods: Sequence[str], inlier: int | None) -> str:
    classes = list(known.classes(dataset)) if inlier is None else [inlier]
    return command.command(known.config, dataset, methods, classes)
