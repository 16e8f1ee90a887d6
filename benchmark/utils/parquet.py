"""Tables as Parquet files that take little space: scores and splits are the bulk of all results."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pandas.api import types


def write_parquet(table: pd.DataFrame, path: Path) -> None:
    """Write a table without its index; every value but NaN is read back bit by bit.

    The bytes of numbers are stored apart, because signs, exponents and the high bytes of sample ids
    repeat and the rest does not; so do whole columns of ids, once per model, which only bytes that
    are not packed into bits show. That halves the files of scores.
    """
    numbers = [
        name
        for name, kind in table.dtypes.items()
        if types.is_numeric_dtype(kind) and not types.is_bool_dtype(kind)
    ]
    pq.write_table(
        # Without what pandas writes beside, which says nothing more and takes more than the ids.
        pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None),
        path,
        compression="zstd",
        compression_level=19,
        use_dictionary=[name for name in table.columns if name not in numbers],
        column_encoding=dict.fromkeys(numbers, "BYTE_STREAM_SPLIT"),
        write_statistics=False,
    )
