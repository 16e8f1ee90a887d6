"""The first screen of the report: the question, its answer in one sentence, and three tiles.

All of it comes from the verdicts, so that it says no more than these, whatever has run.
"""

from typing import Any

import numpy as np
import pandas as pd

from benchmark import captions, layout, scores
from benchmark.config import Config
from benchmark.metrics import Metrics
from benchmark.published import AVERAGE
from benchmark.utils.text import counted, with_verdict
from benchmark.verdicts import Verdicts
from benchmark.verdicts.numbers import DECIDED, OPEN, outcomes

HEADLINE = ("cae_grad", "score")
"""Whose average AUROC the paper puts first, on CIFAR-10; where that has not run, on another set."""

PLACES = ["Table 3", "Table 4", "Table 7"]
"""Where it stands in the paper: CIFAR-10, MNIST and Fashion-MNIST."""

HELPS, AHEAD, BEST = "constraint-helps", "gradient-beats-reconstruction", "cifar10-best"
"""Claims of the paper: that the constraint raises the AUROC of the gradient loss, that this beats
the reconstruction error, and that GradCon is the best method."""

NUMBER = {
    "reproduced": "yes",
    "higher": "no, ours is higher",
    "lower": "no, ours is lower",
    "compatible": "compatible, but the runs are too noisy to confirm it",
    "inconclusive": "not decided yet",
    "short run": "not tested, as the runs are short",
    "other settings": "not tested, as the settings differ",
    "not run": "not run",
}
CLAIMS = ("holds", "fails")
OPEN_CLAIMS = ("undecided", "short run", "other settings", "not run")

Tile = dict[str, str]


def first_screen(config: Config, numbers: Metrics, verdicts: Verdicts) -> dict[str, Any]:
    """Question, answer, tiles, and the data set whose forest plot belongs to them."""
    if not layout.judged(config) or verdicts.numbers.empty:
        return {
            "question": "Which score tells the outliers best?",
            "answer": _best_scores(config, numbers, verdicts),
            "tiles": [],
            "forest": "",
        }
    headline = _headline(verdicts.numbers)
    claims = verdicts.claims[verdicts.claims["weakest"]].set_index("id")
    helps, ahead, best = (
        claims.loc[name] if name in claims.index else None for name in (HELPS, AHEAD, BEST)
    )
    return {
        "question": "Was GradCon reproduced?",
        "answer": _answer(config, headline, helps, ahead, best),
        "tiles": [
            _headline_tile(config, headline),
            _mechanism_tile(helps, ahead),
            _decided_tile(verdicts),
        ],
        "forest": headline.dataset,
    }


def _headline(judged: pd.DataFrame) -> Any:
    """The published average of GradCon that ran, CIFAR-10 first; that of CIFAR-10 if none has."""
    method, component = HEADLINE
    of = (
        (judged["method"] == method)
        & (judged["component"] == component)
        & (judged["metric"] == "AUROC")
        & (judged["inlier"] == AVERAGE)
        & judged["outlier_ratio"].isna()
    )
    rows = judged[of]
    rows = rows.assign(idle=rows["outcome"] == "not run", order=rows["place"].map(PLACES.index))
    return next(rows.sort_values(["idle", "order"], kind="stable").itertuples())


def _answer(config: Config, headline: Any, helps: Any, ahead: Any, best: Any) -> str:
    """One sentence: the headline number, the mechanism, the rank."""
    parts = [f"Headline number: {NUMBER[headline.outcome]}{_compared(headline)}"]
    parts.append(f"mechanism: {_standing(helps)}{_share(ahead)}")
    if best is not None and best["rank"]:
        parts.append(
            f"best on CIFAR-10: {_judged(best)}, rank {best['rank']} of {best['ranked']}"
            + " by the published numbers of others" * bool(best["claim_borrowed"])
        )
    else:
        parts.append(f"best on CIFAR-10: {_judged(best)}")
    return f"{'; '.join(parts)}."


def _compared(row: Any) -> str:
    return "" if np.isnan(row.mean) else f" ({row.mean:.3f} against {row.published:.3f})"


def _judged(claim: Any) -> str:
    """What became of a claim, in a word."""
    if claim is None:
        return "not run"
    return {"holds": "yes", "fails": "no", "undecided": "not decided"}.get(
        claim["outcome"], f"not tested ({claim['outcome']})"
    )


