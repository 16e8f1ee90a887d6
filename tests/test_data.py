"""Readers: real files beside other readers of them, synthetic ones by value, and bad ones."""

import doctest
import gzip
import hashlib
import http.server
import io
import json
import os
import pickle
import re
import resource
import subprocess
import sys
import tarfile
import threading
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as made_up
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from sklearn.datasets import load_digits

from benchmark import data
from benchmark.data import images as arrays
from benchmark.data import prepared, torchvision_sets
from benchmark.data.challenges import file_names, gtsrb, selection, sign_sheet, simulation
from benchmark.data.dataset import check
from benchmark.errors import InputError
from benchmark.utils.tensors import read_tensors, write_tensors

SHARED = Path(__file__).parents[1] / "../shared/data"
random = np.random.default_rng(0)


def needs(name):
    return pytest.mark.skipif(not (SHARED / name).exists(), reason=f"no ../shared/data/{name}")


def fails(match, path, *, source="npz", call=data.read):
    """Assert one line that names ``path`` and says ``match``."""
    with pytest.raises(InputError, match=match) as caught:
        call(source, path, *([8] if call is data.read else []))
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


def pixels(n, *shape):
    return random.integers(0, 256, (n, *shape), np.uint8)


def lanczos(image, size):
    """Antialiased Lanczos-3 from its definition, in double precision: (H, W) to (size, size)."""

    def matrix(length):
        scale = length / size
        stretch = max(scale, 1)
        centres = (np.arange(size) + 0.5) * scale
        x = (np.arange(length) + 0.5 - centres[:, np.newaxis]) / stretch
        weights = np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)
        return weights / weights.sum(1, keepdims=True)

    rows, columns = (matrix(length) for length in image.shape)
    return np.clip(rows @ np.clip(image @ columns.T, 0, 255), 0, 255)


# Arrays


@pytest.mark.parametrize(("before", "channels"), [(32, 3), (8, 1), (40, 1)])
def test_resize_is_antialiased_lanczos(before, channels):
    images = pixels(3, before, before, channels)
    resized = arrays.resize(images, 28)
    assert resized.shape == (3, 28, 28, channels) and resized.dtype == np.uint8
    for image, result in zip(images, resized, strict=True):
        for channel in range(channels):
            expected = lanczos(image[..., channel].astype(float), 28)
            assert np.abs(expected - result[..., channel]).max() < 1.5


@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from([1, 3]), st.integers(0, 255))
@settings(max_examples=30)
def test_resize_keeps_a_flat_image_flat(height, width, channels, value):
    images = np.full((2, height, width, channels), value, np.uint8)
    assert (arrays.resize(images, 7) == value).all()


def test_images_of_the_right_size_stay_as_they_are():
    images = pixels(4, 28, 28, 3)
    assert arrays.resize(images, 28) is images


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((5, 3, 8, 8), np.uint8),
        np.zeros((5, 8, 8, 2), np.uint8),
        np.zeros((5, 8, 8, 4), np.uint8),
        np.zeros((5, 8, 8), np.float32),
        np.zeros((5, 64), np.uint8),
        np.zeros((5, 0, 8), np.uint8),
        np.zeros((5, 8, 8, 3, 1), np.uint8),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_other_shapes_and_dtypes_are_refused(array):
    expected = re.escape(f"x.npz: images are {array.dtype} of shape {array.shape}; save them as")
    with pytest.raises(InputError, match=expected):
        arrays.as_images(array, "x.npz")


# The checks that every data set passes

GOOD = data.Dataset(pixels(20, 8, 8, 1), np.repeat([0, 1], 10), ("a", "b"), None)
BROKEN = {
    "20 images but 19 labels": (GOOD.images, GOOD.labels[1:], ("a", "b")),
    "at least two classes.*has 1": (GOOD.images, GOOD.labels * 0, ("a",)),
    "class names repeat: a, a": (GOOD.images, GOOD.labels, ("a", "a")),
    "label 2 is not a class; label the 2 classes 0 to 1": (
        GOOD.images,
        GOOD.labels * 2,
        ("a", "b"),
    ),
    "label -1 is not a class": (GOOD.images, GOOD.labels - 1, ("a", "b")),
    "class 'c' has no images": (GOOD.images, GOOD.labels, ("a", "b", "c")),
}


def test_a_class_of_one_image_gives_an_outlier():
    check(data.Dataset(GOOD.images[9:], GOOD.labels[9:], ("a", "b"), None), "here")


@pytest.mark.parametrize("message", BROKEN)
def test_a_broken_data_set_is_one_line(message):
    with pytest.raises(InputError, match=f"^here: .*{message}") as caught:
        check(data.Dataset(*BROKEN[message], None), "here")
    assert "\n" not in str(caught.value)


# Digits


def test_digits_are_scikit_learns():
    dataset = data.read("digits", None, 8)
    bunch = load_digits()
    np.testing.assert_array_equal(dataset.labels, bunch.target)
    assert dataset.images.shape == (1797, 8, 8, 1)
    # 0..16 becomes 0..255, to half a gray level.
    assert np.abs(dataset.images[..., 0] / 255 - bunch.images / 16).max() <= 0.5 / 255 + 1e-12
    assert dataset.n_train is None and dataset.source == "digits"
    assert dataset.class_names == data.class_names("digits", None) == tuple("0123456789")
    assert not data.has_official_split("digits", None)


def test_digits_at_28_pixels():
    small, large = (data.read("digits", None, size).images for size in (8, 28))
    assert large.shape == (1797, 28, 28, 1)
    for k in (0, 900, 1796):
        assert np.abs(lanczos(small[k, ..., 0].astype(float), 28) - large[k, ..., 0]).max() < 1.5


# torchvision's data sets, made small: our own files with our own checksums


def md5(content):
    return hashlib.md5(content).hexdigest()


def idx(array):
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return gzip.compress(header + array.tobytes())


@pytest.fixture
def mnist(tmp_path, monkeypatch):
    """A root with 100 training and 50 test images, and torchvision's table to match."""
    import torchvision.datasets

    parts = {"train": (pixels(100, 28, 28), np.arange(100) % 10)}
    parts["t10k"] = (pixels(50, 28, 28), np.arange(50) % 10)
    raw = tmp_path / "root" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    resources = []
    for name, (images, labels) in parts.items():
        for kind, array in (("images-idx3", images), ("labels-idx1", labels.astype(np.uint8))):
            file = raw / f"{name}-{kind}-ubyte.gz"
            file.write_bytes(idx(array))
            resources.append((file.name, md5(file.read_bytes())))
    monkeypatch.setattr(torchvision.datasets.MNIST, "resources", resources)
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", ["http://127.0.0.1:9/"])
    return tmp_path / "root", parts


