"""Prepared data in small files, without loss, for a machine that they have to be sent to.

    python -m performance.travel pack results/paper/data/cifar10 packed/cifar10
    python -m performance.travel unpack packed/cifar10 results/paper/data/cifar10

Some thousand images at a time are written as one picture in lossless WebP, or by xz, whichever is
smaller: WebP for photographs, xz for most gray images (``performance/README.md``).
"""

import argparse
import io
import json
import lzma
import math
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmark import data as datasets
from benchmark.data.prepared import write_array
from benchmark.detector import Images
from benchmark.errors import InputError
from benchmark.utils.files import atomic

BLOCK = 10_000
"""Images in a file: of 28x28 pixels they take some 13 MB at most."""

LARGEST = 9000
"""Pixels along a side of a picture: WebP takes 16,383, and Pillow reads no more than 9459 squared
without a warning."""

ARRAY = "images.npy"


def to_webp(images: Images) -> bytes:
    """Images, (N, H, W, C), as one picture."""
    count, height, width, channels = images.shape
    across = math.isqrt(count - 1) + 1
    tiles = np.zeros((across**2, height, width, channels), np.uint8)
    tiles[:count] = images
    picture = tiles.reshape(across, across, height, width, channels).swapaxes(1, 2)
    picture = picture.reshape(across * height, across * width, channels)
    # WebP has three channels, and none to spare for two more that are the same.
    content = io.BytesIO()
    rgb = Image.fromarray(np.broadcast_to(picture, (*picture.shape[:2], 3)).copy())
    rgb.save(content, "webp", lossless=True, quality=90, method=5)
    return content.getvalue()


def from_webp(content: bytes, shape: Sequence[int]) -> Images:
    """The images of ``to_webp``, of a shape (N, H, W, C)."""
    count, height, width, channels = shape
    across = math.isqrt(count - 1) + 1
    picture = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    tiles = picture.reshape(across, height, across, width, 3).swapaxes(1, 2)
    return tiles.reshape(-1, height, width, 3)[:count, ..., :channels]


def to_xz(images: Images) -> bytes:
    """The bytes of images, (N, H, W, C), compressed."""
    return lzma.compress(images.tobytes(), preset=9 | lzma.PRESET_EXTREME)


def from_xz(content: bytes, shape: Sequence[int]) -> Images:
    """The images of ``to_xz``, of a shape (N, H, W, C)."""
    return np.frombuffer(lzma.decompress(content), np.uint8).reshape(shape)


ENCODERS: Mapping[str, Callable[[Images], bytes]] = {"webp": to_webp, "xz": to_xz}
DECODERS: Mapping[str, Callable[[bytes, Sequence[int]], Images]] = {
    "webp": from_webp,
    "xz": from_xz,
}


def pack(folder: Path, target: Path, block: int = BLOCK) -> None:
    """Write the data set that is prepared in a folder into small files in another, empty one.

    There it counts as made from no files: those that it was made from stay here.

    Raises:
        InputError: the data set is damaged, or something is in the other folder.
    """
    images = datasets.load(folder).images
    if target.exists() and any(target.iterdir()):
        raise InputError(f"{target}: not empty; name a new folder")
    target.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        if file.is_file() and file.name != ARRAY:
            shutil.copy2(file, target)
    datasets.forget_files(target)
    block = min(block, max(1, LARGEST // max(images.shape[1:3])) ** 2)
    for start in range(0, len(images), block):
        part = np.ascontiguousarray(images[start : start + block])
        encoded = {suffix: encode(part) for suffix, encode in ENCODERS.items()}
        suffix = min(encoded, key=lambda name: len(encoded[name]))
        with atomic(target / f"images-{start:07d}.{suffix}") as beside:
            beside.write_bytes(encoded[suffix])


def unpack(packed: Path, folder: Path) -> None:
    """Prepare a data set in a folder from the files that ``pack`` wrote.

    Raises:
        InputError: a file is missing or damaged: the images are not those that were packed.
    """
    try:
        shape = json.loads((packed / "dataset.json").read_text())["shape"]
        files = sorted(packed.glob("images-*.*"))
        starts = [int(file.stem.partition("-")[2]) for file in files]
        ends = [*starts[1:], shape[0]]
        blocks = [
            DECODERS[file.suffix[1:]](file.read_bytes(), (end - start, *shape[1:]))
            for file, start, end in zip(files, starts, ends, strict=True)
        ]
        images = np.concatenate(blocks)
    except (OSError, ValueError, KeyError, TypeError, EOFError, lzma.LZMAError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{packed}: incomplete or damaged ({reason}); pack it again") from error
    folder.mkdir(parents=True, exist_ok=True)
    for file in packed.iterdir():
        if file not in files and file.is_file():
            shutil.copy2(file, folder)
    with atomic(folder / ARRAY) as beside:
        write_array(beside, images)
    try:
        datasets.load(folder)
    except InputError as error:
        (folder / "dataset.json").unlink()
        raise InputError(f"{packed}: not the images that were packed; pack it again") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Pack or unpack; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m performance.travel",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=("pack", "unpack"))
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    chosen = parser.parse_args(arguments)
    try:
        {"pack": pack, "unpack": unpack}[chosen.what](chosen.source, chosen.target)
    except (InputError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    size = sum(file.stat().st_size for file in chosen.target.iterdir())
    print(f"{chosen.target}: {size / 2**20:.1f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
