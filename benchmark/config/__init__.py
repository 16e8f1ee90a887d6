"""The configuration: what to run, checked in full before any job starts.

``models`` says what a configuration may hold, ``methods`` finds the methods by name, ``load`` reads
and checks files, ``schema`` writes the JSON schema for editors.
"""

from benchmark.config.load import check_data, load, merged, read
from benchmark.config.models import (
    COMMITTED,
    REFERENCE,
    RESULTS,
    Config,
    DatasetConfig,
    MethodConfig,
)

__all__ = [
    "COMMITTED",
    "REFERENCE",
    "RESULTS",
    "Config",
    "DatasetConfig",
    "MethodConfig",
    "check_data",
    "load",
    "merged",
    "read",
]
