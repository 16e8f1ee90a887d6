"""The paper's claims as a table."""

from collections.abc import Sequence

import numpy as np

from benchmark.tables.cells import _about, _counted, _fold, _interval, _signed, verdict_cell
from benchmark.tables.table import Cell, Row, Table, number
from benchmark.verdicts import claims
from benchmark.verdicts.claims import Finding
from benchmark.verdicts.comparisons import Result
from benchmark.verdicts.reproduced import Evidence


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


def _ratio(value: float) -> Cell:
    return Cell() if np.isnan(value) else Cell(f"{number(value, '.1f')} times")
