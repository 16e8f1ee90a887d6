"""Verdicts, claims and the choice of the model, as tables."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmark import captions, claims, marks, selection, verdicts
from benchmark.claims import Finding
from benchmark.comparisons import Result
from benchmark.evidence import Evidence
from benchmark.published import AVERAGE, EPOCHS, Published
from benchmark.render import Cell, Row, Table, number
from benchmark.verdicts import MARGINS, OVERLAP, Verdict

MARKS = {
    "reproduced": "✓",
    "higher": "↑",
    "lower": "↓",
    "inconclusive": "?",
    "short run": "…",
    "other settings": "≠",
    "not run": "–",
    "holds": "✓",
    "fails": "×",
    "undecided": "?",
}
"""What stands before each verdict, so that it is seen without colours."""

NOT_RUN = "not run"

ONE_RUN = "§"
NOTES = {
    **marks.NOTES,
    ONE_RUN: "one run per class: the interval is that of the test samples alone",
}

RULE = (
    "Reproduced: our mean is shown (two one-sided tests, 5 %) to be within "
    f"{MARGINS['AUROC']:g} of the published number ({MARGINS['overlap']:g} percentage point of "
    f"overlap, {MARGINS['parameters']:.0%} of parameters), or within the spread of one run where "
    "that is wider. Higher or lower: ours is so, the published number lying outside the 95 % "
    "interval of a new run. Inconclusive: neither is shown; the further seeds would show one if "
    "mean and spread stayed. In an average, classes of one run are supposed to spread as those "
    "with more do. Of numbers that are all reproduced, one in twenty would lie outside by chance. "
    f"Fewer epochs than the paper's ({EPOCHS} for its own models) are a short run, other "
    "hyperparameters are other settings, whatever the numbers."
)


def verdict_table(
    known: Evidence, found: Sequence[Verdict], dataset: str = "", notes: Sequence[str] = ()
) -> Table:
    """Every published number of a data set, or the averages of all (its frame has every number).

    Where an average has no verdict, the classes that have one stand for it. ``notes`` say what is
    found beside the verdicts and counts in none.
    """
    config = known.config
    head = ["Number", "Published", "Reproduced", "95 % of new runs", "Verdict", "Runs", "Seeds"]
    head += ["Epochs"]
    if dataset:
        found = [verdict for verdict in found if verdict.dataset == dataset]
        rows = [_verdict_row(verdict, _label(verdict)) for verdict in found]
        caption = (
            f"Published against reproduced, number by number, {captions.dataset(config, dataset)}. "
            f"{tally(found)} {captions.conditions(config, known.found.runs, dataset, ratio=False)}"
        )
        rule = []
    else:
        shown = _averages(found)
        rows = [
            _verdict_row(verdict, f"{config.datasets[verdict.dataset].title}, {_label(verdict)}")
            for verdict in shown
        ]
        caption = (
            "Published against reproduced: averages over the inlier classes, and single classes "
            f"where their average has not run. {tally(shown)} {_about(known)}"
        )
        rule = [RULE]
    legend = marks.legend(rows, "", NOTES)
    return Table(caption, head, rows, [*legend, *rule, *notes], verdicts.frame(found))


def claim_table(known: Evidence, found: Sequence[Finding], notes: Sequence[str] = ()) -> Table:
    """The claims, each with its weakest comparison; its frame has all comparisons.

    ``notes`` say what is found beside the verdicts and counts in none.
    """
    caption = (
        f"The paper's claims. {_counted(claim.outcome for claim in found)} A claim holds if all "
        "its comparisons do; the effect is the difference (of AUROC, of percentage points of "
        "overlap, or the ratio of parameters) in the weakest one, with its 95 % interval over runs "
        "and test samples and the p-value of the claim by Holm over all claims. Gain: whether the "
        "paper's difference replicates, that is, ours has its sign and an interval that holds it. "
        "Classes of one run are supposed to spread as those with more do. "
        "Fewer epochs than the paper's are a short run, other hyperparameters are other settings, "
        f"whatever the numbers. {_about(known)}"
    )
    head = ["Claim", "Paper's effect", "Our effect", "Interval", "Verdict", "p", "Gain"]
    head += ["Weakest comparison"]
    rows = [_claim_row(claim) for claim in found]
    return Table(caption, head, rows, notes, claims.frame(found))


def selection_table(
    known: Evidence,
    dataset: str,
    methods: Mapping[str, Sequence[str]],
    published: Sequence[Published],
) -> Table:
    """Last epoch, best validation loss and best on test, side by side."""
    frame = selection.rows(known, dataset, methods, published)
    records: list[dict[str, Any]] = [
        {str(name): value for name, value in record.items()} for record in frame.to_dict("records")
    ]
    rows = [
        Row(
            [known.config.methods[row["method"]].title, captions.component(row["component"])],
            [
                *(_chosen(row, rule) for rule in selection.RULES),
                _signed(row["gain"]),
                Cell(str(row["models"]) if row["models"] else Cell.MISSING),
                _number(row["published"], "AUROC", bool(row["published_recalled"])),
            ],
        )
        for row in records
    ]
    caption = (
        "What the choice of the model is worth: average AUROC over the inlier classes of the last "
        "epoch, of the best validation loss on inliers (the rule of all other tables), and of the "
        "model that is best on the test set itself. The last is an oracle, not a result: it needs "
        "the test labels. It shows how much of a published number such a choice could explain. "
        f"{captions.dataset(known.config, dataset)}; "
        f"{captions.conditions(known.config, known.found.runs, dataset, model='models as said')}"
    )
    head = [
        *("Method", "Score", "Last epoch", "Best validation", "Oracle, not a result"),
        *("Oracle's gain", "Models", "Published"),
    ]
    return Table(caption, head, rows, marks.legend(rows, "", NOTES), frame)


def tally(found: Sequence[Verdict]) -> str:
    """How many numbers have each verdict."""
    return f"Of {len(found)} published numbers: {_counted(verdict.outcome for verdict in found)}"


def _averages(found: Sequence[Verdict]) -> list[Verdict]:
    """The averages, and the classes that ran of those that did not."""

    def series(verdict: Verdict) -> tuple[object, ...]:
        row = verdict.published
        return verdict.dataset, row.place, row.method, row.loss, row.metric, row.outlier_ratio

    def is_average(verdict: Verdict) -> bool:
        return verdict.published.inlier == AVERAGE

    ran = [verdict for verdict in found if verdict.outcome != NOT_RUN]
    averaged = {series(verdict) for verdict in ran if is_average(verdict)}

    def alone(verdict: Verdict) -> bool:
        return verdict.outcome != NOT_RUN and series(verdict) not in averaged

    return [each for each in found if each.dataset and (is_average(each) or alone(each))]


def _label(verdict: Verdict) -> str:
    row = verdict.published
    if row.metric == OVERLAP:
        return f"overlap of {row.method}, points"
    if row.metric == "parameters":
        return f"{row.method}, parameters"
    what = row.metric if row.metric == "F1" else captions.component(row.loss)
    which = row.inlier_class.removeprefix("average").lstrip(", ")
    return f"{row.method}, {what}, {which or 'average'}"


def _verdict_row(verdict: Verdict, label: str) -> Row:
    row = verdict.published
    ends, mark = (verdict.low, verdict.high), ""
    if np.isnan(verdict.low) and not np.isnan(verdict.mean_low):
        ends, mark = (verdict.mean_low, verdict.mean_high), ONE_RUN
    cells = [
        _number(row.value, row.metric, row.recalled),
        _number(verdict.mean, row.metric),
        _interval(*ends, _FORMS.get(row.metric, ".3f"), mark),
        verdict_cell(verdict.outcome, verdict.detail),
        Cell(str(verdict.runs) if verdict.runs else Cell.MISSING),
        Cell(str(len(verdict.seeds)) if verdict.seeds else Cell.MISSING),
        Cell(verdict.epochs or Cell.MISSING),
    ]
    place = f"{row.place}, from an earlier paper" if row.copied else row.place
    return Row([label], cells, note=place, fold=_fold(verdict.outcome))


def _fold(outcome: str) -> str:
    return NOT_RUN if outcome == NOT_RUN else ""


def _about(known: Evidence) -> str:
    """The data sets, epochs, seeds and model behind the numbers."""
    config, runs = known.config, known.found.runs
    done = set(runs.loc[runs["status"] == "complete", "dataset"])
    names = ", ".join(captions.dataset(config, key) for key in config.datasets if key in done)
    parts = [
        names or "no complete run",
        captions.epochs(config, runs),
        captions.seeds(config, runs),
    ]
    return f"{'; '.join(parts)}; the model of the best validation loss."


def verdict_cell(outcome: str, detail: str = "") -> Cell:
    """A verdict with its mark."""
    return Cell(f"{MARKS[outcome]} {outcome}", note=detail, kind=outcome.replace(" ", "-"))


def _claim_row(found: Finding) -> Row:
    weakest = found.weakest
    label = weakest.case.label if weakest else Cell.MISSING
    return Row(
        [found.claim.claim],
        [
            *_effects(weakest),
            verdict_cell(found.outcome, found.detail),
            Cell(f"{found.p_holm:.2g}") if np.isfinite(found.p_holm) else Cell(),
            Cell(found.gain or Cell.MISSING),
            Cell(label, kind="long"),
        ],
        note=found.claim.place,
        fold=_fold(found.outcome),
    )


def _effects(weakest: Result | None) -> list[Cell]:
    if weakest is None:
        return [Cell(), Cell(), Cell()]
    if weakest.case.exact is not None:
        return [_ratio(weakest.case.published), _ratio(weakest.effect), Cell()]
    points = any(what.metric == "overlap" for _, what in weakest.case.parts)
    form = "+.1f" if points else "+.3f"
    return [
        _signed(weakest.case.published, form),
        _signed(weakest.effect, form),
        _interval(weakest.low, weakest.high, form),
    ]


_FORMS = {"parameters": ",.0f", OVERLAP: ".1f"}


def _number(value: float, metric: str, recalled: bool = False) -> Cell:
    if np.isnan(value):
        return Cell()
    mark = marks.RECALLED if recalled else ""
    return Cell(number(value, _FORMS.get(metric, ".3f")), marks=mark)


def _chosen(row: Mapping[str, Any], rule: str) -> Cell:
    value, spread = row[rule], row[f"{rule}_spread"]
    if np.isnan(value):
        return Cell()
    marked = marks.average(
        row[f"{rule}_found"], row["expected"], constant=row[f"{rule}_constant"], area=value
    )
    shown = "" if np.isnan(spread) else number(spread, ".3f")
    return Cell(number(value, ".3f"), shown, marked, kind=rule)


def _signed(value: float, form: str = "+.3f") -> Cell:
    return Cell() if np.isnan(value) else Cell(number(value, form))


def _ratio(value: float) -> Cell:
    return Cell() if np.isnan(value) else Cell(f"{number(value, '.1f')} times")


def _interval(low: float, high: float, form: str = ".3f", mark: str = "") -> Cell:
    if np.isnan(low):
        return Cell()
    return Cell(f"{number(low, form)} to {number(high, form)}", marks=mark, kind="interval")


def _counted(outcomes: Iterable[str]) -> str:
    counts = Counter(outcomes)
    return ", ".join(f"{counts[name]} {name}" for name in MARKS if counts[name]) + "."
