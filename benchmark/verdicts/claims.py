"""A verdict for every claim of the paper: ``claims.yaml`` says what to compare, the runs decide.

A claim is a set of comparisons that must all hold, so it holds when the weakest is shown to
(intersection-union test), and fails when one is shown to be the other way round (Bonferroni over
them). Holm's correction runs over all claims that can be tested. With one run per class the spread
over seeds is unknown and nothing is decided, nor is it by scores that are the same for every image;
where some classes have more runs, the others are assumed to spread as they do. Fewer epochs than
published are a short run, other hyperparameters are other settings.

A published number stands for a method that was not run with the variance of a run, as
``comparisons`` says; only where the claim itself is about the printed number is it a constant.

Beside the claim itself: whether the paper's *gain*, the difference in the weakest comparison,
replicates, even where absolute values moved.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import yaml
from pydantic import Field, TypeAdapter, ValidationError

from benchmark.errors import InputError
from benchmark.published import Published
from benchmark.statistics import decisions, intervals
from benchmark.utils.text import first
from benchmark.verdicts.comparisons import Comparison, Model, Result, Workbench
from benchmark.verdicts.reproduced import Reproduced

FILE = Path(__file__).with_name("claims.yaml")

Outcome = Literal["holds", "fails", "undecided", "short run", "other settings", "not run"]
Gain = Literal["", "replicates", "smaller", "larger", "not shown", "reversed"]


class Claim(Model):
    """A claim of the paper and what it takes to hold."""

    id: str
    place: str
    claim: str
    rank: str = ""
    holds_if: Annotated[tuple[Comparison, ...], Field(min_length=1)]


@dataclass(frozen=True)
class Finding:
    """A claim with its verdict.

    Attributes:
        claim: as in ``claims.yaml``.
        results: of all its comparisons.
        outcome: the verdict.
        weakest: the comparison of the smallest effect; None if none could be made.
        missing: why the first comparison that cannot be made cannot; else empty.
        short_epochs: epochs of the runs, if one has fewer than published; else empty.
        other_settings: hyperparameters that differ from the published ones, with their method.
        constant_classes: classes of which a run scores every image the same, with their method.
        one_run: whether the spread over seeds is not known.
        borrowed: methods that were not run and are compared by their published numbers.
        rank: of the claim's method among the ``ranked`` ones that are compared, 1 the highest; 0
            if the claim has none.
        ranked: how many methods that is.
        p: two-sided, of the claim; NaN where it is not a matter of chance or not tested.
        p_holm: the same by Holm over all claims.
        gain: what became of the paper's difference in the weakest comparison, as ``gain`` says;
            empty unless the claim holds, fails or is undecided.
    """

    claim: Claim
    results: Sequence[Result]
    outcome: Outcome
    weakest: Result | None = None
    missing: str = ""
    short_epochs: str = ""
    other_settings: str = ""
    constant_classes: str = ""
    one_run: bool = False
    borrowed: tuple[str, ...] = ()
    rank: int = 0
    ranked: int = 0
    p: float = float("nan")
    p_holm: float = float("nan")
    gain: Gain = ""


def load(path: Path = FILE) -> tuple[Claim, ...]:
    """The claims.

    Raises:
        InputError: a file that is not made as ``claims.yaml`` says, or an id that comes twice.
    """
    try:
        plain = yaml.safe_load(path.read_text(encoding="utf-8"))
        claims = TypeAdapter(tuple[Claim, ...]).validate_python(plain)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise InputError(f"{path}: {where}: {problem['msg']}; correct it") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML ({' '.join(str(error).split())}); correct it") from None
    names = [claim.id for claim in claims]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(f"{path}: the id {twice[0]} comes twice; rename one")
    return claims


def judge(
    reproduced: Reproduced, root: Path, published: Sequence[Published], claims: Sequence[Claim]
) -> list[Finding]:
    """A verdict for every claim, from the runs under ``root``."""
    bench = Workbench(reproduced, root, published)
    findings = [
        _before_holm(claim, [result for part in claim.holds_if for result in bench.compare(part)])
        for claim in claims
    ]
    tested = [index for index, finding in enumerate(findings) if np.isfinite(finding.p)]
    adjusted = decisions.holm([findings[index].p for index in tested])
    for index, p in zip(tested, adjusted, strict=True):
        findings[index] = _after_holm(findings[index], float(p))
    return findings


def gain(result: Result) -> Gain:
    """What became of the paper's difference.

    ``reversed``: ours is shown to have the other sign; ``not shown``: to have neither.
    ``replicates``: same sign, and the paper's, which is one draw, lies in the 95 % prediction
    interval of a new one; ``smaller`` or ``larger``: same sign, but it lies outside. Empty without
    a published difference or without an interval.
    """
    published = result.case.published
    if not np.isfinite(published) or not result.spread_known or result.case.exact is not None:
        return ""
    sign = -1 if published < 0 else 1
    low, high = sorted(sign * end for end in (result.low, result.high))
    if high < 0:
        return "reversed"
    if low <= 0:
        return "not shown"
    if result.new_low <= published <= result.new_high:
        return "replicates"
    return "smaller" if sign * result.effect < abs(published) else "larger"


DIFFERENCES = ("short_epochs", "other_settings", "constant_classes")
"""What keeps runs from being compared with the published ones: of a claim and of a comparison."""


def frame(findings: Sequence[Finding]) -> pd.DataFrame:
    """A row per comparison: fields of its claim's ``Finding``, then those of its ``Result``.

    ``claim_*`` are of the finding where both have the field; ``weakest`` marks the comparison that
    decides the verdict, ``points`` an effect in percentage points of overlap, ``times`` one that
    is a ratio of parameter counts.
    """
    return pd.DataFrame(
        [
            {
                **finding.claim.model_dump(include={"id", "place", "claim"}),
                **_fields(finding, "outcome", "one_run", "rank", "ranked", "p", "p_holm", "gain"),
                **{f"claim_{name}": getattr(finding, name) for name in ("missing", *DIFFERENCES)},
                "claim_borrowed": ", ".join(finding.borrowed),
                "comparison": result.case.label,
                "dataset": " ".join(dict.fromkeys(w.dataset for _, w in result.case.parts)),
                "weakest": result is finding.weakest,
                **_fields(result, "effect", "low", "high", "new_low", "new_high"),
                **_fields(result, "p_not_above", "runs", *DIFFERENCES),
                **_fields(result, "spread_classes", "classes", "spread_dataset"),
                "published_effect": result.case.published,
                "effect_ratio": result.effect / (result.case.published or np.nan),
                "borrowed": " ".join(result.case.borrowed),
                "missing": result.case.missing,
                "points": any(what.metric == "overlap" for _, what in result.case.parts),
                "times": result.case.exact is not None,
            }
            for finding in findings
            for result in finding.results
        ]
    )


def _fields(of: Finding | Result, *names: str) -> dict[str, Any]:
    return {name: getattr(of, name) for name in names}


def _before_holm(claim: Claim, results: Sequence[Result]) -> Finding:
    """The verdict before Holm's correction, which needs the p-values of all claims."""
    made = [result for result in results if not result.case.missing]
    weakest = min(made, key=lambda result: result.effect - result.case.least, default=None)
    finding = Finding(claim, results, "not run", weakest)
    if weakest is None or len(made) < len(results):
        return replace(finding, missing=first(result.case.missing for result in results))
    rank, ranked = _rank(claim.rank, made) if claim.rank else (0, 0)
    finding = replace(
        finding,
        outcome="undecided",
        borrowed=tuple(dict.fromkeys(name for result in made for name in result.case.borrowed)),
        rank=rank,
        ranked=ranked,
    )
    short, other, constant = (
        first(getattr(result, name) for result in made) for name in DIFFERENCES
    )
    if all(result.case.exact is not None for result in made):
        holds: Outcome = "holds" if weakest.effect >= weakest.case.least else "fails"
        outcome: Outcome = "other settings" if other else holds
        return replace(finding, outcome=outcome, other_settings=other)
    if short or other:
        outcome = "short run" if short else "other settings"
        return replace(finding, outcome=outcome, short_epochs=short, other_settings=other)
    if constant:
        return replace(finding, constant_classes=constant)
    finding = replace(finding, gain=gain(weakest))
    if not all(result.spread_known for result in made):
        return replace(finding, one_run=True)
    not_held = max(result.p_not_above for result in made)
    not_failed = len(made) * min(result.p_not_below for result in made)
    return replace(finding, p=min(1.0, 2 * min(not_held, not_failed)))


def _rank(method: str, results: Sequence[Result]) -> tuple[int, int]:
    """The rank of a method, 1 the highest, and among how many that are compared with it."""
    ahead: dict[str, bool] = {}
    for result in results:
        one, other = result.case.methods
        if method in (one, other):
            rival, lead = (other, -result.effect) if one == method else (one, result.effect)
            # A method with several scores is ranked by its best one.
            ahead[rival] = ahead.get(rival, False) or lead > 0
    return sum(ahead.values()) + 1, len(ahead) + 1


def _after_holm(finding: Finding, p_holm: float) -> Finding:
    """The verdict of a tested claim."""
    finding = replace(finding, p_holm=p_holm)
    if p_holm >= 1 - intervals.LEVEL:
        return finding
    reversed_ = min(result.p_not_below for result in finding.results) < 0.5 - intervals.LEVEL / 2
    held = max(result.p_not_above for result in finding.results) < 0.5 - intervals.LEVEL / 2
    return replace(finding, outcome="holds" if held and not reversed_ else "fails")
