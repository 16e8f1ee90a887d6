"""Who runs in a folder: one call at a time goes on, whatever ends the others."""

import select
import subprocess
import sys
import time

from tests.tree import ROOT

# As workflow.run: the turn is taken, and another program takes the place of this one.
TAKER = """
import os, sys
sys.path.insert(0, sys.argv[1])
from benchmark.utils.running import wait_alone
turn = wait_alone()
print("alone", flush=True)
os.execv(sys.executable, [sys.executable, "-c", "import sys; sys.stdin.read()"])
"""


def taker(folder):
    command = [sys.executable, "-c", TAKER, str(ROOT)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def test_the_second_waits_for_the_program_that_the_first_has_become(tmp_path):
    for kill in (False, True):
        with taker(tmp_path) as first, taker(tmp_path) as second:
            both = {first: "", second: ""}
            while not any(both.values()):
                for process in both:
                    if process.poll() is None and _readable(process.stdout):
                        both[process] = process.stdout.readline()
            (ahead,) = (process for process, line in both.items() if line == "alone\n")
            (behind,) = {first, second} - {ahead}
            assert "waiting until it ends" in behind.stderr.readline()
            time.sleep(0.2)
            assert behind.poll() is None and not _readable(behind.stdout)
            ahead.kill() if kill else ahead.stdin.close()
            assert behind.stdout.readline() == "alone\n"
            behind.stdin.close()


def _readable(stream):
    return bool(select.select([stream], [], [], 0.02)[0])