def _standing(claim: Any) -> str:
    """The same, and for a claim that is not decided the way the runs point."""
    if claim is None or claim["outcome"] in ("holds", "fails", "not run"):
        return "not run" if claim is None or claim["outcome"] == "not run" else _judged(claim)
    where = {"short run": "short runs", "other settings": "runs of other settings"}
    way = "yes" if claim["effect"] > 0 else "no"
    return f"in {where.get(claim['outcome'], 'these runs')} {way}"


def _share(claim: Any) -> str:
    """How large the paper's difference is here."""
    if claim is None or not np.isfinite(claim["effect_ratio"]):
        return ""
    return f", {claim['effect_ratio']:.2f} times as large as published"


def _headline_tile(config: Config, row: Any) -> Tile:
    title = config.datasets[row.dataset].title if row.dataset else row.published_dataset
    texts = [f"Published {row.published:.3f}: GradCon on {title}, average AUROC, {row.place}."]
    if np.isfinite(row.low):
        texts.append(f"95 % of new runs lie in {row.low:.3f} to {row.high:.3f}.")
    if row.runs:
        texts.append(f"{counted(row.runs, 'run')} of {counted(row.seed_count, 'seed')}.")
    return {
        "title": "Headline number",
        "value": "—" if np.isnan(row.mean) else f"{row.mean:.3f}",
        "verdict": row.outcome,
        "text": " ".join(
            [*texts, f"{row.missing[:1].upper()}{row.missing[1:]}." * bool(row.missing)]
        ),
        "link": "verdicts",
    }


def _mechanism_tile(helps: Any, ahead: Any) -> Tile:
    ran = helps is not None and np.isfinite(helps["effect"])
    texts = [f"What it adds to the AUROC of the gradient loss: {_standing(helps)}."]
    if ahead is not None and np.isfinite(ahead["effect"]):
        texts.append(
            f" The gradient loss is ahead of the reconstruction error by {ahead['effect']:+.3f},"
            f" where {ahead['published_effect']:+.3f} is published:"
            f" {ahead['effect_ratio']:.2f} times."
        )
    return {
        "title": "Does the constraint help?",
        "value": f"{helps['effect']:+.3f}" if ran else "—",
        "verdict": "not run" if helps is None else helps["outcome"],
        "text": "".join(texts),
        "link": "claims",
    }


def _decided_tile(verdicts: Verdicts) -> Tile:
    """How many of the paper's numbers and claims are decided."""
    printed = outcomes(verdicts.numbers)
    claims = verdicts.claims.drop_duplicates("id")
    numbers = _counts(printed, DECIDED, OPEN)
    judged = _counts(claims["outcome"], CLAIMS, OPEN_CLAIMS)
    done = int(printed.isin(DECIDED).sum())
    held = int(claims["outcome"].isin(CLAIMS).sum())
    return {
        "title": "Numbers decided",
        "value": f"{done} of {len(printed)}",
        "verdict": "",
        "text": f"Published numbers: {numbers}. Of {len(claims)} claims {held} decided: {judged}.",
        "link": "verdicts",
    }


def _counts(outcomes: "pd.Series[str]", *groups: tuple[str, ...]) -> str:
    return ", ".join(
        with_verdict((outcomes == name).sum(), name)
        for group in groups
        for name in group
        if (outcomes == name).any()
    )


def _best_scores(config: Config, numbers: Metrics, verdicts: Verdicts) -> str:
    """Of each data set the score of the highest average AUROC, or the claim on its challenges."""
    averages = numbers.averages
    rows = averages[
        (averages["metric"] == "auroc")
        & (averages["model"] == "best")
        & (averages["outlier_ratio"] == layout.main_ratio(config))
        & (averages["inlier"] == AVERAGE)
        & averages["beta_multiple"].isna()
        & ~averages["lacking"]
    ].sort_values("mean", ascending=False, kind="stable")
    texts = []
    for key, settings in config.datasets.items():
        claim = captions.challenge_claim(config, key, verdicts.challenge_claim)
        best: Any = next(rows[rows["dataset"] == key].itertuples(), None)
        if claim:
            texts.append(claim)
        elif best is not None:
            texts.append(
                f"On {settings.title}: the {scores.component(best.component)} of "
                f"{config.methods[best.method].title}, average AUROC {best.mean:.3f}."
            )
    return " ".join(texts) or "Not known yet: no method has a run of every inlier class."
