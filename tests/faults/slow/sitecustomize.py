"""Slows the moment between a file's last byte and its name, in every process that starts with this
folder on its path: so that a kill can fall into it."""

import os
import time
from pathlib import Path

_replace = Path.replace


def _slow(self: Path, target: Path) -> Path:
    if ".partial" in self.name:
        time.sleep(float(os.environ["FAULTS_SECONDS"]))
    return _replace(self, target)


Path.replace = _slow
