"""Files that lie beside the packages in a checkout, and inside of them in an installed wheel."""

from pathlib import Path

INSIDE = Path(__file__).resolve().parents[1] / "shipped"
"""Where a wheel has them (``setup.py``); a checkout has no such folder."""

CHECKOUT = INSIDE.parents[1]


def folder(name: str) -> Path:
    """A folder of the checkout, or where there is none, the wheel's copy of it.

    >>> folder("results/published").is_dir()
    True
    """
    inside = INSIDE / name
    return inside if inside.is_dir() else CHECKOUT / name


def file(path: Path) -> Path:
    """A file that was named from the working directory, or else the wheel's file of that name.

    So ``config/paper.yaml`` is the paper's configuration wherever the wheel is used.

    >>> file(Path("data/images.npz"))
    PosixPath('data/images.npz')
    """
    inside = INSIDE / path
    return inside if not path.exists() and inside.is_file() else path