@pytest.fixture
def serve(monkeypatch):
    """Serve a folder on this machine; returns the address."""
    servers = []

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    def start(folder):
        handler = partial(Quiet, directory=str(folder))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/"

    monkeypatch.setenv("no_proxy", "*")
    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def listing(folder):
    return sorted(
        (str(file.relative_to(folder)), file.read_bytes() if file.is_file() else b"")
        for file in folder.rglob("*")
    )


def test_mnist_files_are_read_in_order(mnist):
    root, parts = mnist
    dataset = data.read("mnist", root, 28)
    expected = np.concatenate([parts["train"][0], parts["t10k"][0]])
    np.testing.assert_array_equal(dataset.images[..., 0], expected)
    np.testing.assert_array_equal(dataset.labels, np.r_[np.arange(100), np.arange(50)] % 10)
    assert dataset.images.shape == (150, 28, 28, 1) and dataset.labels.dtype == np.int64
    assert dataset.n_train == 100
    assert data.read("mnist", root, 14).images.shape == (150, 14, 14, 1)


def test_a_read_only_root_stays_as_it_was(mnist):
    root, _ = mnist
    before = listing(root)
    for folder in (root / "MNIST" / "raw", root / "MNIST", root):
        folder.chmod(0o555)
    try:
        assert len(data.read("mnist", str(root), 28).images) == 150
    finally:
        for folder in (root, root / "MNIST", root / "MNIST" / "raw"):
            folder.chmod(0o755)
    # An administrator may write into a read-only folder, so look whether anyone did.
    assert listing(root) == before


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty"])
@pytest.mark.parametrize("name", ["train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"])
def test_a_corrupt_file_is_named_and_left_alone(mnist, damage, name):
    root, _ = mnist
    file = root / "MNIST" / "raw" / name
    whole = file.read_bytes()
    middle = len(whole) // 2
    broken = {
        "truncated": whole[:middle],
        "flipped": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
        "empty": b"",
    }[damage]
    file.write_bytes(broken)
    with pytest.raises(InputError) as caught:
        data.read("mnist", root, 28)
    assert str(caught.value) == (
        f"{file}: corrupt or truncated: md5 {md5(broken)}, expected {md5(whole)}; "
        "delete it to have it downloaded again, or put a good copy there"
    )
    assert file.read_bytes() == broken


def test_absent_files_are_downloaded_and_verified(mnist, serve, tmp_path, monkeypatch):
    import torchvision.datasets

    root, _ = mnist
    # The first mirror does not answer.
    mirrors = ["http://127.0.0.1:9/", serve(root / "MNIST" / "raw")]
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", mirrors)
    fresh = tmp_path / "fresh"
    assert data.class_names("mnist", fresh) == tuple("0123456789")
    downloaded = data.read("mnist", fresh, 28)
    np.testing.assert_array_equal(downloaded.images, data.read("mnist", root, 28).images)
    assert listing(fresh) == listing(root)


def test_a_bad_download_leaves_nothing(mnist, serve, tmp_path, monkeypatch):
    import torchvision.datasets

    root, _ = mnist
    name = "train-images-idx3-ubyte.gz"
    (root / "MNIST" / "raw" / name).write_bytes(b"an error page")
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [serve(root / "MNIST" / "raw")])
    fresh = tmp_path / "fresh"
    fails(f"{re.escape(name)}: absent, and the download failed .*corrupt", fresh, source="mnist")
    assert not [file for file in fresh.rglob("*") if file.is_file()]


def test_a_download_that_fails_names_its_cause(mnist, tmp_path):
    said = fails("absent, and the download failed", tmp_path / "fresh", source="mnist")
    assert "refused" in said and "disk space" not in said and "write permission" not in said


def test_offline_says_what_to_put_where(mnist, tmp_path):
    root, _ = mnist
    file = root / "MNIST" / "raw" / "t10k-images-idx3-ubyte.gz"
    expected = md5(file.read_bytes())
    file.unlink()
    with pytest.raises(InputError) as caught:
        data.read("mnist", root, 28)
    text = str(caught.value)
    assert text.startswith(f"{file}: absent, and the download failed (")
    assert f"(md5 {expected})" in text and "put it there" in text and "\n" not in text
    assert not file.exists()


def test_a_root_that_is_a_file(tmp_path):
    file = tmp_path / "root"
    file.write_text("")
    fails("is a file; `path:` must be the folder", file, source="mnist", call=data.class_names)


class Trap:
    """A pickle that writes a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """A root with torchvision's unpacked batches, small, and its tables to match."""
    from torchvision.datasets import CIFAR10

    root = tmp_path / "root"
    folder = root / CIFAR10.base_folder
    folder.mkdir(parents=True)
    images, labels = pixels(120, 32, 32, 3), np.arange(120) % 10
    table = []
    for k, name in enumerate(["data_batch_1", "data_batch_2", "test_batch"]):
        part = slice(40 * k, 40 * (k + 1))
        planes = images[part].transpose(0, 3, 1, 2).reshape(40, 3072)
        content = pickle.dumps({"data": planes, "labels": labels[part].tolist()}, protocol=2)
        (folder / name).write_bytes(content)
        table.append([name, md5(content)])
    with tarfile.open(root / CIFAR10.filename, "w:gz") as tar:
        tar.add(folder, CIFAR10.base_folder)
    monkeypatch.setattr(CIFAR10, "train_list", table[:2])
    monkeypatch.setattr(CIFAR10, "test_list", table[2:])
    monkeypatch.setattr(CIFAR10, "tgz_md5", md5((root / CIFAR10.filename).read_bytes()))
    monkeypatch.setattr(CIFAR10, "url", "http://127.0.0.1:9/cifar-10-python.tar.gz")
    return root, images, labels


def unpacked(root):
    return root / "cifar-10-batches-py"


@pytest.mark.parametrize("form", ["folder", "archive", "download"])
def test_cifar10_from_its_folder_or_archive(cifar, form, serve, tmp_path, monkeypatch):
    from torchvision.datasets import CIFAR10

    root, images, labels = cifar
    if form != "folder":
        for file in unpacked(root).iterdir():
            file.unlink()
        unpacked(root).rmdir()
    before = listing(root)
    if form == "download":
        monkeypatch.setattr(CIFAR10, "url", serve(root) + CIFAR10.filename)
        root = tmp_path / "fresh"
    dataset = data.read("cifar10", root, 32)
    np.testing.assert_array_equal(dataset.images, images)
    np.testing.assert_array_equal(dataset.labels, labels)
    assert dataset.n_train == 80
    assert dataset.class_names[:2] == ("plane", "car")
    assert listing(root) == before


