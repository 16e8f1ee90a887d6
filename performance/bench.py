"""Measure speed and memory on this machine and write a table and a plot (``make bench``).

With one CPU thread, as the pipeline's jobs have. Compare ratios: times differ between machines and
from minute to minute.
"""

import argparse
import platform
import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import torch

from benchmark.utils.files import atomic
from gradcon.kernels.runtime import keep_freed_memory
from performance.accelerator import accelerator
from performance.cases import SECTIONS, SMALL, Sizes

COLUMNS = (
    "section",
    "case",
    "channels",
    "models",
    "images",
    "image_size",
    "median_ms",
    "times_faster",
    "peak_mb",
)


def measure(sizes: Sizes) -> pd.DataFrame:
    """All rows, in the order of the sections."""
    rows = []
    for section in (*SECTIONS, accelerator):
        for row in section(sizes):
            rows.append(row)
            print(*(f"{key} {value}" for key, value in row.items()), sep=", ", flush=True)
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(
        {name: "Int64" for name in ("channels", "models", "images", "image_size")}
    )


def plot(table: pd.DataFrame, path: Path) -> None:
    """Speed-ups, the cost per model of a stack, and the cost by number of images."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    compared = table[table["section"].isin(["training step", "scoring, per image"])]
    labels = compared["case"] + " (" + compared["channels"].astype(str) + " ch)"
    left.barh(labels[::-1], compared["times_faster"][::-1], color="#0072b2")
    left.axvline(1, color="0.3", linewidth=0.8)
    left.set_xlabel("times faster than the official formulation")
    for name, part in table[table["section"] == "stack, per model and step"].groupby("case"):
        middle.plot(part["models"].astype(int), part["median_ms"], marker="o", label=name)
    middle.set(xlabel="models in the stack", ylabel="ms per model and step", ylim=(0, None))
    middle.legend()
    for name in ("scoring by images", "an epoch by images"):
        part = table[table["section"] == name]
        right.plot(part["images"].astype(int), part["median_ms"], marker="o", label=name)
    right.set(xlabel="images", ylabel="ms", xscale="log", yscale="log")
    counts = sorted(set(table.loc[table["section"] == "scoring by images", "images"].astype(int)))
    right.set_xticks(counts, [str(count) for count in counts])
    right.minorticks_off()
    right.legend()
    with atomic(path) as beside:
        figure.savefig(beside, dpi=150)
    plt.close(figure)


def main(arguments: list[str] | None = None) -> None:
    """Measure and write ``bench.csv`` and ``bench.png``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("results/bench"))
    parser.add_argument("--small", action="store_true", help="tiny sizes, to check that it runs")
    options = parser.parse_args(arguments)
    mpl.use("Agg")
    torch.set_num_threads(1)
    keep_freed_memory()  # as training and scoring do, so that the reference has it too
    table = measure(SMALL if options.small else Sizes())
    table.insert(0, "machine", f"{platform.machine()}, torch {torch.__version__}")
    with atomic(options.out / "bench.csv") as beside:
        table.to_csv(beside, index=False, float_format="%.4g")
    plot(table, options.out / "bench.png")
    print(f"\n{options.out / 'bench.csv'}\n{options.out / 'bench.png'}", file=sys.stderr)


if __name__ == "__main__":
    main()
