"""Computes the comparisons that ``claims.yaml`` describes.

Each is a weighted sum of quantities, such as one method's average AUROC minus another's, paired run
by run (same seed and fold). Its interval and one-sided p-values are Student's, as
``replicates.mean_interval`` has them, with the test samples by DeLong's variance of the same sum on
the same images, or for overlaps by the variance of the histograms; for F1 none is known.

A published number that stands for a method that was not run is one draw: it has the variance of a
run and of a test set, and as its own are not known, those of the method that was run.

A new draw of the whole sum, with which the paper's is compared, has runs of its own: scores of one
model stay together, those of two methods are of two trainings, whose variances add up.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from benchmark import layout, scores
from benchmark import published as papers
from benchmark.config.methods import METHODS
from benchmark.layout import RunKey
from benchmark.metrics import challenge_study
from benchmark.metrics.challenge_study import Loss, of_loss
from benchmark.metrics.conditions import published_epochs
from benchmark.metrics.numbers import Cube
from benchmark.published import AVERAGE, Published
from benchmark.scores import Run, TestScores, collect, combined, gradient_weight, read_scores
from benchmark.splits import outlier_count
from benchmark.statistics import replicates, roc
from benchmark.statistics.intervals import LEVEL
from benchmark.statistics.replicates import Sample, Variance
from benchmark.utils.text import first
from benchmark.verdicts.reproduced import Quantity, Reproduced, by_run, in_every_seed

METRICS = {"auroc": "AUROC", "f1": "F1", "overlap": "overlap", "parameters": "parameters"}
"""Metrics and what published rows call them."""


class Model(BaseModel):
    """Part of ``claims.yaml``: nothing but the stated keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Term(Model):
    """A component of a method, maybe minus another one's (``over``)."""

    method: str
    component: str = "score"
    dataset: str = ""
    over: "Term | None" = None
    published: bool = False


Terms = Annotated[tuple[Term, ...], Field(min_length=1)]


class Comparison(Model):
    """Each term of ``greater`` against each of ``than``; ``claims.yaml`` explains the keys."""

    greater: Terms
    than: Terms
    dataset: str = ""
    metric: Literal["auroc", "f1", "overlap", "parameters"] = "auroc"
    challenge_level: int | None = None
    shares: tuple[float, ...] = ()
    beta_from: float | None = None
    times: float = 1.0
    published: float | None = None


@dataclass(frozen=True)
class Case:
    """One comparison of two terms, as a weighted sum that has to be above ``least``.

    Attributes:
        label: what is compared, for readers.
        methods: the two that are compared, the one that has to be above first.
        parts: weight and quantity of what the runs give.
        constant: what published numbers add.
        borrowed: methods that were not run and are compared by their published numbers.
        borrowed_weights: the weight and data set of each such number.
        published: the sum in the paper, NaN if not known.
        exact: a value without chance, the ratio of two parameter counts; None otherwise.
        least: what it has to exceed, or for an exact value to reach.
        missing: why it cannot be computed; else empty.
    """

    label: str
    methods: tuple[str, str] = ("", "")
    parts: tuple[tuple[float, Quantity], ...] = ()
    constant: float = 0.0
    borrowed: tuple[str, ...] = ()
    borrowed_weights: tuple[tuple[float, str], ...] = ()
    published: float = float("nan")
    exact: float | None = None
    least: float = 0.0
    missing: str = ""


@dataclass(frozen=True)
class Result:
    """A case computed.

    Attributes:
        case: what was compared.
        effect: its value; NaN where it cannot be computed.
        low: lower end of its 95 % interval; NaN where the spread of runs is not known.
        high: upper end.
        new_low: lower end of the 95 % interval of a new draw of all runs in it, such as the
            paper's; NaN where it is not known.
        new_high: upper end.
        p_not_above: one-sided, small if the effect is above 0.
        p_not_below: one-sided, small if it is below 0.
        runs: complete pairs of runs behind it.
        spread_known: whether two runs or more of a class tell the spread over runs.
        spread_classes: how many of the ``classes`` of ``spread_dataset`` have two runs, where not
            all have; else 0.
        classes: how many it has.
        spread_dataset: key of the first such data set.
        short_epochs: epochs of the runs, if one has fewer than published; else empty.
        other_settings: hyperparameters that differ from the published ones, with their method.
        constant_classes: classes of which a run scores every image the same, with their method.
    """

    case: Case
    effect: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    new_low: float = float("nan")
    new_high: float = float("nan")
    p_not_above: float = float("nan")
    p_not_below: float = float("nan")
    runs: int = 0
    spread_known: bool = True
    spread_classes: int = 0
    classes: int = 0
    spread_dataset: str = ""
    short_epochs: str = ""
    other_settings: str = ""
    constant_classes: str = ""


