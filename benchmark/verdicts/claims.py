"""The paper's claims, decided: ``claims.yaml`` says what to compare, the runs say how it comes out.

A claim is a set of comparisons that must all hold, so it holds when the weakest is shown to
(intersection-union test), and fails when one is shown to be the other way round (Bonferroni over
them). Holm's correction runs over all claims that can be tested. With one run per class the spread
over seeds is unknown and nothing is decided, nor by scores that are the same for every image; where
some classes have more runs, the others are held to spread as they do. Fewer epochs than the paper
are a short run, other hyperparameters are other settings.

Beside the claim itself: whether the paper's *gain*, the difference in the weakest comparison,
replicates, even where absolute values moved.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import yaml
from pydantic import Field, TypeAdapter, ValidationError

from benchmark import statistics
from benchmark.errors import InputError
from benchmark.published import Published
from benchmark.utils.text import first
from benchmark.verdicts.comparisons import Comparison, Model, Result, Workbench
from benchmark.verdicts.reproduced import Evidence

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
        detail: what a reader needs beside it, maybe empty.
        weakest: the comparison of the smallest effect; None if none could be made.
        p: two-sided, of the claim; NaN where it is not a matter of chance or not tested.
        p_holm: the same by Holm over all claims.
        gain: what became of the paper's difference in the weakest comparison, as ``gain`` says;
            empty unless the claim holds, fails or is undecided.
    """

    claim: Claim
    results: Sequence[Result]
    outcome: Outcome
    detail: str
    weakest: Result | None
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
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}: {where}: {first['msg']}; correct it") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML ({' '.join(str(error).split())}); correct it") from None
    names = [claim.id for claim in claims]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(f"{path}: the id {twice[0]} comes twice; rename one")
    return claims


def judge(
    known: Evidence, root: Path, published: Sequence[Published], claims: Sequence[Claim]
) -> list[Finding]:
    """A verdict for every claim, from the runs under ``root``."""
    bench = Workbench(known, root, published)
    findings = [
        _hear(claim, [result for part in claim.holds_if for result in bench.compare(part)])
        for claim in claims
    ]
    tested = [index for index, found in enumerate(findings) if np.isfinite(found.p)]
    adjusted = statistics.holm([findings[index].p for index in tested])
    for index, p in zip(tested, adjusted, strict=True):
        findings[index] = _rule(findings[index], float(p))
    return findings


def gain(result: Result) -> Gain:
    """What became of the paper's difference.

    ``reversed``: ours is shown to have the other sign; ``not shown``: to have neither.
    ``replicates``: same sign, and the paper's lies in our 95 % interval; ``smaller`` or ``larger``:
    same sign, but ours is further from it than that. Empty without a published difference or
    without an interval.
    """
    published = result.case.published
    if not np.isfinite(published) or not result.spread_known or result.case.exact is not None:
        return ""
    low, high = (end * (-1 if published < 0 else 1) for end in (result.low, result.high))
    low, high = min(low, high), max(low, high)
    if high < 0:
        return "reversed"
    if low <= 0:
        return "not shown"
    if low <= abs(published) <= high:
        return "replicates"
    return "smaller" if high < abs(published) else "larger"


def frame(findings: Sequence[Finding]) -> pd.DataFrame:
    """The findings as a table, one row per comparison."""
    return pd.DataFrame(
        [
            {
                "id": found.claim.id,
                "place": found.claim.place,
                "claim": found.claim.claim,
                "outcome": found.outcome,
                "detail": found.detail,
                "p": found.p,
                "p_holm": found.p_holm,
                "gain": found.gain,
                "comparison": result.case.label,
                "dataset": " ".join(dict.fromkeys(w.dataset for _, w in result.case.parts)),
                "weakest": result is found.weakest,
                "effect": result.effect,
                "low": result.low,
                "high": result.high,
                "p_not_above": result.p_not_above,
                "published_effect": result.case.published,
                "effect_ratio": result.effect / (result.case.published or np.nan),
                "runs": result.runs,
                "short": result.short,
                "other": result.other,
                "constant": result.constant,
                "borrowed": " ".join(result.case.borrowed),
                "lacks": result.case.lacks,
            }
            for found in findings
            for result in found.results
        ]
    )


def _hear(claim: Claim, results: Sequence[Result]) -> Finding:
    """The verdict as far as it does not hang on the other claims' p-values."""
    made = [result for result in results if not result.case.lacks]
    weakest = min(made, key=lambda result: result.effect - result.case.least, default=None)
    told = Finding(claim, results, "not run", "", weakest)
    if weakest is None or len(made) < len(results):
        lacks = next(result.case.lacks for result in results if result.case.lacks)
        part = f"{len(results) - len(made)} of {len(results)} comparisons: " if made else ""
        return replace(told, detail=part + lacks)
    borrowed = list(dict.fromkeys(name for result in made for name in result.case.borrowed))
    beside = [f"against published numbers of {', '.join(borrowed)}"] if borrowed else []
    beside += [_rank(claim.rank, made)] if claim.rank else []
    short, other, constant = (
        first(getattr(result, name) for result in made) for name in ("short", "other", "constant")
    )
    if all(result.case.exact is not None for result in made):
        holds: Outcome = "holds" if weakest.effect >= weakest.case.least else "fails"
        return _told(told, "other settings" if other else holds, other, *beside)
    if short or other:
        return _told(told, "short run" if short else "other settings", short, other, *beside)
    if constant:
        return _told(told, "undecided", constant, *beside)
    told = replace(told, gain=gain(weakest))
    if not all(result.spread_known for result in made):
        unknown = "one run per class: the spread over seeds is not known"
        return _told(told, "undecided", unknown, *beside)
    told = _told(told, "undecided", *beside, weakest.spread)
    not_held = max(result.p_not_above for result in made)
    not_failed = len(made) * min(result.p_not_below for result in made)
    return replace(told, p=min(1.0, 2 * min(not_held, not_failed)))


def _told(found: Finding, outcome: Outcome, *details: str) -> Finding:
    return replace(found, outcome=outcome, detail="; ".join(filter(None, details)))


def _rank(method: str, results: Sequence[Result]) -> str:
    """The rank of a method, 1 the highest, among those that it is compared with."""
    ahead: dict[str, bool] = {}
    for result in results:
        one, other = result.case.methods
        if method in (one, other):
            rival, lead = (other, -result.effect) if one == method else (one, result.effect)
            # Of a method with several scores the best one stands for it.
            ahead[rival] = ahead.get(rival, False) or lead > 0
    return f"rank {sum(ahead.values()) + 1} of {len(ahead) + 1}"


def _rule(found: Finding, p_holm: float) -> Finding:
    """The verdict of a tested claim."""
    told = replace(found, p_holm=p_holm)
    if p_holm >= 1 - statistics.LEVEL:
        return told
    reversed_ = min(result.p_not_below for result in found.results) < 0.5 - statistics.LEVEL / 2
    held = max(result.p_not_above for result in found.results) < 0.5 - statistics.LEVEL / 2
    return replace(told, outcome="holds" if held and not reversed_ else "fails")
