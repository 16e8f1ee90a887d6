"""Images as they come: every form of the same images gives the same; mistakes are one line."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from benchmark.errors import InputError
from gradcon.inspection.images import BATCH, Form, files, items


def photographs(number=3, height=30, width=44, channels=3):
    rng = np.random.default_rng(number)
    return rng.integers(0, 256, (number, height, width, channels), np.uint8)


def read(images, size=28, aspect="pad"):
    sources = items(images)
    return Form.of(sources, size, aspect).all(sources)


def as_list_of(kind, array, folder):
    pictures = [Image.fromarray(image) for image in array]
    if kind == "pictures":
        return pictures
    paths = []
    for number, picture in enumerate(pictures):
        paths.append(folder / f"{number}.png")
        picture.save(paths[-1])
    return {
        "paths": paths,
        "texts": list(map(str, paths)),
        "array of texts": np.array(list(map(str, paths))),
        "folder": folder,
        "text of a folder": str(folder),
    }[kind]


COLOUR = photographs()
FORMS = {
    "floats": lambda folder: COLOUR / 255,
    "float32": lambda folder: (COLOUR / 255).astype(np.float32),
    "channels first": lambda folder: COLOUR.transpose(0, 3, 1, 2),
    "tensor": lambda folder: torch.tensor(COLOUR),
    "tensor, channels first": lambda folder: torch.tensor(COLOUR / 255).permute(0, 3, 1, 2),
    "tensor with a gradient": lambda folder: torch.tensor(COLOUR / 255).requires_grad_(),
    "opaque": lambda folder: np.concatenate([COLOUR, np.full_like(COLOUR[..., :1], 255)], 3),
    "list of arrays": lambda folder: list(COLOUR),
    "tuple of tensors": lambda folder: tuple(torch.tensor(COLOUR).permute(0, 3, 1, 2)),
} | {
    kind: lambda folder, kind=kind: as_list_of(kind, COLOUR, folder)
    for kind in ("pictures", "paths", "texts", "array of texts", "folder", "text of a folder")
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("aspect", ["pad", "crop", "stretch"])
def test_every_form_of_the_same_images_gives_the_same(form, aspect, tmp_path):
    images = read(FORMS[form](tmp_path), aspect=aspect)
    assert images.shape == (3, 28, 28, 3) and images.dtype == np.uint8
    np.testing.assert_array_equal(images, read(COLOUR, aspect=aspect))


@pytest.mark.parametrize("form", ["(N, H, W)", "(N, H, W, 1)", "(N, 1, H, W)", "pictures"])
def test_gray_images_stay_gray(form):
    gray = photographs(channels=1)[..., 0]
    images = {
        "(N, H, W)": gray,
        "(N, H, W, 1)": gray[..., None],
        "(N, 1, H, W)": gray[:, None],
        "pictures": list(map(Image.fromarray, gray)),
    }[form]
    np.testing.assert_array_equal(read(images), read(gray))
    assert read(gray).shape == (3, 28, 28, 1)


def test_images_of_the_size_are_taken_as_they_are():
    for array in (photographs(4, 28, 28), photographs(4, 28, 28, 1)):
        np.testing.assert_array_equal(read(array), array)
        np.testing.assert_array_equal(read(array / 255), array)
        np.testing.assert_array_equal(read(list(array)), array)
    assert "taken as they are" in Form(28, 1).description(items(array))


@given(
    height=st.integers(2, 40),
    width=st.integers(2, 40),
    aspect=st.sampled_from(["pad", "crop", "stretch"]),
)
def test_any_size_is_taken(height, width, aspect):
    image = np.full((1, height, width, 3), (10, 100, 200), np.uint8)
    assert (read(image, 12, aspect) == (10, 100, 200)).all()


def test_padding_keeps_all_and_cropping_cuts_the_ends_off():
    image = np.zeros((1, 20, 40), np.uint8)
    image[:, :, :5] = 255  # a bright left edge
    padded, cropped, stretched = (read(image, 40, a)[0, ..., 0] for a in ("pad", "crop", "stretch"))
    assert (padded[:, :5] == 255).all() and (padded[:, 5:] == 0).all()
    assert (cropped == 0).all()
    assert (stretched[:, :5] == 255).all()
    top = np.zeros((1, 20, 40), np.uint8)
    top[:, 0] = 255
    assert (read(top, 40, "pad")[0, :10] == 255).all() and (read(top, 40)[0, 12:] == 0).all()


def test_transparent_images_stand_on_white_and_photographs_upright(tmp_path):
    clear = np.zeros((2, 28, 28, 4), np.uint8)
    assert (read(clear) == 255).all()
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    pixels = np.repeat(np.linspace(0, 255, 28).astype(np.uint8)[:, None], 28, 1)
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read(tmp_path)[0, ..., 0], pixels[::-1])


def test_mixed_images_are_read_as_rgb_and_new_ones_as_what_was_fitted():
    gray, colour = photographs(1, channels=1)[0, ..., 0], photographs(1)[0]
    assert read([gray, colour]).shape == (2, 28, 28, 3)
    as_gray = Form(28, 1).all(items([colour]))
    np.testing.assert_array_equal(as_gray, read([Image.fromarray(colour).convert("L")]))


def test_a_source_is_opened_batch_by_batch():
    class Lazy(list):
        opened = 0

        def __getitem__(self, k):
            part = super().__getitem__(k)
            Lazy.opened += len(part)
            return part

    images = Lazy(map(Image.fromarray, np.zeros((BATCH + 5, 8, 8), np.uint8)))
    batches = Form(12, 1).batches(images)
    assert len(next(batches)) == BATCH == Lazy.opened
    assert [len(batch) for batch in batches] == [5]


def test_files_of_a_folder_are_sorted_images(tmp_path):
    for name in ("b.png", "sub/a.JPG", "notes.txt", ".hidden.png", "sub/.cache/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    assert files(tmp_path) == [tmp_path / "b.png", tmp_path / "sub/a.JPG"]


GRAY = np.zeros((5, 28, 28))
MISTAKES = {
    "rows": (np.zeros((5, 784)), "shape (5, 784), rows of numbers; give .*reshape(-1, 28, 28)"),
    "odd rows": (np.zeros((5, 6)), "X.reshape(-1, height, width)"),
    "one image": (np.zeros((28, 28, 3)), "as one image has; give several, .* X[None]"),
    "a number": (3, "X is a int; give an array or tensor"),
    "no images": ([], "X is empty; give"),
    "an empty array": (np.zeros((0, 28, 28)), "no pixel in it"),
    "five channels": (np.zeros((2, 8, 8, 5)), "1, 3 or 4 channels"),
    "0..255 as floats": (
        GRAY + 255,
        "from 255 to 255, but floats are taken in 0..1; write X / 255",
    ),
    "normalised": (GRAY - 1, "from -1 to -1, .*scale them to 0..1"),
    "NaN": (GRAY * np.nan, "X holds NaN; .*np.nan_to_num"),
    "int64": (GRAY.astype(int), "int64 values from 0 to 0; write X.astype('uint8')"),
    "16 bits": (GRAY.astype(np.uint16) + 999, "uint16 values .* 16 bits by X.*65535"),
    "masks": (GRAY > 0, "True and False; write X.astype('uint8') * 255"),
    "complex": (GRAY * 1j, "complex128 values"),
    "pairs": ([(GRAY[0], 1)], "image 0 is a tuple; give an array, a tensor, a PIL image or a path"),
    "a long row": ([GRAY[0], GRAY[0, 0]], r"image 1 has the shape \(28,\)"),
    "no such folder": ("no/such/folder", "no/such/folder: no such file or folder"),
    "no such file": (["no/such.png"], "no/such.png: cannot be read as an image"),
    "16-bit picture": ([Image.new("I;16", (8, 8))], "image 0: more than 8 bits per channel"),
    "labels": (["good", "bad"], "good: cannot be read"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_that_says_what_to_write(mistake):
    images, expected = MISTAKES[mistake]
    words = map(re.escape, expected.split(".*")) if "\\" not in expected else [expected]
    with pytest.raises(InputError, match=".*".join(words)) as caught:
        read(images)
    assert "\n" not in str(caught.value)


def test_a_damaged_file_is_named(tmp_path):
    Image.new("RGB", (40, 40)).save(tmp_path / "whole.png")
    data = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "z.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=re.escape(f"{tmp_path / 'z.png'}: cannot be read")):
        read(tmp_path)
    with pytest.raises(InputError, match=r"no images in this folder.*\.png"):
        read(Path(__file__).parent / "faults")