@dataclass(frozen=True)
class _Leaf:
    """One number of a comparison: from the runs (``what``), else as it was printed, or neither."""

    printed: float
    dataset: str = ""
    what: Quantity | None = None
    borrowed: str = ""
    missing: str = ""


@dataclass(frozen=True)
class Workbench:
    """What comparisons are made with: the numbers, the runs' scores, the published numbers."""

    reproduced: Reproduced
    root: Path
    published: Sequence[Published]

    def compare(self, part: Comparison) -> list[Result]:
        """All the comparisons that one entry of ``claims.yaml`` means."""
        if part.challenge_level is not None:
            results = list(self._challenges(part, part.challenge_level))
        else:
            results = [self._compute(case) for case in self._cases(part)]
        return [self._with_differences(result) for result in results]

    def _with_differences(self, result: Result) -> Result:
        """A result with what keeps its runs from being compared with the published ones."""
        quantities = [what for _, what in result.case.parts]
        pairs = list(dict.fromkeys((what.dataset, what.method) for what in quantities))
        settings = ((pair[1], self.reproduced.other_settings(*pair)) for pair in pairs)
        constant = ((what.method, self.reproduced.constant_classes(what)) for what in quantities)
        return replace(
            result,
            short_epochs=first(self.reproduced.short_epochs(*pair) for pair in pairs),
            other_settings=first(f"{_title(name)}: {text}" for name, text in settings if text),
            constant_classes=first(f"{_title(name)}: {text}" for name, text in constant if text),
        )

    def _challenges(self, part: Comparison, level: int) -> Iterator[Result]:
        """Two losses at a level of every challenge type, as ``challenge_study`` computed them."""
        config = self.reproduced.config
        keys = [
            key for key in self.reproduced.datasets(part.dataset) if config.datasets[key].challenges
        ]
        if not keys:
            missing = f"no data set {part.dataset} in this configuration"
            yield Result(Case(part.dataset, missing=missing))
        for key, above, below in product(keys, part.greater, part.than):
            study = challenge_study.load(config, self.root, key)
            loss, other = (Loss(term.method, term.component) for term in (above, below))
            rows = study[
                (study["level"] == level)
                & of_loss(study, loss)
                & (study["against_method"] == other.method)
                & (study["against_component"] == other.component)
            ].set_index("challenge")
            ratio = layout.main_ratio(config)
            parts = tuple(
                (weight, Quantity(key, *of, ratio=ratio))
                for weight, of in ((1.0, loss), (-1.0, other))
            )
            selection = config.datasets[key].challenges
            for challenge in selection.types if selection else ():
                label = f"{_named(above)} against {_named(below)}, {challenge} {level}"
                case = Case(label, (above.method, below.method), parts)
                if challenge in rows.index:
                    row: Any = rows.loc[challenge]
                    p, several = row["p_not_above"], row["seeds"] > 1
                    yield Result(
                        case,
                        row["value"],
                        row["low"],
                        row["high"],
                        p_not_above=p,
                        p_not_below=1 - p,
                        runs=row["seeds"],
                        spread_known=several,
                    )
                else:
                    missing = f"{challenge} {level}: no run or no images"
                    yield Result(replace(case, parts=(), missing=missing))

    def _cases(self, part: Comparison) -> Iterator[Case]:
        config = self.reproduced.config
        betas: list[float | None] = [None]
        if part.beta_from is not None:
            betas = [n for n in config.beta_multiples if n >= part.beta_from]
        if not betas:
            missing = f"no beta from {part.beta_from} alpha on in this configuration"
            yield Case(part.dataset, missing=missing)
        for share, beta, above, below in product(
            part.shares or (None,), betas, part.greater, part.than
        ):
            yield self._case(part, share, beta, above, below)

    def _case(
        self,
        part: Comparison,
        share: float | None,
        beta: float | None,
        above: Term,
        below: Term,
    ) -> Case:
        weighed = [(1.0, above, part.dataset), (-1.0, below, part.dataset)]
        weighed += [
            (-weight, term.over, term.dataset or where)
            for weight, term, where in weighed
            if term.over
        ]
        leaves = [
            (weight, self._leaf(term, term.dataset or where, part.metric, share, beta))
            for weight, term, where in weighed
        ]
        label = f"{_named(above)} against {_named(below)}"
        label += "" if share is None else f", {share:.0%} outliers"
        label += "" if beta is None else f", beta = {beta:g} alpha"
        missing = first(leaf.missing for _, leaf in leaves)
        if not missing and not any(leaf.what for _, leaf in leaves):
            missing = "none of its methods was run"
        borrowed = tuple(leaf.borrowed for _, leaf in leaves if leaf.borrowed)
        parts = tuple((weight, leaf.what) for weight, leaf in leaves if leaf.what)
        methods = (above.method, below.method)
        if part.metric == "parameters":
            (_, left), (_, right) = leaves
            exact = self._parameters(left) / self._parameters(right)
            printed = left.printed / right.printed
            return Case(
                label,
                methods,
                parts,
                borrowed=borrowed,
                published=printed,
                exact=exact,
                least=part.times,
                missing=missing,
            )
        printed = sum(weight * leaf.printed for weight, leaf in leaves)
        return Case(
            label,
            methods,
            parts,
            sum(weight * leaf.printed for weight, leaf in leaves if not leaf.what),
            borrowed,
            tuple((weight, leaf.dataset) for weight, leaf in leaves if leaf.borrowed),
            printed if part.published is None else part.published,
            missing=missing,
        )

    def _leaf(
        self, term: Term, source: str, metric: str, share: float | None, beta: float | None
    ) -> _Leaf:
        component = "" if metric == "parameters" else term.component
        values = papers.find(self.published, source, term.method, component, METRICS[metric], share)
        printed = values[AVERAGE].value if AVERAGE in values else np.nan
        if term.published:
            missing = "" if np.isfinite(printed) else "not published"
            return _Leaf(printed, missing=missing)
        if beta is not None:
            printed = np.nan  # what is published has the paper's beta
        keys = self.reproduced.datasets(source) or [source]
        ratio = layout.MAIN_RATIO if share is None else share
        what = Quantity(keys[0], term.method, component, metric, ratio, beta)
        missing = self.reproduced.missing(what)
        if not missing:
            return _Leaf(printed, keys[0], what)
        title = _title(term.method)
        if np.isfinite(printed) and term.method not in papers.GRADCON:
            return _Leaf(printed, keys[0], borrowed=title)
        settings = self.reproduced.config.datasets.get(keys[0])
        # An unconfigured data set has no title, and "not configured" is true of it everywhere.
        place = f" on {settings.title}" if settings else ""
        return _Leaf(printed, missing=f"{title}{place}: {missing}")

    def _parameters(self, leaf: _Leaf) -> float:
        if leaf.what is None:
            return leaf.printed
        cost = self.reproduced.metrics.cost_by_method[leaf.what.dataset, leaf.what.method]
        return float(cost["parameters"])

    def _compute(self, case: Case) -> Result:
        if case.missing:
            return Result(case)
        if case.exact is not None:
            return Result(case, case.exact)
        effect, of_mean, of_new, runs = case.constant, Variance(), Variance(), 0
        spread_known, spread = True, (0, 0, "")
        for dataset in dict.fromkeys(what.dataset for _, what in case.parts):
            parts = [(weight, what) for weight, what in case.parts if what.dataset == dataset]
            sample = self._sample(parts)
            if sample is None:
                missing = "no runs of the same seed and fold with numbers"
                return Result(replace(case, missing=missing))
            effect += sample.mean
            runs += int(sample.counts.sum())
            spread_known &= sample.spread_known
            if 0 < sample.replicated < sample.counts.size and not spread[0]:
                spread = sample.replicated, sample.counts.size, dataset
            test = Variance(known=self._test_variance(parts))
            borrowed = sum(w**2 for w, where in case.borrowed_weights if where == dataset)
            # Estimated from the same runs, these have the freedom of one of them.
            run = sample.of_run.estimated
            own = Variance(sample.of_mean.estimated + borrowed * run, sample.freedom)
            of_mean += own + test.scaled(1 + borrowed)
            new = self._of_new_runs(parts, sample)
            of_new += Variance(sample.of_mean.estimated + new.estimated, new.freedom) + test
        result = Result(case, effect, runs=runs, spread_known=spread_known)
        result = replace(
            result,
            p_not_above=_p_not_above(effect, of_mean),
            p_not_below=_p_not_above(-effect, of_mean),
            spread_classes=spread[0],
            classes=spread[1],
            spread_dataset=spread[2],
        )
        if not spread_known:
            return result
        half, new_half = (variance.reach((1 - LEVEL) / 2) for variance in (of_mean, of_new))
        return replace(
            result,
            low=effect - half,
            high=effect + half,
            new_low=effect - new_half,
            new_high=effect + new_half,
        )

    def _sample(self, parts: Sequence[tuple[float, Quantity]]) -> Sample | None:
        """The weighted sum of each run, seed and fold; None where a class has no such sum."""
        values = by_run(np.sum([weight * self._values(what) for weight, what in parts], 0))
        if np.isnan(values).all(axis=0).any():
            return None
        return replicates.of_runs(values)

    def _values(self, what: Quantity) -> Cube:
        """Values by seed, fold and class; a run of a method without chance stands for all seeds."""
        values = self.reproduced.values(what)
        chance = published_epochs(self.reproduced.config, what.method) is not None
        return values if chance else in_every_seed(values)

    def _of_new_runs(self, parts: Sequence[tuple[float, Quantity]], paired: Sample) -> Variance:
        """Of the sum in new runs, the methods' trainings being independent."""
        methods = list(dict.fromkeys(what.method for _, what in parts))
        if len(methods) == 1:
            return paired.of_run
        samples = [
            self._sample([part for part in parts if part[1].method == name]) for name in methods
        ]
        own = [sample.of_run for sample in samples if sample is not None]
        # Their spreads are partly that of the paired runs, so that freedoms do not add up.
        return Variance(
            sum(each.estimated for each in own), min(each.freedom for each in [*own, paired.of_run])
        )

    def _test_variance(self, parts: Sequence[tuple[float, Quantity]]) -> float:
        """Variance of the sum over test samples; with several folds it is in the runs' spread."""
        one = parts[0][1]
        if one.metric == "overlap":
            return sum(weight**2 * self.reproduced.overlap_variance(what) for weight, what in parts)
        (fold, *others) = self.reproduced.config.datasets[one.dataset].folds
        if one.metric != "auroc" or others:
            return 0.0
        classes = self.reproduced.classes(one.dataset)
        return (
            sum(self._delong_variance(parts, fold, inlier) for inlier in classes)
            / len(classes) ** 2
        )

    def _delong_variance(
        self, parts: Sequence[tuple[float, Quantity]], fold: int, inlier: int
    ) -> float:
        """DeLong's variance of a sum of AUROCs of one class, from the first seed of each method."""
        rows = []
        for _, what in parts:
            runs = self.reproduced.runs(what.dataset, what.method, inlier)
            scores, weight = self._scores(
                RunKey(what.dataset, what.method, fold, inlier, int(runs["seed"].min()))
            )
            if what.beta_multiple is not None:
                weight = what.beta_multiple * self.reproduced.config.alpha
            values = scores.components.get(what.component)
            if values is None:
                values = combined(scores.components, weight)
            inliers, outliers = scores.split(np.asarray(values))
            rows.append((inliers, outliers[: outlier_count(inliers.size, what.ratio)]))
        inliers, outliers = (np.stack(side) for side in zip(*rows, strict=True))
        return roc.paired_delong(inliers, outliers, [w for w, _ in parts]).error ** 2

    def _scores(self, key: RunKey) -> tuple[TestScores, float]:
        """The best model's scores of a complete run, and its weight of the gradient loss."""
        if key not in self._kept:
            run = self._runs(key.dataset)[key]
            weight = gradient_weight(run.manifest, self.reproduced.config.beta)
            self._kept[key] = read_scores(run)[1]["best"], weight
        return self._kept[key]

    @cached_property
    def _kept(self) -> dict[RunKey, tuple[TestScores, float]]:
        return {}

    @cached_property
    def _runs(self) -> Callable[[str], dict[RunKey, Run]]:
        """The runs on a data set, collected once."""
        config = self.reproduced.config
        return cache(lambda dataset: {run.key: run for run in collect(config, self.root, dataset)})


def _p_not_above(effect: float, variance: Variance) -> float:
    """One-sided p-value of an effect that is not above 0."""
    return variance.tail(effect) if variance.total else float(effect <= 0)


def _title(method: str) -> str:
    return METHODS[method].title if method in METHODS else method


def _named(term: Term) -> str:
    name = _title(term.method)
    if term.component != "score":
        name = f"{scores.component(term.component)} of {name}"
    if term.published:
        name += " as published"
    if term.over:
        name = f"gain of {name} over {_named(term.over)}"
    return f"{name} on {term.dataset}" if term.dataset else name
