"""Tables as Parquet files that take little space: scores and splits are the bulk of all results."""

from pathlib import Path

import pandas as pd
from pandas.api import types


def write_parquet(table: pd.DataFrame, path: Path) -> None:
    """Write a table without its index; every value but NaN is read back bit by bit.

    The four bytes of floats are stored apart, because signs and exponents repeat and the rest does
    not; integers as differences, because sample ids ascend. Both halve the files of scores.
    """
    encoding = {
        name: "BYTE_STREAM_SPLIT" if types.is_float_dtype(kind) else "DELTA_BINARY_PACKED"
        for name, kind in table.dtypes.items()
        if types.is_numeric_dtype(kind) and not types.is_bool_dtype(kind)
    }
    table.to_parquet(
        path,
        index=False,
        compression="zstd",
        compression_level=9,
        use_dictionary=[name for name in table.columns if name not in encoding],
        column_encoding=encoding,
    )
