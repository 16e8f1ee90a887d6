"""Calls of Python in a copy of the tree, without waiting for imports.

Snakemake and the large libraries take longer to import than most calls take to run. One process has
imported them, and forks a child for every call; the child imports the code of this project from the
copy of the tree, as a process that is started anew. The processes that it starts in turn, such as
the jobs of a workflow and those of ``multiprocessing``, are forks too: ``sys.executable`` is a
small program there, ``FORKED``, that asks for one, and is otherwise an interpreter like any other.
"""

import atexit
import fcntl
import functools
import gc
import json
import multiprocessing
import os
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.tree import ROOT

IMPORTED = ("matplotlib.pyplot", "pandas", "pyarrow.parquet", "pydantic", "pytest")
IMPORTED += ("seaborn", "sklearn.metrics", "snakemake.cli", "torch")
# What these import only when they are used: Snakemake for a workflow and its jobs, Matplotlib to
# write a figure, and others for a report.
IMPORTED += ("snakemake.executors.local", "snakemake.report.html_reporter", "snakemake.script")
IMPORTED += ("snakemake.workflow", "nbformat", "requests", "smart_open", "yte")
IMPORTED += ("jinja2", "matplotlib.backends.backend_svg", "pyarrow.dataset", "yaml")
IMPORTED += ("pandas.io.formats.csvs", "snakemake.benchmark", "snakemake.profiles")
# What a training imports in its first step, by half a second's work.
IMPORTED += ("safetensors.numpy", "torch.fx.experimental.symbolic_shapes")

FORKED = """#!{python} -SE
import json, os, signal, socket, sys

arguments = sys.argv[1:]
if arguments[-1:] == ["--multiprocessing-fork"]:
    arguments = arguments[arguments.index("-c") :]
elif not arguments or (arguments[0].startswith("-") and arguments[0] != "-m"):
    os.execv({python!r}, [{python!r}, *arguments])
files = [number for number in range(1, 200) if os.path.exists(f"/proc/self/fd/{{number}}")]
asks = socket.socket(socket.AF_UNIX)
asks.connect({address!r})
call = json.dumps([files, os.getcwd(), arguments, dict(os.environ)]).encode() + b"\\n"
asks.sendall(call[socket.send_fds(asks, [call], files) :])
answers = asks.makefile()
pid = int(answers.readline())
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, frame: os.kill(pid, number))
sys.exit(int(answers.readline() or 128 + signal.SIGKILL))
"""
"""Asks the process of the tests for a fork that does the work, and ends as that does.

The fork gets its open files, by the same numbers.
"""

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload([*IMPORTED])


def python(
    tree: Path, module: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``python -m module`` in a folder, with more environment variables."""
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        names = [f"/proc/{os.getpid()}/fd/{file.fileno()}" for file in (stdout, stderr)]
        command, variables = ["-m", module, *arguments], {**os.environ, **(environment or {})}
        call = (dict(enumerate(names, start=1)), str(tree), command, variables, interpreter())
        child = _forks.Process(target=_run, args=call)
        child.start()
        child.join()
        texts = []
        for file in (stdout, stderr):
            file.seek(0)
            texts.append(file.read().decode())
    return subprocess.CompletedProcess([module, *arguments], child.exitcode, *texts)


@functools.cache
def interpreter() -> str:
    """The path of the program ``FORKED``, which this process answers from here on.

    Whatever starts a Python by its path can start this one.
    """
    folder = Path(tempfile.mkdtemp(prefix="forked-"))
    atexit.register(shutil.rmtree, folder)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "socket"))
    listener.listen()
    program = folder / "python"
    program.write_text(FORKED.format(python=sys.executable, address=str(folder / "socket")))
    program.chmod(0o755)
    threading.Thread(target=_answer, args=(listener, str(program)), daemon=True).start()
    return str(program)


def _answer(listener: socket.socket, program: str) -> None:
    while True:
        asked, _ = listener.accept()
        with asked:
            _forks.Process(target=_run_and_tell, args=(asked, program)).start()


def _run_and_tell(asked: socket.socket, program: str) -> None:
    """Run the call of one who asks; that is told the process first, and how it ended last."""
    # Out of the way of the files that come, which have numbers below 200.
    asked = socket.socket(fileno=fcntl.fcntl(asked.detach(), fcntl.F_DUPFD_CLOEXEC, 500))
    line, came, _, _ = socket.recv_fds(asked, 1 << 16, 200)
    while not line.endswith(b"\n"):
        line += asked.recv(1 << 16)
    numbers, *call = json.loads(line)
    files = [fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, 500) for file in came]
    for file in came:
        os.close(file)
    asked.sendall(f"{os.getpid()}\n".encode())
    threading.Thread(target=_end_with, args=(asked,), daemon=True).start()
    code = 1
    try:
        _run(dict(zip(numbers, files, strict=True)), *call, program)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        asked.sendall(f"{code}\n".encode())


def _end_with(asked: socket.socket) -> None:
    """End with the process that asked, which is the one that others know and kill."""
    asked.recv(1)  # nothing comes before its end
    os.kill(os.getpid(), signal.SIGKILL)


def _run(
    files: Mapping[int, str | int],
    folder: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    interpreter: str,
) -> None:
    """Be ``python`` with the arguments of ``command``: ``-m`` and a module, ``-c``, or a script.

    ``files`` are names to append to, or open files, by the numbers that they are to have.
    """
    # Syntax trees and the like are many objects; there is no need to look at those from before.
    gc.freeze()
    for number, file in files.items():
        opened = file if isinstance(file, int) else os.open(file, os.O_WRONLY | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    if "torch" in sys.modules and "OMP_NUM_THREADS" in environment:
        sys.modules["torch"].set_num_threads(int(environment["OMP_NUM_THREADS"]))
    kind = command[0] if command[0] in ("-m", "-c") else ""
    sys.argv[:] = command[1:] if kind == "-m" else command
    first = folder if kind else str(Path(command[0]).resolve().parent)
    more = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:] = [first, *more, *(path for path in sys.path if path not in ("", str(ROOT)))]
    if folder != str(ROOT) and Path(folder, "benchmark").is_dir():
        # A copy of the tree keeps what is compiled, even if the tests' own tree is not to.
        sys.dont_write_bytecode = False
    sys.executable = interpreter
    multiprocessing.set_executable(interpreter)
    try:
        if kind == "-m":
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        elif kind == "-c":
            exec(sys.argv.pop(1), sys.modules["__main__"].__dict__)
        else:
            runpy.run_path(sys.argv[0], run_name="__main__")
    finally:
        atexit._run_exitfuncs()
