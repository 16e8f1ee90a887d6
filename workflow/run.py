"""Run a configuration, or go on with it whatever ended the last call: ``make run CONFIG=...``.

The lock of a Snakemake that was killed is removed first, once nothing of it runs any more, and so
is what was damaged since it was written (``workflow.repair``).
"""

import os
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from benchmark import config as configuration
from benchmark.errors import InputError
from benchmark.published import DIRECTORY
from benchmark.utils.running import wait_alone
from workflow import repair

LOCKS = Path(".snakemake/locks")
READ = (DIRECTORY, *(Path(__file__).parents[1] / name for name in ("benchmark", "workflow")))
"""Folders of this project with files that jobs read."""


def main(arguments: Sequence[str]) -> int:
    """Run ``snakemake all`` with these configuration files and options; the exit status.

    Args:
        arguments: configuration files, then options of Snakemake, which begin with ``-``.
    """
    first = next((k for k, word in enumerate(arguments) if word.startswith("-")), len(arguments))
    files, options = arguments[:first], arguments[first:]
    snakemake = [sys.executable, "-m", "snakemake"]
    try:
        root = _results(files, options)
        turn = wait_alone()  # noqa: F841
        if root:
            for line in chain(repair.date_now((root, *READ)), repair.remove_damaged(root)):
                print(line, file=sys.stderr)
    except (InputError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    if LOCKS.is_dir() and any(LOCKS.iterdir()):
        print("the last call was killed: going on with what it had completed", file=sys.stderr)
        unlock = [*snakemake, "--unlock", "--quiet", "all", "--configfile", *files]
        if status := subprocess.run(unlock).returncode:
            return status
    # In the place of this process, so that a signal reaches Snakemake, and the turn stays its own.
    os.execv(sys.executable, [*snakemake, "all", *options, "--configfile", *files])


def _results(files: Sequence[str], options: Sequence[str]) -> Path | None:
    """The folder of results that the call writes to; None if it writes to none.

    Raises:
        InputError: a mistake in the configuration.
    """
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config", "-C", nargs="*", action="extend", default=[])
    parser.add_argument("--dry-run", "--dryrun", "-n", action="store_true")
    known, _ = parser.parse_known_args(options)
    given = dict(pair.partition("=")[::2] for pair in known.config)
    place = {key: given[key] for key in ("name", "results") if key in given}
    settings = configuration.merged(*map(Path, files), place)
    config = configuration.load(settings, " + ".join(files), data=False)
    return None if known.dry_run or config.committed else config.root


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
