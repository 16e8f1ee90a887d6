"""Calls of ``python -m`` in a copy of the tree, without waiting for imports.

Snakemake and the large libraries take longer to import than most calls take to run. One process has
imported them, and forks a child for every call; the child imports the code of this project from the
copy of the tree, as a process that is started anew.
"""

import atexit
import gc
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
IMPORTED = ("matplotlib.pyplot", "pandas", "pyarrow.parquet", "pydantic", "pytest")
IMPORTED += ("seaborn", "sklearn.metrics", "snakemake.cli", "torch")

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload([*IMPORTED])


def python(
    tree: Path, module: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``python -m module`` in a folder, with more environment variables.

    Only this process itself has no imports to wait for: those that it starts are the usual ones.
    """
    command = [module, *arguments]
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        files = [f"/proc/{os.getpid()}/fd/{file.fileno()}" for file in (stdout, stderr)]
        variables = {**os.environ, **(environment or {})}
        child = _forks.Process(target=_run, args=(str(tree), command, variables, files))
        child.start()
        child.join()
        texts = []
        for file in (stdout, stderr):
            file.seek(0)
            texts.append(file.read().decode())
    return subprocess.CompletedProcess(command, child.exitcode, *texts)


def _run(tree: str, command: list[str], environment: Mapping[str, str], files: list[str]) -> None:
    # Syntax trees and the like are many objects; there is no need to look at those from before.
    gc.freeze()
    for number, file in enumerate(files, start=1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_APPEND), number)
    os.chdir(tree)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:] = [tree, *(path for path in sys.path if path not in ("", str(ROOT)))]
    sys.argv[:] = command
    try:
        runpy.run_module(command[0], run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()
