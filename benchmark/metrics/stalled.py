"""Trainings that hardly learnt to reconstruct, as told by their losses (``history.csv``).

The units of a network can die in its first steps. It then gives nearly the same image whatever it
is given. Its scores still differ from image to image, so that its AUROC need not show it. A network
that has learnt all it can in its first epoch is told too.
"""

import csv
import io
import lzma
from pathlib import Path

from benchmark.errors import InputError

COLUMN = "validation_reconstruction"
LEAST = 0.01
"""A training stalled if the error fell by less than this share of what the first epoch left."""


def stalled(directory: Path) -> bool:
    r"""Whether a run's reconstruction error of the validation images hardly fell after epoch 1.

    >>> folder = getfixture("tmp_path")
    >>> losses = "epoch,validation_reconstruction\n1,0.5\n2,0.497\n"
    >>> _ = (folder / "history.csv").write_text(losses)
    >>> stalled(folder)
    True

    Args:
        directory: of the run, with ``history.csv``, or ``history.csv.xz`` as it is published.

    Returns:
        False as well for a run without the file, of one epoch, or of a method that does not tell
        this error.

    Raises:
        InputError: the file is damaged.
    """
    plain, packed = directory / "history.csv", directory / "history.csv.xz"
    if not (plain.is_file() or packed.is_file()):
        return False
    path = plain if plain.is_file() else packed
    try:
        content = path.read_bytes()
        text = (content if path == plain else lzma.decompress(content)).decode()
        rows = csv.DictReader(io.StringIO(text))
        # Not every phase of a training tells this error, as of Deep SVDD only the first does.
        errors = [float(row[COLUMN]) for row in rows if row.get(COLUMN, "") != ""]
    except (OSError, ValueError, TypeError, csv.Error, lzma.LZMAError) as error:
        raise InputError(f"{path}: damaged ({error}); delete it and run again") from error
    first, *later = errors or (0.0,)
    return bool(later) and min(later) > (1 - LEAST) * first
