"""Score tables are stored in little space and read back bit by bit."""

from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from benchmark.utils.parquet import write_parquet

FLOATS = st.floats(width=32, allow_nan=False)


@given(st.lists(st.tuples(FLOATS, st.integers(-(2**31), 2**31 - 1), st.booleans()), min_size=1))
def test_every_value_is_read_back(tmp_path_factory, rows) -> None:
    values, ids, flags = (list(column) for column in zip(*rows, strict=True))
    table = pd.DataFrame(
        {
            "sample_id": np.array(ids, np.int32),
            "inlier": np.array(flags, bool),
            "model": pd.Categorical(["last"] * len(ids), ["best", "last"]),
            "gradient": np.array(values, np.float32),
        }
    )
    path = tmp_path_factory.mktemp("tables") / "scores.parquet"
    write_parquet(table, path)
    again = pd.read_parquet(path)
    pd.testing.assert_frame_equal(again, table)
    assert again["gradient"].to_numpy().tobytes() == table["gradient"].to_numpy().tobytes()


def test_scores_take_less_space_than_pandas_gives_them(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0.01, 0.003, 4000).astype(np.float32)
    table = pd.DataFrame({"sample_id": np.arange(0, 12000, 3, dtype=np.int32), "score": noise})
    write_parquet(table, tmp_path / "small.parquet")
    table.to_parquet(tmp_path / "large.parquet", index=False, compression="zstd")
    small, large = ((tmp_path / f"{name}.parquet").stat().st_size for name in ("small", "large"))
    assert small < 0.6 * large


def test_the_ids_of_a_second_model_take_hardly_any_space(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    drawn = rng.permutation(70_000)[:2000].astype(np.int32)

    def size(models: int) -> int:
        ids = np.tile(drawn, models)
        table = pd.DataFrame({"sample_id": ids, "label": (ids % 10).astype(np.int16)})
        write_parquet(table, tmp_path / "ids.parquet")
        return (tmp_path / "ids.parquet").stat().st_size

    assert size(10) < 1.2 * size(1)
