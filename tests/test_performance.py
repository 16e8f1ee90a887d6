"""The measurements run and their comparisons are right; no test depends on how fast anything is."""

import pandas as pd
import torch

from benchmark import data
from performance import accelerator, determinism, timing
from performance.bench import COLUMNS, main
from performance.cases import SMALL


def test_alternate_takes_turns_and_compares_round_by_round(monkeypatch):
    clock, calls = [0.0], []
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock[0])
    durations = {"slow": iter([99, 6, 30, 6]), "fast": iter([99, 2, 5, 3])}

    def caller(name):
        def call():
            calls.append(name)
            clock[0] += next(durations[name])

        return call

    timed = timing.alternate({name: caller(name) for name in durations}, 3, warm_up=1)
    assert calls == ["slow", "fast"] * 4
    assert timed == {"slow": (6, 1.0), "fast": (3, 3.0)}


def test_every_section_fills_the_table(tmp_path):
    main(["--small", "--out", str(tmp_path)])
    table = pd.read_csv(tmp_path / "bench.csv")
    timed = table["section"] != "peak memory"
    assert (table.loc[timed, "median_ms"] > 0).all()
    assert (table.loc[~timed, "peak_mb"] >= 0).all()
    assert table["section"].nunique() == (11 if torch.cuda.is_available() else 8)
    assert (tmp_path / "bench.png").stat().st_size > 10_000


def test_what_is_measured_on_a_gpu_runs_without_one():
    sections = (accelerator.stack_steps, accelerator.epochs, accelerator.scoring)
    table = [row for section in sections for row in section(SMALL, "cpu")]
    assert [(row["section"], row["case"], row.get("models")) for row in table] == [
        ("stack, per step (cpu)", "batched", 1),
        ("stack, per step (cpu)", "batched", 2),
        ("ten classes (cpu)", "one epoch", 10),
        ("ten classes (cpu)", "1000 epochs, extrapolated", 10),
        ("scoring, per image (cpu)", "one backward pass per image", None),
        ("scoring, per image (cpu)", "batched, exact", None),
    ]
    assert all(row.keys() <= set(COLUMNS) for row in table)


def test_the_same_bytes_resumed_or_not_stacked_or_not_and_with_any_hash_seed():
    """Each way in a process of its own; another seed shows that a difference would be seen."""
    ways = determinism.SAME | {"seed 1": determinism.Way(seed=1)}
    table = determinism.measure(data.read("digits", None, 28), [3], ways, epochs=2, most=20)
    assert list(table["component"].unique()) == ["reconstruction", "gradient", "GradCon"]
    same = table.groupby("way")["same_bytes"].all()
    assert dict(same) == {"first": True, **dict.fromkeys(determinism.SAME, True), "seed 1": False}
    numbers = table.loc[table["way"] != "seed 1", ["relative", "auroc_difference"]]
    assert (numbers.to_numpy() == 0).all()
    assert (table.loc[table["way"] == "seed 1", "first_difference"] == 1).all()
    rows = determinism.summary(table)
    assert list(rows["Same bytes"]) == ["1 of 1"] * len(determinism.SAME) + ["0 of 1"]
    assert rows["Scores differ by"][0] == "0 to 0"
    assert determinism.markdown(rows).count("\n") == len(rows) + 1
