"""Run a configuration, or go on with it whatever ended the last call: ``make run CONFIG=...``.

The lock of a Snakemake that was killed is removed first, once nothing of it runs any more, and what
was damaged since it was written is made again (``workflow.repair``).
"""

import os
import shutil
import signal
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile

from benchmark import config as configuration
from benchmark.errors import InputError
from benchmark.published import DIRECTORY
from benchmark.utils.files import CannotBeWritten
from benchmark.utils.running import wait_alone
from workflow import repair
from workflow.jobs import Jobs

LOCKS, SCRIPTS = Path(".snakemake/locks"), Path(".snakemake/scripts")
READ = (DIRECTORY, *(Path(__file__).parents[1] / name for name in ("benchmark", "workflow")))
"""Folders of this project with files that jobs read."""


def main(arguments: Sequence[str]) -> int:
    """Run ``snakemake all`` with these configuration files and options; the exit status.

    Args:
        arguments: configuration files, then options of Snakemake, which begin with ``-``.
    """
    first = next((k for k, word in enumerate(arguments) if word.startswith("-")), len(arguments))
    files, options = arguments[:first], [*arguments[first:], "--configfile", *arguments[:first]]
    snakemake = [sys.executable, "-m", "snakemake"]
    try:
        jobs = _jobs(files, options)
        # Others wait until the program that takes the place of this one ends.
        with wait_alone():
            if LOCKS.is_dir() and any(LOCKS.iterdir()):
                _say("the last call was killed: going on with what it had completed")
                shutil.rmtree(SCRIPTS, ignore_errors=True)
                unlock = [*snakemake, "--unlock", "--quiet", "all", "--configfile", *files]
                subprocess.run(unlock, check=True)
            if jobs:
                _repair(jobs, snakemake, options)
            # In the place of this process, so that a signal reaches Snakemake.
            os.execv(sys.executable, [*snakemake, "all", *options])
    except (InputError, OSError) as error:
        _say(error)
        return 1
    except subprocess.CalledProcessError as error:
        return error.returncode
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _jobs(files: Sequence[str], options: Sequence[str]) -> Jobs | None:
    """The jobs of the configuration; None if the call is to write nothing.

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
    names = " + ".join(files)
    config = configuration.load(settings, names, data=False)
    return None if known.dry_run or config.committed else Jobs(config, "cpu", names)


def _repair(jobs: Jobs, snakemake: Sequence[str], options: Sequence[str]) -> None:
    """Put right what is damaged.

    Raises:
        OSError: nothing can be written there.
        CalledProcessError: a damaged file could not be made again.
    """
    jobs.check()
    root = jobs.config.root
    try:
        root.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=root).close()
    except OSError as error:
        raise CannotBeWritten(root, error) from error
    for line in repair.date_now((root, *READ)):
        _say(line)
    # What this configuration does not make is left as it is.
    made = {Path(output).resolve(): output for output in jobs.first_outputs()}
    broken = [one for one in repair.damaged(root) if one.first in made or not one.hashes]
    for one in broken:
        for line in one.problems:
            _say(line)
        one.remove()
        if not one.hashes:
            one.record.unlink(missing_ok=True)
            # What comes after the scores is made again in seconds, and has its hashes again.
            for output in map(Path, made.values()):
                if output.parent == root / one.record.stem and one.record.parent == root / "logs":
                    output.unlink(missing_ok=True)
    # Those that others read are made by name, as Snakemake makes none that is missing between files
    # which are up to date; and one stage after the other, as what comes out the same changes none.
    for stage in ("data", "splits", "runs"):
        folder = (root / stage).resolve()
        again = [one for one in broken if one.hashes and one.first.is_relative_to(folder)]
        if again:
            targets = [made[one.first] for one in again]
            subprocess.run([*snakemake, *targets, *options], check=True)
        for one in again:
            one.keep_time()


def _say(line: object) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
