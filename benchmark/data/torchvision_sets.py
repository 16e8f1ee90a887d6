"""MNIST, Fashion-MNIST and CIFAR-10, in the folders that torchvision downloads them to.

The compressed files are read in place: nothing is unpacked beside them, so that the folder may be
read-only. No byte is used before its checksum is found to be the one that torchvision states.
"""

import gzip
import hashlib
import pickle
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.data import npz
from benchmark.data.dataset import Dataset, Labels
from benchmark.data.images import resize
from benchmark.detector import Images
from benchmark.errors import InputError
from benchmark.utils.files import atomic

Pooled = tuple[Images, Labels, int]
"""Images and labels, the training part first, and the length of the training part."""


@dataclass(frozen=True)
class TorchvisionSet:
    """A data set of torchvision.

    Attributes:
        torchvision_class: the name of the class in ``torchvision.datasets``.
        names: the class names, as in the paper's tables.
        read_parts: reads both parts, given the root folder and that class, which states the files'
            names, addresses and checksums.
    """

    torchvision_class: str
    names: tuple[str, ...]
    read_parts: Callable[[Path, Any], Pooled]

    def class_names(self, path: Path) -> tuple[str, ...]:
        """The names, also when the files still have to be downloaded."""
        if _is_copy(path):
            npz.has_official_split(path)
        elif path.exists() and not path.is_dir():
            raise InputError(
                f"{path}: is a file; `path:` must be the folder that holds or will hold "
                f"{self.torchvision_class}"
            )
        return self.names

    def has_official_split(self, path: Path) -> bool:
        """Yes, unless ``path`` is an ``.npz`` copy without one."""
        return npz.has_official_split(path) if _is_copy(path) else True

    def labels(self, path: Path) -> tuple[Labels, int | None] | None:
        """Only an ``.npz`` copy may lack images of a class."""
        return npz.labels(path) if _is_copy(path) else None

    def files(self, path: Path) -> tuple[Path, ...]:
        """The ``.npz`` copy; what is downloaded has the same checksum whenever it is."""
        return (path,) if _is_copy(path) else ()

    def read(self, path: Path, image_size: int) -> Dataset:
        """Read and resize both parts; absent files are downloaded first.

        A ``path`` that ends in ``.npz`` is read by ``benchmark.data.npz``, as a copy of the same
        images without checksums.
        """
        if _is_copy(path):
            return replace(npz.read(path, image_size), class_names=self.names)
        import torchvision.datasets

        source = getattr(torchvision.datasets, self.torchvision_class)
        images, labels, n_train = self.read_parts(path, source)
        return Dataset(resize(images, image_size), labels, self.names, n_train)


def _is_copy(path: Path) -> bool:
    return path.suffix == ".npz"


def _read_idx(root: Path, source: Any) -> Pooled:
    """Read ``<root>/<class>/raw/*.gz``."""
    raw = root / source.__name__ / "raw"
    arrays = {
        name: _idx(_obtain(raw / name, md5, source.mirrors)) for name, md5 in source.resources
    }
    images, labels = (
        [arrays[f"{part}-{kind}-ubyte.gz"] for part in ("train", "t10k")]
        for kind in ("images-idx3", "labels-idx1")
    )
    pooled = np.concatenate(images)[..., np.newaxis]
    return pooled, np.concatenate(labels).astype(np.int64), len(labels[0])


def _idx(path: Path) -> npt.NDArray[np.uint8]:
    """Read a gzipped IDX file of bytes: type, dimensions, big-endian sizes, then the values."""
    with gzip.open(path) as stream:
        content = stream.read()
    dimensions = content[3]
    shape = np.frombuffer(content, ">i4", dimensions, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def _read_cifar(root: Path, source: Any) -> Pooled:
    """Read the batches from torchvision's unpacked folder, or else from the archive."""
    folder, archive = root / source.base_folder, root / source.filename
    batches = [*source.train_list, *source.test_list]
    if folder.is_dir():
        contents = [_verified(folder / name, md5).read_bytes() for name, md5 in batches]
    else:
        _obtain(archive, source.tgz_md5, [source.url.removesuffix(source.filename)])
        with tarfile.open(archive) as tar:
            members = [tar.extractfile(f"{source.base_folder}/{name}") for name, _ in batches]
            contents = [member.read() for member in members if member]
    # A pickle can run code: it is loaded only after its checksum was verified.
    loaded = [pickle.loads(content, encoding="latin1") for content in contents]
    planes = np.concatenate([batch["data"] for batch in loaded]).reshape(-1, 3, 32, 32)
    labels = np.concatenate([batch["labels"] for batch in loaded]).astype(np.int64)
    n_train = sum(len(batch["labels"]) for batch in loaded[: len(source.train_list)])
    return planes.transpose(0, 2, 3, 1), labels, n_train


def _obtain(path: Path, md5: str, mirrors: Sequence[str]) -> Path:
    """The file with its checksum verified, downloaded first if it is absent."""
    if path.exists():
        return _verified(path, md5)
    reason = ""
    for mirror in mirrors:
        try:
            with atomic(path) as partial:
                _download(mirror + path.name, partial, md5)
            return path
        except (OSError, RuntimeError) as error:
            reason = str(error)
    raise InputError(
        f"{path}: absent, and the download failed ({reason}); get {mirrors[0]}{path.name} (md5 "
        f"{md5}) on a machine with a network and put it there, or correct `path:`"
    )


def _download(url: str, path: Path, md5: str) -> None:
    """Download a file; ``RuntimeError`` with the cause in one line if that fails."""
    from torchvision.datasets.utils import download_url

    try:
        download_url(url, str(path.parent), path.name, md5)
    # An OSError would look as if the file could not be written, whatever its cause.
    except (OSError, RuntimeError, HTTPException) as error:
        raise RuntimeError(" ".join(str(error).split()) or type(error).__name__) from error


def _verified(path: Path, md5: str) -> Path:
    if not path.is_file():
        raise InputError(f"{path}: no such file; put it there, or remove {path.parent}")
    with path.open("rb") as stream:
        actual = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if actual != md5:
        raise InputError(
            f"{path}: corrupt or truncated: md5 {actual}, expected {md5}; "
            "delete it to have it downloaded again, or put a good copy there"
        )
    return path


MNIST = TorchvisionSet("MNIST", tuple("0123456789"), _read_idx)
FASHION_MNIST = TorchvisionSet(
    "FashionMNIST",
    ("T-shirt", "Trouser", "Pullover", "Dress", "Coat",
     "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    _read_idx,
)  # fmt: skip
CIFAR10 = TorchvisionSet(
    "CIFAR10",
    ("plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    _read_cifar,
)