def test_a_corrupt_archive_is_named(cifar):
    root, _, _ = cifar
    unpacked(root).rename(root / "elsewhere")
    archive = root / "cifar-10-python.tar.gz"
    expected = md5(archive.read_bytes())
    archive.write_bytes(archive.read_bytes()[:-50])
    fails(f"{archive}: corrupt or truncated: md5 .*, expected {expected}", root, source="cifar10")


EVIL = ("../evil", "../../evil", "{root}/../evil", "folder/../../evil")


def test_an_archive_writes_nothing_outside_its_folder(cifar, tmp_path, monkeypatch):
    from torchvision.datasets import CIFAR10

    root, images, _ = cifar
    archive = root / CIFAR10.filename
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(unpacked(root), CIFAR10.base_folder)
        for name in EVIL:
            tar.addfile(tarfile.TarInfo(name.format(root=root)), io.BytesIO())
        link = tarfile.TarInfo(f"{CIFAR10.base_folder}/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/"
        tar.addfile(link)
    monkeypatch.setattr(CIFAR10, "tgz_md5", md5(archive.read_bytes()))
    unpacked(root).rename(root / "elsewhere")
    before = listing(tmp_path)
    np.testing.assert_array_equal(data.read("cifar10", root, 32).images, images)
    assert listing(tmp_path) == before


def test_a_zip_writes_nothing_outside_its_folder(tmp_path, monkeypatch):
    import torchvision.datasets.gtsrb

    root, archive = tmp_path / "data" / "root", tmp_path / "evil.zip"
    ppm = io.BytesIO()
    Image.fromarray(pixels(1, 8, 8, 3)[0]).save(ppm, "ppm")
    with zipfile.ZipFile(archive, "w") as packed:
        for track in range(10):
            packed.writestr(f"GTSRB/Training/00014/{track:05}_00000.ppm", ppm.getvalue())
        for name in EVIL:
            packed.writestr(name.format(root=root), b"evil")

    def download(url, download_root, **_):
        torchvision.datasets.utils.extract_archive(archive, download_root)

    monkeypatch.setattr(torchvision.datasets.gtsrb, "download_and_extract_archive", download)
    assert len(gtsrb.load_photographs(root).images) == 10
    outside = {file for file in tmp_path.rglob("*") if file.is_file() and root not in file.parents}
    assert outside == {archive} and not (tmp_path.parent / "evil").exists()


def test_only_batches_of_a_known_checksum_are_unpickled():
    root = Path(__file__).parents[1]
    packages = ("gradcon", "baselines", "benchmark", "workflow", "performance")
    opening = re.compile(
        r"pickle\.|import pickle|allow_pickle=True|read_pickle|torch\.load\(|joblib|unpack_archive|"
        r"extractall|marshal|shelve|unsafe_load|yaml\.Loader|yaml\.load\((?!.*_Loader\))"
    )
    sources = [path for package in packages for path in (root / package).rglob("*.py")]
    assert len(sources) > 100
    assert [path.name for path in sources if opening.search(path.read_text())] == [
        "torchvision_sets.py"
    ]


def test_a_pickle_of_another_checksum_is_not_loaded(cifar, tmp_path):
    root, _, _ = cifar
    sprung = tmp_path / "sprung"
    batch = unpacked(root) / "test_batch"
    batch.write_bytes(pickle.dumps(Trap(sprung)))
    fails(f"{batch}: corrupt or truncated", root, source="cifar10")
    assert not sprung.exists()
    batch.unlink()
    fails(f"{batch}: no such file", root, source="cifar10")


def test_an_npz_copy_gets_the_known_class_names(tmp_path):
    file = save(tmp_path, **official(per_class=10, classes=10))
    assert data.class_names("fashion_mnist", file)[-1] == "Ankle boot"
    dataset = data.read("fashion_mnist", file, 8)
    assert dataset.class_names == torchvision_sets.FASHION_MNIST.names and dataset.n_train == 100
    assert data.has_official_split("fashion_mnist", file)
    fails("no such file", tmp_path / "absent.npz", source="cifar10", call=data.class_names)
    fails("has no images", save(tmp_path, **official(classes=9)), source="cifar10")


# npz


def official(per_class=10, classes=2, shape=(8, 8)):
    labels = np.repeat(np.arange(classes), per_class)
    n = len(labels)
    return {
        "x_train": pixels(n, *shape),
        "y_train": labels,
        "x_test": pixels(n, *shape),
        "y_test": labels[::-1].copy(),
    }


def save(folder, name="mine.npz", write=np.savez, **contents):
    write(folder / name, **contents)
    return folder / name


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1), (8, 8, 3), (6, 9, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_npz_with_an_official_split(tmp_path, shape, dtype):
    contents = official(shape=shape)
    contents |= {y: contents[y].astype(dtype) for y in ("y_train", "y_test")}
    file = save(tmp_path, **contents)
    dataset = data.read("npz", file, 8)
    pooled = np.concatenate([contents["x_train"], contents["x_test"]])
    channels = 3 if shape[2:] == (3,) else 1
    assert dataset.images.shape == (40, 8, 8, channels)
    if shape[:2] == (8, 8):
        np.testing.assert_array_equal(dataset.images, pooled.reshape(40, 8, 8, channels))
    else:
        first = Image.fromarray(pooled[0]).resize((8, 8), Image.Resampling.LANCZOS)
        np.testing.assert_array_equal(dataset.images[0], np.asarray(first))
    np.testing.assert_array_equal(dataset.labels, [*contents["y_train"], *contents["y_test"]])
    assert dataset.labels.dtype == np.int64
    assert dataset.n_train == 20 and data.has_official_split("npz", file)
    assert dataset.class_names == data.class_names("npz", file) == ("0", "1")


def test_npz_without_an_official_split(tmp_path):
    contents = official(classes=3)
    file = save(
        tmp_path,
        x=contents["x_train"],
        y=contents["y_train"][:, np.newaxis],
        class_names=np.array(["cat", "dog", "emu"]),
        write=np.savez_compressed,
    )
    dataset = data.read("npz", file, 8)
    np.testing.assert_array_equal(dataset.labels, contents["y_train"])
    assert dataset.n_train is None and not data.has_official_split("npz", file)
    assert dataset.class_names == data.class_names("npz", file) == ("cat", "dog", "emu")


def test_class_names_reads_no_images(tmp_path):
    file = save(tmp_path, **official() | {"x_train": pixels(20, 64, 64)})
    content = bytearray(file.read_bytes())
    content[content.index(b"x_train.npy") + 800] ^= 1  # seen by who reads to the end
    file.write_bytes(content)
    assert data.class_names("npz", file) == ("0", "1")
    assert data.labels("npz", file)[1] == 20
    fails("corrupt", file)


def without(contents, name):
    return {key: value for key, value in contents.items() if key != name}


BAD_NPZ = {
    "needs the arrays x_train, y_train, x_test, y_test .or x, y.; found images, sign": lambda c: {
        "images": c["x_train"],
        "sign": c["y_train"],
    },
    "found x_train, x_test, y_test": lambda c: without(c, "y_train"),
    "found none": lambda c: {},
    "20 images in x_train but 19 labels in y_train": lambda c: c | {"y_train": c["y_train"][1:]},
    "20 images in x_test but 21 labels in y_test": lambda c: (
        c | {"y_test": np.append(c["y_test"], 0)}
    ),
    r"x_test: images are float64 of shape \(20, 8, 8\)": lambda c: (
        c | {"x_test": c["x_test"] / 255}
    ),
    r"x_train: images are uint8 of shape \(20, 3, 8, 8\)": lambda c: (
        c | {"x_train": pixels(20, 3, 8, 8)}
    ),
    "x_train and x_test differ in channels": lambda c: c | {"x_test": pixels(20, 8, 8, 3)},
    r"y_train: labels are float64 of shape \(20,\)": lambda c: c | {"y_train": c["y_train"] / 2},
    r"y_test: labels are int64 of shape \(20, 2\)": lambda c: (
        c | {"y_test": np.stack([c["y_test"]] * 2, 1)}
    ),
    "2 classes from 0 to 2, but class 1 has no images; number them 0 to 1": lambda c: {
        key: value * 2 if key.startswith("y") else value for key, value in c.items()
    },
    "class 'c' has no images": lambda c: c | {"class_names": np.array(["a", "b", "c"])},
    "label 2 is not a class; label the 2 classes 0 to 1": lambda c: (
        c | {"y_test": c["y_test"] * 2, "class_names": np.array(["a", "b"])}
    ),
    r"class_names: int64 of shape \(2,\); save them as text": lambda c: (
        c | {"class_names": np.array([1, 2])}
    ),
    r"y_test: labels are object of shape \(20,\); save integers": lambda c: (
        c | {"y_test": c["y_test"].astype(object)}
    ),
    r"x_test: images are object of shape \(20, 8, 8\); save them as uint8": lambda c: (
        c | {"x_test": c["x_test"].astype(object)}
    ),
    r"class_names: object of shape \(2,\); save them as text": lambda c: (
        c | {"class_names": np.array(["a", "b"], object)}
    ),
}


@pytest.mark.parametrize("message", BAD_NPZ)
def test_a_bad_npz_is_one_line(message, tmp_path):
    file = save(tmp_path, **BAD_NPZ[message](official()))
    fails(message, file)
    if "x_" in message or "y_" in message:
        fails(message, file, call=data.labels)


def test_no_pickle_of_an_npz_is_loaded(tmp_path):
    sprung = tmp_path / "sprung"
    trap = np.array([Trap(sprung)] * 20, object)
    unread = [(data.class_names, "x_train"), (data.labels, "class_names")]
    for name in ("x_train", "y_train", "class_names"):
        file = save(tmp_path, **official() | {name: trap})
        for call in (data.read, data.labels, data.class_names):
            if (call, name) not in unread:
                fails(f"{name}.*object", file, call=call)
    assert not sprung.exists()


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
@given(place=st.floats(0, 1, exclude_max=True))
@settings(max_examples=60)
def test_a_flipped_byte_is_found_or_harmless(write, place, tmp_path_factory):
    folder = tmp_path_factory.mktemp("npz")
    file = save(folder, write=write, **official())
    whole = data.read("npz", file, 8)
    content = bytearray(file.read_bytes())
    content[int(place * len(content))] ^= 0x10
    file.write_bytes(content)
    try:
        dataset = data.read("npz", file, 8)
    except InputError as error:
        assert str(file) in str(error) and "\n" not in str(error)
    else:
        np.testing.assert_array_equal(dataset.images, whole.images)
        np.testing.assert_array_equal(dataset.labels, whole.labels)


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_a_flipped_pixel_fails_the_checksum(write, tmp_path):
    file = save(tmp_path, write=write, **official())
    content = bytearray(file.read_bytes())
    content[content.index(b"x_train.npy") + 800] ^= 1
    file.write_bytes(content)
    fails("corrupt, truncated or no .npz file .*copy or save it again", file)


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, -1])
def test_a_truncated_npz_is_found_before_any_job(kept, tmp_path):
    file = save(tmp_path, **official())
    content = file.read_bytes()
    file.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    for call in (data.class_names, data.read, data.has_official_split):
        fails("corrupt, truncated or no .npz file", file, call=call)


