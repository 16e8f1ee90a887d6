"""The configuration: what to run, checked in full before any job starts.

``models`` states the keys, ``methods`` finds the methods and their hyperparameters, ``loading``
reads files and words the errors, ``data_check`` opens the data sets' files, ``schema`` serves
editors.
"""

from benchmark.config.data_check import check_data
from benchmark.config.loading import load, merged, read
from benchmark.config.models import REFERENCE, RESULTS, Config, DatasetConfig, MethodConfig

__all__ = [
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
