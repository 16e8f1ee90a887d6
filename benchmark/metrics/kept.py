"""Tables kept between computations, so that each is computed once (``metrics/kept``).

A table is kept under a key, which says all that it was made from. A file that was written under
another key, or is damaged, counts as absent. So the folder may be deleted at any time.
"""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmark.utils.code_digest import digest
from benchmark.utils.files import atomic

_CODE = ("benchmark.metrics.kept", "benchmark.metrics.of_run", "benchmark.metrics.pool")
_NOT_IN_NUMBERS = ("benchmark.config", "benchmark.data")
"""Packages that the code of the numbers imports, but gets everything from as an argument."""


def code_key() -> str:
    """A hash of the code that computes numbers from scores, and of the libraries that it uses."""
    versions = f"{np.__version__} {pa.__version__}"
    return f"{digest(*_CODE, without=_NOT_IN_NUMBERS)} {versions}"


def read(path: Path, key: str) -> pa.Table | None:
    """The table that is kept in a file under a key; None if there is none."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    stated, table = content[:_HASH], content[_HASH:]
    return pa.ipc.open_stream(table).read_all() if stated == _hash(key, table) else None


def write(path: Path, key: str, table: pa.Table) -> None:
    """Keep a table in a file under a key."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, table.schema, options=options) as stream:
        stream.write_table(table.combine_chunks())
    content = sink.getvalue().to_pybytes()
    with atomic(path) as beside:
        beside.write_bytes(_hash(key, content) + content)


def _hash(key: str, content: bytes) -> bytes:
    return hashlib.sha256(key.encode() + content).digest()


_HASH = len(_hash("", b""))