def test_npz_paths(tmp_path):
    fails("no such file; `path:` must be an .npz file", tmp_path / "x.npz", call=data.class_names)
    fails("is a folder; `path:` must be an .npz file", tmp_path, call=data.class_names)
    text = tmp_path / "text.npz"
    text.write_text("label,pixel\n")
    fails("corrupt, truncated or no .npz file", text, call=data.class_names)
    single = tmp_path / "single.npy"
    np.save(single, pixels(3, 8, 8))
    fails("a single array; save it with numpy.savez", single, call=data.class_names)


# Folders


def picture(path, size=(8, 8), mode="L", value=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (size[1], size[0], 3)
    content = pixels(1, *shape)[0] if value is None else np.full(shape, value, np.uint8)
    Image.fromarray(content).convert(mode).save(path)


def tree(root, folders, count=10, **kwargs):
    for folder in folders:
        for k in range(count):
            picture(root / folder / f"{k:02}.png", **kwargs)
    return root


def read_folder(root):
    return data.read("folder", root, 8)


def test_folder_pooled(tmp_path):
    for k in range(10):
        picture(tmp_path / "b" / f"{k}.png", value=k)
        picture(tmp_path / "a" / f"{k}.PNG", value=100 + k)
    (tmp_path / "a" / "notes.txt").write_text("passed over")
    (tmp_path / "a" / ".hidden.png").write_text("passed over")
    (tmp_path / ".thumbnails").mkdir()
    dataset = read_folder(tmp_path)
    assert dataset.class_names == data.class_names("folder", tmp_path) == ("a", "b")
    assert dataset.images.shape == (20, 8, 8, 1)
    assert dataset.images[:, 0, 0, 0].tolist() == [*range(100, 110), *range(10)]
    assert dataset.labels.tolist() == [0] * 10 + [1] * 10
    assert dataset.n_train is None and not data.has_official_split("folder", tmp_path)


def test_folder_with_an_official_split(tmp_path):
    tree(tmp_path, ["train/b", "train/a"], 12, value=1)
    tree(tmp_path, ["test/b", "test/a"], 5, value=2)
    tree(tmp_path, ["test/odd"], 10, value=3)  # gives outliers only
    tree(tmp_path, ["validation/a"], 3, value=4)
    dataset = read_folder(tmp_path)
    assert dataset.class_names == data.class_names("folder", tmp_path) == ("a", "b", "odd")
    assert dataset.n_train == 24 and data.has_official_split("folder", tmp_path)
    assert dataset.labels.tolist() == [0] * 12 + [1] * 12 + [0] * 5 + [1] * 5 + [2] * 10
    assert dataset.images[:, 0, 0, 0].tolist() == [1] * 24 + [2] * 10 + [3] * 10


def test_folder_of_mixed_sizes_and_formats(tmp_path):
    names = ["0.png", "1.jpg", "2.jpeg", "3.bmp", "4.tif", "5.tiff", "6.webp", "7.ppm", "8.JPG"]
    for folder in "ab":
        for k, name in enumerate([*names, "9.png"]):
            picture(tmp_path / folder / name, size=(5 + k, 30 - k), mode="RGB", value=100)
    dataset = read_folder(tmp_path)
    assert dataset.images.shape == (20, 8, 8, 3)
    assert np.abs(dataset.images.astype(int) - 100).max() <= 2  # lossy formats


@pytest.mark.parametrize(
    ("modes", "channels"),
    [(("L", "L"), 1), (("L", "1"), 1), (("L", "LA"), 1), (("L", "RGB"), 3), (("P", "RGBA"), 3)],
)
def test_folder_is_gray_when_all_images_are(tmp_path, modes, channels):
    for folder, mode in zip("ab", modes, strict=True):
        tree(tmp_path, [folder], mode=mode, value=255)
    dataset = read_folder(tmp_path)
    assert dataset.images.shape == (20, 8, 8, channels)
    assert (dataset.images == 255).all()


def test_folder_keeps_colours_in_order(tmp_path):
    tree(tmp_path, "ab", mode="RGB", value=(10, 20, 30))
    assert (read_folder(tmp_path).images == (10, 20, 30)).all()


def half(size=8):
    """White on the left, black on the right, where a lossy format keeps them apart."""
    picture = np.zeros((size, size, 3), np.uint8)
    picture[:, : size // 2] = 255
    return picture


# The turns, counter-clockwise by 90 degrees, and the mirroring that each orientation undoes.
ORIENTATIONS = {
    **{1: (0, False), 2: (0, True), 3: (2, False), 4: (2, True)},
    **{5: (1, True), 6: (1, False), 7: (3, True), 8: (3, False)},
}


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_pictures_are_read_upright(tmp_path, orientation, suffix):
    upright = np.vstack([half(16), half(16) // 2])
    turns, mirrored = ORIENTATIONS[orientation]
    stored = np.rot90(upright[:, ::-1] if mirrored else upright, turns)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = tmp_path / f"a.{suffix}"
    Image.fromarray(stored).save(file, exif=exif, quality=100)
    seen = arrays.read_image(file, 16)
    expected = arrays.resize(upright[np.newaxis], 16)[0]
    assert np.abs(seen.astype(int) - expected).mean() < 5


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "RGB"])
def test_transparency_is_on_white_whatever_it_hides(tmp_path, mode):
    for name, hidden in (("a", 0), ("b", 120)):
        picture = Image.fromarray(np.full((8, 8), hidden, np.uint8))
        picture.paste(200, (2, 2, 6, 6))
        shown = picture.point(lambda value: 255 * (value == 200))
        if mode in ("RGBA", "LA"):
            picture = picture.convert(mode)
            picture.putalpha(shown)
            picture.save(tmp_path / f"{name}.png")
        else:
            key = (hidden,) * 3 if mode == "RGB" else hidden
            if mode == "P":
                picture = picture.quantize(256, dither=Image.Dither.NONE)
                key = picture.getpixel((0, 0))
            picture.convert(mode).save(tmp_path / f"{name}.png", transparency=key)
    first, second = (arrays.read_image(tmp_path / f"{name}.png", 8) for name in "ab")
    np.testing.assert_array_equal(first, second)
    assert (first[0] == 255).all() and (first[3, 3] == 200).all()


def test_what_was_done_to_pictures_is_told(tmp_path, capsys):
    tree(tmp_path, "ab", 10)
    assert read_folder(tmp_path).notes == ()
    picture(tmp_path / "b" / "colour.png", mode="RGB")
    picture(tmp_path / "b" / "clear.png", mode="LA")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(half()[..., 0]).save(tmp_path / "a" / "turned.jpg", exif=exif)
    for name in ("a/notes.txt", "a/old.gif", "b/new.GIF", "list"):
        (tmp_path / name).write_text("passed over")
    dataset = read_folder(tmp_path)
    assert dataset.images.shape[3] == 3
    assert dataset.notes == (
        "1 of 23 images in colour, so all are read as RGB (first b/colour.png)",
        "1 of 23 images turned upright, as their orientation says (first a/turned.jpg)",
        "1 of 23 images transparent, and stand on white (first b/clear.png)",
        "files passed over, as of no image format: 2 of .gif, 1 of .txt, 1 of no suffix",
    )
    said = capsys.readouterr().err.splitlines()
    assert said == [f"{tmp_path}: {note}" for note in dataset.notes]
    data.prepare(dataset, tmp_path / "prepared")
    described = json.loads((tmp_path / "prepared/dataset.json").read_text())
    assert tuple(described["notes"]) == dataset.notes


def exif_after_the_pixels(file):
    """Move the chunk eXIf of a PNG file, where the standard allows it too."""
    signature, *chunks = re.split(
        rb"(?<=IEND.{4})|(?=.{4}(?:eXIf|IDAT|IEND))", file.read_bytes(), flags=re.S
    )
    by_name = {chunk[4:8]: chunk for chunk in chunks if chunk}
    assert [*by_name] == [b"eXIf", b"IDAT", b"IEND"]
    file.write_bytes(signature + by_name[b"IDAT"] + by_name[b"eXIf"] + by_name[b"IEND"])


@pytest.mark.parametrize("orientation", [0, 1, 6, 9])
@pytest.mark.parametrize("where", ["jpg", "png", "tif", "webp", "after", "xmp.png", "xmp.webp"])
def test_pictures_that_are_turned_are_counted(tmp_path, where, orientation):
    tree(tmp_path, "ab", 10)
    exif = Image.Exif()
    exif[0x0112] = orientation
    xmp = f'<x xmlns:tiff="a" tiff:Orientation="{orientation}"/>'
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", xmp)
    stored = {"xmp.png": {"pnginfo": text}, "xmp.webp": {"xmp": xmp.encode()}}
    file = tmp_path / "a" / f"turned.{'png' if where == 'after' else where}"
    upright = np.vstack([half(16), half(16) // 2])[..., 0]
    Image.fromarray(upright).save(file, **stored.get(where, {"exif": exif}))
    if where == "after":
        exif_after_the_pixels(file)
    dataset = read_folder(tmp_path)
    notes = "\n".join(dataset.notes)
    assert (
        f"1 of 21 images turned upright, as their orientation says (first a/{file.name})" in notes
    ) == (orientation == 6)
    turned = np.rot90(upright, -1) if orientation == 6 else upright
    expected = arrays.resize(turned[np.newaxis, ..., np.newaxis], 8)[0].astype(int)
    seen = dataset.images[10].astype(int).mean(axis=-1, keepdims=True)
    assert np.abs(seen - expected).mean() < 5


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.webp", "a.jpg"])
def test_of_several_pictures_in_a_file_the_first_is_read(tmp_path, name):
    tree(tmp_path, "ab", 10)
    first, other = (Image.fromarray(np.full((8, 8, 3), value, np.uint8)) for value in (40, 200))
    format_ = {"a.jpg": "MPO"}.get(name)
    first.save(tmp_path / "a" / name, format_, save_all=True, append_images=[other])
    dataset = read_folder(tmp_path)
    note = f"1 of 21 images the first of several in their file (first a/{name})"
    assert note in dataset.notes
    assert np.abs(dataset.images[10].astype(int) - 40).max() < 3


def test_folders_beside_the_parts_are_told(tmp_path):
    tree(tmp_path, ["train/a", "train/b", "test/a", "test/b", "more/a"])
    assert read_folder(tmp_path).notes == ("folders passed over beside train and test: more",)


def test_pictures_all_in_colour_are_nothing_to_tell(tmp_path):
    assert read_folder(tree(tmp_path, "ab", mode="RGB")).notes == ()


def test_a_class_name_that_is_not_utf8_is_refused(tmp_path):
    tree(tmp_path, "ab")
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")).mkdir()
    except OSError:
        pytest.skip("the file system takes UTF-8 only")
    fails(r"'caf.*' is not UTF-8; rename it", tmp_path, source="folder", call=data.class_names)


def test_a_few_outliers_of_a_kind_are_enough(tmp_path):
    tree(tmp_path, ["train/good"], 40)
    for name, count in (("good", 12), ("scratch", 12), ("colour", 8)):
        tree(tmp_path, [f"test/{name}"], count)
    dataset = read_folder(tmp_path)
    assert dataset.class_names == ("colour", "good", "scratch")
    assert np.bincount(dataset.labels).tolist() == [8, 52, 12]
    labels, n_train = data.labels("folder", tmp_path)
    np.testing.assert_array_equal(labels, dataset.labels)
    assert n_train == dataset.n_train == 40


def test_the_fingerprint_is_that_of_the_files_that_are_read(tmp_path):
    def changes(change):
        before = data.fingerprint("folder", tmp_path)
        change()
        return data.fingerprint("folder", tmp_path) != before

    tree(tmp_path, "ab")
    image = tmp_path / "a" / "03.png"
    assert not changes(lambda: None)
    assert changes(lambda: image.write_bytes((tmp_path / "b/03.png").read_bytes()))
    assert changes(lambda: os.utime(image, (0, 0)))
    assert changes(lambda: image.rename(tmp_path / "a" / "99.png"))
    for name in ("a/.DS_Store", "a/notes.txt", ".hidden"):
        assert not changes((tmp_path / name).touch)
    assert changes((tmp_path / "a/99.png").unlink)


def test_the_fingerprint_of_a_download_is_the_same_before_and_after(mnist, tmp_path):
    root, _ = mnist
    before, after = (data.fingerprint("mnist", path) for path in (tmp_path / "absent", root))
    assert before == after == data.fingerprint("digits", None)


def test_unreadable_images_are_named(tmp_path):
    tree(tmp_path, "ab")
    bad = tmp_path / "b" / "04.png"
    whole = bad.read_bytes()
    for content in (b"", b"not an image", whole[: len(whole) - 30], whole[:40]):
        bad.write_bytes(content)
        with pytest.raises(InputError, match="cannot be read as an image") as caught:
            read_folder(tmp_path)
        assert str(caught.value).startswith(f"{bad}: ") and "\n" not in str(caught.value)
        assert "replace or remove it" in str(caught.value)
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(bad)
    fails(r"04.png: more than 8 bits per channel \(mode I;16\); convert", tmp_path, source="folder")


BAD_FOLDER = {
    "stray.png: an image outside a class folder; sort them as <class>/": (
        lambda root: picture(root / "stray.png")
    ),
    "deep: a folder inside a class folder; sort": lambda root: picture(root / "a/deep/0.png"),
    "class 'c' has no images": lambda root: (root / "c").mkdir(),
}


@pytest.mark.parametrize("message", BAD_FOLDER)
def test_a_bad_folder_is_one_line(message, tmp_path):
    BAD_FOLDER[message](tree(tmp_path, "ab"))
    fails(message, tmp_path, source="folder")


def test_a_bad_folder_of_parts(tmp_path):
    tree(tmp_path, ["train/a", "train/b", "test/a", "test/b"])
    picture(tmp_path / "test" / "stray.png")
    fails("test/stray.png: an image outside", tmp_path, source="folder", call=data.class_names)
    (tmp_path / "test" / "stray.png").rename(tmp_path / "stray.png")
    fails("stray.png: an image outside", tmp_path, source="folder", call=data.class_names)
    (tmp_path / "stray.png").unlink()
    (tmp_path / "train").rename(tmp_path / "training")
    fails("a folder inside a class folder", tmp_path, source="folder")


def test_folder_paths(tmp_path):
    check_names = partial(fails, source="folder", call=data.class_names)
    check_names("no such folder; `path:` must be a folder", tmp_path / "absent")
    check_names("no class folders; sort them as", tmp_path)
    picture(tmp_path / "0.png")
    check_names("0.png: an image outside a class folder", tmp_path)
    check_names("is a file; `path:` must be a folder", tmp_path / "0.png")


# The registry


@pytest.mark.parametrize("module", [data, arrays, file_names, gtsrb, selection, simulation])
def test_examples(module):
    examples = doctest.testmod(module)
    assert examples.attempted and not examples.failed


def test_unknown_source_and_missing_path():
    with pytest.raises(InputError, match="unknown data source 'svhn'; choose one of digits, mnist"):
        data.class_names("svhn", "data")
    with pytest.raises(InputError, match="'npz' needs a path; give `path:`"):
        data.read("npz", None, 28)


def test_the_sources():
    plain = ("digits", "mnist", "fashion_mnist", "cifar10", "npz", "folder")
    assert (*plain, "cure_tsr", "gtsrb_challenges") == data.SOURCES


def test_class_names_and_load_import_no_heavy_package(tmp_path):
    data.prepare(GOOD, tmp_path / "prepared")
    save(tmp_path, **official())
    tree(tmp_path / "folder", "ab", 1)
    npz, folder, prepared_at = (str(tmp_path / name) for name in ("mine.npz", "folder", "prepared"))
    script = f"""
import sys
from pathlib import Path
from benchmark import data
for source, path in [("digits", None), ("mnist", "x"), ("fashion_mnist", "x"), ("cifar10", "x"),
                     ("npz", {npz!r}), ("folder", {folder!r})]:
    data.class_names(source, path)
    data.has_official_split(source, path)
data.load(Path({prepared_at!r}))
print(sorted({{"torch", "torchvision", "pandas", "sklearn", "scipy", "PIL"}} & set(sys.modules)))
"""
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


# On disk


@pytest.mark.parametrize("n_train", [None, 12])
def test_prepared_and_loaded(tmp_path, n_train):
    notes = ("all upright",)
    dataset = data.Dataset(GOOD.images, GOOD.labels, ("ä b", "c"), n_train, "npz", notes=notes)
    data.prepare(dataset, tmp_path / "data" / "mine")
    loaded = data.load(tmp_path / "data" / "mine")
    assert isinstance(loaded.images, np.memmap) and not loaded.images.flags.writeable
    np.testing.assert_array_equal(loaded.images, GOOD.images)
    np.testing.assert_array_equal(loaded.labels, GOOD.labels)
    assert loaded.images.dtype == np.uint8 and loaded.labels.dtype == np.int64
    assert (loaded.class_names, loaded.n_train, loaded.source) == (("ä b", "c"), n_train, "npz")
    description = json.loads((tmp_path / "data/mine/dataset.json").read_text())
    stated = description.pop("description_sha256")
    written = json.dumps(description, sort_keys=True).encode()
    assert stated == hashlib.sha256(written).hexdigest()
    assert description == {
        "source": "npz",
        "class_names": ["ä b", "c"],
        "n_train": n_train,
        "shape": [20, 8, 8, 1],
        "sha256": {
            "images": hashlib.sha256(GOOD.images.tobytes()).hexdigest(),
            "labels": hashlib.sha256(GOOD.labels.astype("<i8").tobytes()).hexdigest(),
        },
        "notes": ["all upright"],
    }
    names = ["dataset.json", "images.npy", "labels.npy"]
    assert sorted(file.name for file in (tmp_path / "data/mine").iterdir()) == names


def test_views_are_hashed_by_their_content(tmp_path):
    flipped = GOOD.images[:, ::-1]
    data.prepare(data.Dataset(flipped, GOOD.labels, ("a", "b"), None), tmp_path)
    np.testing.assert_array_equal(data.load(tmp_path).images, flipped)
    written = json.loads((tmp_path / "dataset.json").read_text())["sha256"]["images"]
    assert written == hashlib.sha256(flipped.tobytes()).hexdigest()


@pytest.mark.parametrize("name", ["images", "labels", "groups"])
def test_no_pickle_of_prepared_data_is_loaded(tmp_path, name):
    data.prepare(replace(GOOD, groups=np.arange(20)), tmp_path)
    sprung = tmp_path / "sprung"
    np.save(tmp_path / f"{name}.npy", np.array([Trap(sprung)] * 20, object))
    with pytest.raises(InputError, match="incomplete or damaged"):
        data.load(tmp_path)
    assert not sprung.exists()


def test_no_pickle_of_a_sign_sheet_is_loaded(tmp_path):
    sprung = tmp_path / "sprung"
    np.savez(tmp_path / sign_sheet.FILE, names=np.array([Trap(sprung)], object))
    with pytest.raises(InputError, match=str(tmp_path / sign_sheet.FILE)):
        sign_sheet.load(tmp_path)
    assert not sprung.exists()


@pytest.mark.parametrize("call", [1, 2])
def test_a_full_disk_leaves_the_earlier_files(tmp_path, monkeypatch, call):
    data.prepare(GOOD, tmp_path)
    before = listing(tmp_path)
    calls = iter([1, 2])

    def full(path, array):
        if next(calls) == call:
            raise OSError("No space left on device")
        Path(path).write_bytes(b"half")

    monkeypatch.setattr(prepared, "write_array", full)
    other = data.Dataset(GOOD.images[::-1], GOOD.labels, ("a", "b"), 10)
    with pytest.raises(OSError, match="No space left"):
        data.prepare(other, tmp_path)
    assert listing(tmp_path) == before


@pytest.mark.parametrize("name", ["dataset.json", "images.npy", "labels.npy"])
@pytest.mark.parametrize("kept", [None, 0, 10, -1])
def test_a_damaged_preparation_is_one_line(tmp_path, name, kept):
    data.prepare(GOOD, tmp_path)
    file = tmp_path / name
    if kept is None:
        file.unlink()
    elif name == "dataset.json" and kept == -1:
        file.write_text(file.read_text().replace("20,", "21,"))
    else:
        file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(InputError, match="incomplete or damaged") as caught:
        data.load(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}: ") and "\n" not in str(caught.value)
    assert "delete it and run again" in str(caught.value)


def zeroed(file):
    content = bytearray(file.read_bytes())
    content[-40:-20] = bytes(20)
    file.write_bytes(content)


def rolled(file):
    np.save(file, np.roll(np.load(file), 1))


def exchanged(file):
    """Images of the same shape, as after a copy from elsewhere."""
    np.save(file, np.load(file)[::-1])


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("images", zeroed),
        ("images", exchanged),
        ("labels", rolled),
        ("groups", rolled),
        ("groups", Path.unlink),
    ],
)
def test_other_content_than_was_prepared_is_refused(tmp_path, name, damage):
    data.prepare(replace(GOOD, groups=np.arange(20)), tmp_path)
    data.load(tmp_path)
    damage(tmp_path / f"{name}.npy")
    expected = f"{tmp_path}: incomplete or damaged ({name}.npy is not the file that dataset.json"
    with pytest.raises(InputError, match=f"^{re.escape(expected)}"):
        data.load(tmp_path)


@pytest.mark.parametrize("key", ["source", "class_names", "n_train", "shape", "sha256", "notes"])
def test_another_description_than_was_prepared_is_refused(tmp_path, key):
    data.prepare(replace(GOOD, n_train=10), tmp_path)
    file = tmp_path / "dataset.json"
    description = json.loads(file.read_text())
    other = {
        "source": "mnist",
        "class_names": description["class_names"][::-1],
        "n_train": 11,
        "shape": [20, 4, 16, 1],
        "sha256": description["sha256"] | {"files": "0"},
        "notes": ["all upright"],
    }
    file.write_text(json.dumps(description | {key: other[key]}))
    for read in (data.load, prepared.class_names):
        with pytest.raises(InputError, match="is not as it was written"):
            read(tmp_path)


def test_a_description_without_a_hash_of_its_own_is_read(tmp_path):
    """As the committed ones are."""
    data.prepare(GOOD, tmp_path)
    file = tmp_path / "dataset.json"
    description = json.loads(file.read_text())
    del description["description_sha256"]
    file.write_text(json.dumps(description))
    assert data.load(tmp_path).class_names == prepared.class_names(tmp_path) == GOOD.class_names


def test_the_hash_of_the_images_is_that_of_their_bytes(tmp_path):
    data.prepare(GOOD, tmp_path)
    expected = hashlib.sha256(GOOD.images.tobytes()).hexdigest()
    assert data.images_sha256(tmp_path) == data.prepared_images(tmp_path) == expected


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "5", '"a"', "{}", '{"sha256": null}', '{"sha256": {}}']
)
def test_a_description_without_the_hash_of_the_images_is_refused(tmp_path, content):
    assert data.prepared_images(tmp_path) is None
    with pytest.raises(InputError, match="incomplete or damaged"):
        data.images_sha256(tmp_path)
    (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(InputError, match="incomplete or damaged"):
        data.prepared_images(tmp_path)


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(max_examples=200)
def test_a_flipped_bit_in_weights_is_refused(place, bit, tmp_path_factory):
    file = tmp_path_factory.mktemp("weights") / "best.safetensors"
    weights = {"a": np.arange(50, dtype=np.float32), "b": np.zeros((), np.int64)}
    progress = {"history": [{"epoch": 1.0, "loss": 0.25}]}
    write_tensors(file, weights, {"detector": "cae", 1: None}, progress)
    content = bytearray(file.read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    file.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_tensors(file, {"detector": "cae", 1: None})
    assert str(caught.value).startswith(f"{file}: ") and "\n" not in str(caught.value)


# Real files


@pytest.mark.parametrize(
    ("source", "name", "third"),
    [("mnist", "MNIST", "2"), ("fashion_mnist", "FashionMNIST", "Pullover")],
)
def test_real_files_as_torchvision_reads_them(source, name, third, tmp_path):
    import torchvision.datasets

    raw = SHARED / name / "raw"
    if not raw.exists():
        pytest.skip(f"no ../shared/data/{name}")
    before = sorted(raw.iterdir())
    dataset = data.read(source, SHARED, 28)
    assert sorted(raw.iterdir()) == before
    # torchvision unpacks beside the files, so it gets links in a folder of its own.
    (tmp_path / name / "raw").mkdir(parents=True)
    for file in before:
        (tmp_path / name / "raw" / file.name).symlink_to(file.resolve())
    reference = getattr(torchvision.datasets, name)
    parts = [reference(tmp_path, train=train, download=True) for train in (True, False)]
    pooled = np.concatenate([part.data.numpy() for part in parts])
    np.testing.assert_array_equal(dataset.images[..., 0], pooled)
    np.testing.assert_array_equal(
        dataset.labels, np.concatenate([part.targets.numpy() for part in parts])
    )
    assert dataset.n_train == 60_000 and dataset.class_names[2] == third


@needs("cifar10.npz")
def test_real_cifar10_copy_is_resized_as_pillow_does():
    path = SHARED / "cifar10.npz"
    dataset = data.read("cifar10", path, 28)
    with np.load(path) as contents:
        x_train, x_test = contents["x_train"], contents["x_test"]
        labels = np.concatenate([contents["y_train"], contents["y_test"]])
    assert dataset.images.shape == (60_000, 28, 28, 3) and dataset.n_train == 50_000
    np.testing.assert_array_equal(dataset.labels, labels)
    for row, image in [
        (0, x_train[0]),
        (49_999, x_train[-1]),
        (50_000, x_test[0]),
        (7, x_train[7]),
    ]:
        expected = Image.fromarray(image).resize((28, 28), Image.Resampling.LANCZOS)
        np.testing.assert_array_equal(dataset.images[row], np.asarray(expected))
    for channel in range(3):
        oracle = lanczos(x_train[0, ..., channel].astype(float), 28)
        assert np.abs(oracle - dataset.images[0, ..., channel]).max() < 1.5


@needs("gtsrb_subset.npz")
def test_real_npz_of_other_arrays():
    fails(
        "found images, sign_class, track, frame", SHARED / "gtsrb_subset.npz", call=data.class_names
    )


@needs("CURE-TSR")
def test_real_folder_of_images_of_differing_sizes():
    root = SHARED / "CURE-TSR"
    dataset = data.read("folder", root, 28)
    files = sorted(root.glob("*/*.bmp"))
    assert dataset.images.shape == (1546, 28, 28, 3) and len(dataset.class_names) == 33
    for row in (0, 700, 1545):
        assert dataset.class_names[dataset.labels[row]] == files[row].parent.name
        image = Image.open(files[row]).resize((28, 28), Image.Resampling.LANCZOS)
        np.testing.assert_array_equal(dataset.images[row], np.asarray(image))


def test_idx_header_by_hand():
    content = bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6])
    array = torchvision_sets._idx(io.BytesIO(gzip.compress(content)))
    assert array.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_files_without_read_permission_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by permission bits, which do not bind a superuser."""
    file, folder = tmp_path / "x.npz", tmp_path / "images"
    file.touch()
    folder.mkdir()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "iterdir", refuse)
    for source, path in (("npz", file), ("folder", folder)):
        with pytest.raises(InputError, match=r"Permission denied.*give read permission") as caught:
            data.class_names(source, path)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@settings(max_examples=30)
@given(made_up.arrays(made_up.integer_dtypes() | st.just(np.uint8), made_up.array_shapes()))
def test_an_array_is_written_as_numpy_does(tmp_path_factory, array):
    folder = tmp_path_factory.mktemp("arrays")
    prepared.write_array(folder / "ours.npy", array)
    np.save(folder / "numpy.npy", array)
    assert (folder / "ours.npy").read_bytes() == (folder / "numpy.npy").read_bytes()


def test_images_that_do_not_fit_on_the_disk_are_one_line_that_says_so(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.raises(OSError, match=r"images\.npy: cannot be written \(File too large\)"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        try:
            data.prepare(GOOD, tmp_path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())
