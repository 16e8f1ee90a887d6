"""The tests. They run in one process per core, which more threads would only slow down."""

import os

# Before NumPy and PyTorch are imported; processes that the tests start inherit it.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
