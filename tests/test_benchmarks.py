"""The benchmarks run, and compare fairly; how fast anything is, no test says."""

import pandas as pd

from benchmarks import timing
from benchmarks.bench import main


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
    assert table["section"].nunique() == 8
    assert (tmp_path / "bench.png").stat().st_size > 10_000
