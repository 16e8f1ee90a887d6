"""The measurements run and their comparisons are right; no test depends on how fast anything is."""

from typing import get_args

import pandas as pd
import torch

from benchmark import data
from gradcon.forms import FORMS
from gradcon.settings import Precision
from performance import accelerator, counting, determinism, peak, timing
from performance.bench import COLUMNS, main
from performance.cases import SMALL
from performance.scale.__main__ import lines
from performance.scale.__main__ import main as scale
from performance.scale.process import Cost


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


def test_every_section_fills_the_table(tmp_path, forking):
    main(["--small", "--out", str(tmp_path)])
    table = pd.read_csv(tmp_path / "bench.csv")
    timed = table["section"] != "peak memory"
    assert (table.loc[timed, "median_ms"] > 0).all()
    assert (table.loc[~timed, "peak_mb"] >= 0).all()
    assert table["section"].nunique() == (11 if torch.cuda.is_available() else 8)
    assert (tmp_path / "bench.png").stat().st_size > 10_000


def test_what_is_measured_on_a_gpu_runs_without_one(monkeypatch):
    monkeypatch.setattr(accelerator, "STEPS", 2)
    sections = (accelerator.stack_steps, accelerator.epochs, accelerator.scoring)
    table = [row for section in sections for row in section(SMALL, "cpu")]
    assert [(row["section"], row["case"], row.get("models")) for row in table] == [
        *(("stack, per step (cpu)", form, models) for models in (1, 2) for form in FORMS),
        ("ten classes (cpu)", "one epoch", 10),
        ("ten classes (cpu)", "1000 epochs, extrapolated", 10),
        ("scoring, per image (cpu)", "one backward pass per image", None),
        ("scoring, per image (cpu)", "batched, exact", None),
    ]
    assert all(row.keys() <= set(COLUMNS) for row in table)


def test_the_table_of_a_gpu_counts_without_one(capsys):
    accelerator.main(["--models", "1", "2", "--batch", "4"])
    head, _, *rows, foot = capsys.readouterr().out.splitlines()
    if not torch.cuda.is_available():
        assert head.startswith("no GPU here: times are not measured;")
        assert all("not measured" in row for row in rows)
    assert len(rows) == 2 * len(FORMS) * len(get_args(Precision)) and foot.startswith("limit: ms")


def test_a_row_of_the_table_measured(monkeypatch):
    """On the CPU: its times are positive, its limit follows from the rates."""
    monkeypatch.setattr(
        accelerator,
        "measure_limits",
        lambda device: accelerator.Limits(dict.fromkeys(accelerator.PRECISIONS, 1e9), 1e9),
    )
    first = next(accelerator.table(SMALL, "cpu", 600, [2]))
    assert first.seconds > 0 and first.limit == max(first.work.flops, first.work.bytes) / 1e9
    (line, *_) = list(accelerator.lines([first]))[1:]
    assert f"{1000 * first.seconds:.3f}" in line and f" {first.work.kernels} " in line
    late = next(accelerator.table(SMALL, "cpu", 0, [2]))
    assert late.work == first.work and late.seconds is None, "the time was over"


def test_rates_of_a_device_are_measured():
    limits = accelerator.measure_limits("cpu", side=16, repeats=1)
    assert min(*limits.flops.values(), limits.bandwidth) > 0


def test_the_work_of_a_product_is_counted():
    left, right = (torch.empty(3, 4, 5, device=counting.DEVICE) for _ in range(2))
    asked = counting.work(lambda: torch.bmm(left, right.mT).add_(1))
    assert asked.flops == 2 * 3 * 4 * 4 * 5
    assert asked.kernels == 2
    assert asked.bytes == 4 * (2 * 60 + 48) + 4 * (48 + 48)


def test_the_share_of_the_peak_is_measured():
    assert min(peak.rates(batch=2, side=16, repeats=1)) > 0


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


def test_scale_fills_its_table(capsys):
    scale(["--jobs", "10", "--runs", "100", "--no-report"])
    _, _, *rows = capsys.readouterr().out.splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [int(number) for _, number, *_ in cells] == [10] * 3 + [100] * 3
    assert len({name for name, *_ in cells}) == len(cells)
    assert all(
        float(cell) > 0 for *_, seconds, _, megabytes, _ in cells for cell in (seconds, megabytes)
    )


def test_the_exponent_is_that_of_the_same_measurement():
    rows = [("a", 0, 1.0), ("a", 10, 2.0), ("b", 10, 5.0), ("a", 20, 8.0), ("b", 40, 5.0)]
    written = lines((name, number, Cost(seconds, 0.0, 0.0)) for name, number, seconds in rows)
    assert [line.split("|")[-2].strip() for line in written] == ["", "", "", "2.00", "0.00"]
