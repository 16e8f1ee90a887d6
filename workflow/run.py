"""Run a configuration, or go on with it whatever ended the last call: ``make run CONFIG=...``.

The lock of a Snakemake that was killed is removed first, once nothing of it runs any more.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark import config as configuration
from benchmark.errors import InputError
from benchmark.utils.running import wait_alone


def main(arguments: Sequence[str]) -> int:
    """Run ``snakemake all`` with these configuration files and options; the exit status.

    Args:
        arguments: configuration files, then options of Snakemake, which begin with ``-``.
    """
    first = next((k for k, word in enumerate(arguments) if word.startswith("-")), len(arguments))
    files, options = arguments[:first], arguments[first:]
    try:
        configuration.read(*map(Path, files), data=False)
        wait_alone()
    except (InputError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    snakemake = [sys.executable, "-m", "snakemake"]
    unlock = [*snakemake, "--unlock", "--quiet", "all", "--configfile", *files]
    if status := subprocess.run(unlock).returncode:
        return status
    # In the place of this process, so that a signal reaches Snakemake.
    os.execv(sys.executable, [*snakemake, "all", *options, "--configfile", *files])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
