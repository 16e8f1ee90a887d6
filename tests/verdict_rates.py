"""How often the rule of the verdicts errs: ``python -m tests.verdict_rates`` prints the table.

Runs of a class are normal about its true AUROC; all share the deviation that the drawn test
outliers give. The published number is one run with test outliers of its own. The spreads over seeds
are those of the three known runs of GradCon on CIFAR-10; the average is over ten classes, with
spreads of these three and seven in between, such that its own is 0.0117.
"""

import sys
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np

from benchmark.statistics.decisions import MARGIN, decide
from benchmark.statistics.intervals import Array
from benchmark.statistics.replicates import of_runs

TEST_ERROR = 0.0123
"""DeLong's standard error of the AUROC of one class of CIFAR-10; half of its variance is of the
outliers."""

SPREADS: Mapping[str, Array] = {
    "cat": np.array([0.010]),
    "dog": np.array([0.029]),
    "truck": np.array([0.090]),
    "average": np.array([0.010, 0.029, 0.090, *[0.0258] * 7]),
}
"""Standard deviation over seeds of each inlier class of a number."""

RUNS = (2, 5, 10, 40)


def draws(
    spreads: Array, runs: int, number: int, together: float, rng: np.random.Generator
) -> Iterator[tuple[Array, Array]]:
    """Deviations from the truth: of our runs, (runs, classes), and of one published average.

    Args:
        spreads: over seeds, of each class.
        runs: of ours.
        number: how many to draw.
        together: variance of an average over that of independent classes, at least 1: what classes
            of one seed have in common.
        rng: of the drawing.
    """
    classes = spreads.size
    outliers = TEST_ERROR / np.sqrt(2)
    common = np.sqrt((together - 1) * (spreads**2).sum()) / classes
    for _ in range(number):
        # One row more: the published run.
        trained = rng.normal(0, spreads, (runs + 1, classes)) + rng.normal(0, common, (runs + 1, 1))
        shared, own = rng.normal(0, outliers, (2, classes))
        yield trained[:-1] + shared, (trained[-1] + own).mean()


def rates(
    spreads: Array,
    runs: int,
    distance: float = 0.0,
    *,
    drawn: bool = True,
    together: float = 1.0,
    number: int = 1000,
    seed: int = 0,
) -> Counter[str]:
    """Shares of the decisions, where the published number is ``distance`` above the truth.

    ``drawn``: its own mean is, and it is one run about that; else it is so itself.
    """
    rng = np.random.default_rng([seed, runs, spreads.size, round(1e6 * spreads[0])])
    outliers = TEST_ERROR**2 / 2 / spreads.size
    decisions = Counter(
        decide(of_runs(0.65 + ours), 0.65 + distance + drawn * published, outliers)
        for ours, published in draws(spreads, runs, number, together, rng)
    )
    return Counter({name: count / number for name, count in decisions.items()})


def table(number: int) -> Iterator[tuple[str, ...]]:
    """Rows of the table, the head first; shares in per cent."""
    yield (
        *("number", "runs", "reproduced", "compatible", "inconclusive", "higher or lower"),
        *(f"reproduced, {MARGIN:g} away", f"reproduced, mean {MARGIN:g} away"),
        *("higher or lower, 1.5 times", "3 times the variance together"),
    )
    for name, spreads in SPREADS.items():
        for runs in RUNS:
            null = rates(spreads, runs, number=number)
            shares = [null["same"], null["noisy"], null["open"], null["above"] + null["below"]]
            for drawn in (False, True):
                shares.append(rates(spreads, runs, MARGIN, drawn=drawn, number=number)["same"])
            if spreads.size > 1:
                for together in (1.5, 3.0):
                    wrong = rates(spreads, runs, together=together, number=number)
                    shares.append(wrong["above"] + wrong["below"])
            yield (name, str(runs), *(f"{100 * share:.1f}" for share in shares))


def main(arguments: list[str] | None = None) -> int:
    """Print the table as Markdown."""
    parser = ArgumentParser(prog="python -m tests.verdict_rates", description=__doc__)
    parser.add_argument("--number", type=int, default=10_000, help="simulations per cell")
    head, *rows = table(parser.parse_args(arguments).number)
    print(f"| {' | '.join(head)} |\n|{' --- |' * len(head)}")
    for row in rows:
        print(f"| {' | '.join([*row, *['—'] * (len(head) - len(row))])} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
