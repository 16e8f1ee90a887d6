"""The reader of CURE-TSR: on its real files, on a tree of its full shape, and on bad ones."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmark import data
from benchmark.__main__ import main
from benchmark.data.challenges import cure_tsr_index, file_names, sign_sheet
from benchmark.data.challenges.file_names import BadName, Codes
from benchmark.data.challenges.selection import PAPER, Selection
from benchmark.errors import InputError
from tests import simulation_check

REAL = Path(__file__).parents[1] / "../shared/data/CURE-TSR"
needs_real = pytest.mark.skipif(not REAL.exists(), reason="no ../shared/data/CURE-TSR")

GO = {"on_problem": "go"}
FEW = {"types": ("CodecError", "LensBlur"), "levels": (1, 3)}


def read(path: Path, keep: Path, **selection: object) -> data.Dataset:
    return data.read("cure_tsr", path, 28, selection, keep)


def picture(path: Path, value: int = 100, size: tuple[int, int] = (17, 23)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value // 2, 0)).save(path)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """All parts, types and levels of the distribution, empty but for a few signs in some."""
    root = tmp_path / "CURE-TSR"
    every = [(0, 0), *((code, level) for code in range(1, 13) for level in range(1, 6))]
    for part in ("Real_Train", "Real_Test", "Sim_Train", "Sim_Test"):
        for condition in every:
            (root / part / file_names.FOLDERS[condition]).mkdir(parents=True)
    for number in range(1, 13):
        picture(root / f"Real_Train/ChallengeFree/01_06_00_00_{number:04}.bmp", 10 + number)
        for challenge, level in [(0, 0), (3, 1), (3, 3), (2, 1), (2, 3)]:
            folder = root / "Real_Test" / file_names.FOLDERS[challenge, level]
            name = f"01_06_{challenge:02}_{level:02}_{number:04}.bmp"
            picture(folder / name, 100 + 10 * challenge + level, (9 + number, 30))
    picture(root / "Sim_Train/ChallengeFree/02_06_00_00_0001.bmp")
    return root


# Names


def test_a_name_by_hand() -> None:
    assert file_names.parse("01_06_03_02_0417.bmp") == Codes(1, 6, 3, 2, 417)
    assert file_names.parse("02_14_00_00_1.BMP") == Codes(2, 14, 0, 0, 1)
    assert file_names.CHALLENGES[3] == "CodecError" and file_names.SIGNS[6] == "stop"
    assert len(file_names.TYPES) == 12 and len(file_names.SIGNS) == 14
    assert file_names.condition("CodecError-2") == (3, 2) == file_names.condition("codecerror-2")
    assert file_names.FOLDERS[3, 2] == "CodecError-2"
    assert file_names.FOLDERS[0, 0] == "ChallengeFree"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("01_06_03_02_0417.png", "unparsable name"),
        ("1_6_3_2_417.bmp", "unparsable name"),
        ("01_06_03_02.bmp", "unparsable name"),
        ("01_06_03_02_٤.bmp", "unparsable name"),
        ("Thumbs.db", "unparsable name"),
        ("03_06_03_02_0417.bmp", "unknown code"),
        ("01_15_03_02_0417.bmp", "unknown code"),
        ("01_00_03_02_0417.bmp", "unknown code"),
        ("01_06_13_02_0417.bmp", "unknown code"),
        ("01_06_03_06_0417.bmp", "level out of range"),
        ("01_06_03_00_0417.bmp", "level out of range"),
        ("01_06_00_01_0417.bmp", "level out of range"),
    ],
)
def test_a_bad_name_is_of_a_kind(name: str, kind: str) -> None:
    with pytest.raises(BadName) as caught:
        file_names.parse(name)
    assert caught.value.kind == kind


@pytest.mark.parametrize(
    "folder", ["CodecError", "CodecError-0", "CodecError-6", "ChallengeFree-1"]
)
def test_other_folders_are_no_conditions(folder: str) -> None:
    assert file_names.condition(folder) is None


# Index


@needs_real
def test_every_real_file_is_indexed(tmp_path: Path) -> None:
    index = cure_tsr_index.obtain(REAL, tmp_path / "index.parquet")
    files = sorted(REAL.glob("*/*.bmp"))
    assert len(index) == len(files) == 1546
    assert not file_names.of_index(index)
    assert sorted(index["folder"].astype(str) + "/" + index["file"]) == [
        "/".join(file.parts[-2:]) for file in files
    ]
    # Independent of the parser: the codes by their position in the name.
    for column, part in (("sign", 1), ("challenge", 2), ("level", 3), ("number", 4)):
        expected = [int(file.split(".")[0].split("_")[part]) for file in index["file"]]
        assert index[column].tolist() == expected
    assert (index["sign"] == 6).sum() == 14


def test_the_full_shape(tree: Path, tmp_path: Path, capsys) -> None:
    index = cure_tsr_index.obtain(tree, tmp_path / "index.parquet")
    assert index[["part", "folder"]].drop_duplicates().shape[0] == 4 * 61
    assert (index["file"] != "").sum() == 12 * 6 + 1
    assert {problem.kind for problem in file_names.of_index(index)} == {"empty folder"}
    assert len(file_names.of_index(index)) == 4 * 61 - 7
    assert main(["cure-tsr-index", str(tree), str(tmp_path / "index.parquet")]) == 0
    said = capsys.readouterr().out
    assert said.startswith("73 images, 1 sign types") and "folder not found" not in said
    for part in ("Real_Train", "Sim_Test"):
        (tree / part / "Haze-5").rmdir()
    assert main(["cure-tsr-index", str(tree), str(tmp_path / "index.parquet")]) == 0
    lines = capsys.readouterr().out.splitlines()
    absent = [line for line in lines if line.endswith(": folder not found")]
    assert [line.split(",")[0] for line in absent] == ["Real_Train", "Sim_Test"]


def bad(tree: Path, tmp_path: Path) -> list[file_names.Problem]:
    """The problems of a tree but its many empty folders."""
    problems = file_names.of_index(cure_tsr_index.obtain(tree, tmp_path / "index.parquet"))
    return [problem for problem in problems if problem.kind != "empty folder"]


def test_problems_are_named_and_counted(tree: Path, tmp_path: Path) -> None:
    test = tree / "Real_Test"
    for name in ("01_06_03_06_0001.bmp", "notes.txt", "01_06_03_02_0001.bmp", ".hidden"):
        (test / "CodecError-1" / name).touch()
    (test / "CodecError-1/02_06_03_01_0001.bmp").touch()
    (test / "CodecError-9").mkdir()
    assert [problem.kind for problem in bad(tree, tmp_path)] == [
        *("folder contradicts file", "level out of range", "folder contradicts file"),
        *("unparsable name", "unknown folder"),
    ]
    assert file_names.account(bad(tree, tmp_path)) == [
        "unparsable name: 1 (Real_Test/CodecError-1/notes.txt (not "
        "sequence_sign_challenge_level_index.bmp))",
        "level out of range: 1 (Real_Test/CodecError-1/01_06_03_06_0001.bmp (level 06 is none of "
        "01 to 05))",
        "folder contradicts file: 2 (Real_Test/CodecError-1/01_06_03_02_0001.bmp (its codes say "
        "CodecError level 2); Real_Test/CodecError-1/02_06_03_01_0001.bmp (its codes say simulated "
        "image))",
        "unknown folder: 1 (Real_Test/CodecError-9 (no challenge type and level in its name))",
    ]


def test_stray_files_and_unknown_folders_are_named(tree: Path, tmp_path: Path) -> None:
    test = tree / "Real_Test"
    for stray in (test / "01_06_03_01_0001.bmp", tree / "README.txt"):
        stray.touch()
    (tree / "gone").symlink_to(tmp_path / "nowhere")
    (tree / "Real_Tset").mkdir()
    (test / "codecerror-1").mkdir()
    (test / "CodecError-1/01_06_03_01_1.BMP").touch()
    for own in cure_tsr_index.WRITTEN:
        (tree / own).touch()
    assert list(map(str, bad(tree, tmp_path))) == [
        "README.txt: stray file (in no folder of a challenge)",
        "Real_Tset: unknown folder (none of Real_Train, Real_Test, Sim_Train, Sim_Test)",
        "gone: stray file (in no folder of a challenge)",
        "Real_Test/01_06_03_01_0001.bmp: stray file (in no folder of a challenge)",
        "Real_Test/CodecError-1/01_06_03_01_1.BMP: duplicate (the same codes as "
        "01_06_03_01_0001.bmp)",
        "Real_Test/codecerror-1: duplicate (the same condition as CodecError-1)",
    ]
    with pytest.raises(InputError, match=r"README\.txt: stray file .* and 5 more"):
        read(tree, tmp_path, **FEW)
    assert len(read(tree, tmp_path, **FEW, **GO).images) == 72


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("01_06_03_01_2147483648.bmp", "01_06_03_01_2147483648.bmp"),
        (os.fsdecode(b"sign-\xff.bmp"), r"sign-\udcff.bmp"),
        ("01_06_03_01_0001\n.bmp", r"01_06_03_01_0001\n.bmp"),
    ],
)
def test_a_strange_name_is_a_line(tree: Path, tmp_path: Path, name: str, shown: str) -> None:
    (tree / "Real_Test/CodecError-1" / name).touch()
    (problem,) = bad(tree, tmp_path)
    assert problem.kind == "unparsable name"
    assert problem.place == f"Real_Test/CodecError-1/{shown}"
    (line,) = file_names.account([problem])
    assert "\n" not in line and line.encode()


def test_a_strange_folder_is_a_line(tree: Path, tmp_path: Path) -> None:
    (tree / "Real_Test" / os.fsdecode(b"Rain\xff\n1")).mkdir()
    (problem,) = bad(tree, tmp_path)
    assert (problem.kind, problem.place) == ("unknown folder", r"Real_Test/Rain\udcff\n1")
    assert cure_tsr_index._is_current(tree, tmp_path / "index.parquet")


def test_an_index_is_that_of_its_folder(tree: Path, tmp_path: Path) -> None:
    path = tmp_path / "index.parquet"
    cure_tsr_index.obtain(tree, path)
    other = tmp_path / "other"
    other.mkdir()
    for part in tree.iterdir():
        (other / part.name).symlink_to(part)
    assert cure_tsr_index._is_current(tree, path) and not cure_tsr_index._is_current(other, path)


def test_an_index_is_built_once_and_again_after_a_change(tree: Path, tmp_path: Path) -> None:
    path = tmp_path / "index.parquet"
    cure_tsr_index.obtain(tree, path)
    first = path.stat().st_mtime_ns
    cure_tsr_index.obtain(tree, path)
    assert path.stat().st_mtime_ns == first
    picture(tree / "Real_Test/Snow-5/01_06_11_05_0001.bmp")
    os.utime(tree / "Real_Test/Snow-5", ns=(first, first))  # coarse clocks would not show it
    assert (cure_tsr_index.obtain(tree, path)["challenge"] == 11).sum() == 1
    path.write_bytes(b"damaged")
    assert (cure_tsr_index.obtain(tree, path)["challenge"] == 11).sum() == 1


def test_nothing_is_left_of_an_index_that_fails(tree: Path, tmp_path: Path, monkeypatch) -> None:
    def fail(name: str) -> Codes:
        raise KeyboardInterrupt

    monkeypatch.setattr(file_names, "parse", fail)
    with pytest.raises(KeyboardInterrupt):
        cure_tsr_index.build(tree, tmp_path / "index/index.parquet")
    assert list((tmp_path / "index").iterdir()) == []


@pytest.mark.parametrize("make", ["absent", "file", "empty", "other"])
def test_a_folder_that_is_none_of_cure_tsr(tmp_path: Path, make: str) -> None:
    root = tmp_path / "data"
    if make == "file":
        root.touch()
    elif make != "absent":
        root.mkdir()
    if make == "other":
        (root / "cats").mkdir()
    with pytest.raises(InputError, match=r"path:` must be the folder") as caught:
        cure_tsr_index.obtain(root, tmp_path / "index.parquet")
    assert str(root) in str(caught.value) and "\n" not in str(caught.value)


@needs_real
def test_the_command_says_what_is_missing(tmp_path: Path, capsys) -> None:
    assert main(["cure-tsr-index", str(REAL), str(tmp_path / "index.parquet")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("1,546 images, 13 sign types")
    assert "LensBlur level 3: folder not found" in lines
    assert "CodecError level 3: folder not found" not in lines
    # Five types and two levels of haze, and the clean images.
    assert len(lines) == 1 + 5 * 5 + 2 + 1
    assert main(["cure-tsr-index", str(tmp_path / "no"), str(tmp_path / "index.parquet")]) == 1


# Images


def test_training_and_test_parts(tree: Path, tmp_path: Path) -> None:
    dataset = read(tree, tmp_path, **FEW)
    assert dataset.class_names == (
        *("clean", "CodecError 1", "CodecError 3", "LensBlur 1", "LensBlur 3"),
    )
    assert dataset.images.shape == (6 * 12, 28, 28, 3) and dataset.images.dtype == np.uint8
    assert dataset.n_train == 12
    assert np.bincount(dataset.labels).tolist() == [24, 12, 12, 12, 12]
    # A plain picture keeps its value when it is resized, so the value identifies its file.
    values = dataset.images[:, 14, 14, 0]
    assert values[:12].tolist() == list(range(11, 23))
    assert [set(values[12:][dataset.labels[12:] == k]) for k in range(5)] == [
        *({100}, {131}, {133}, {121}, {123}),
    ]
    assert dataset.groups is not None
    clean = dataset.groups[12:24].tolist()
    assert all(dataset.groups[dataset.labels == k].tolist() == clean for k in range(1, 5))
    assert not set(clean) & set(dataset.groups[:12].tolist())
    assert (tmp_path / "account.txt").read_text() == f"72 images read from {tree}\n"


@needs_real
def test_real_images_are_resized_with_lanczos(tmp_path: Path) -> None:
    from benchmark.data.challenges import cure_tsr as reader

    selection = Selection(types=("Darkening", "Exposure"), on_problem="go")
    dataset = reader.read(REAL, 28, selection, tmp_path)
    assert dataset.n_train is None
    files = [file for type_ in ("Darkening", "Exposure") for file in REAL.glob(f"{type_}-*/*.bmp")]
    assert len(dataset.images) == len(files)
    expected = {
        np.asarray(
            Image.open(file).convert("RGB").resize((28, 28), Image.Resampling.LANCZOS)
        ).tobytes()
        for file in files
    }
    assert {image.tobytes() for image in dataset.images} == expected
    means = [dataset.images[dataset.labels == k].mean() for k in range(1, 11)]
    assert (np.diff(means[:5]) < 0).all() and (np.diff(means[5:]) > 0).all()


def test_signs_are_chosen(tree: Path, tmp_path: Path) -> None:
    picture(tree / "Real_Test/CodecError-1/01_14_03_01_0001.bmp")
    dataset = read(tree, tmp_path, signs=("stop",), **FEW)
    assert (dataset.labels == 1).sum() == 12
    assert (read(tree, tmp_path, **FEW).labels == 1).sum() == 13
    with pytest.raises(InputError, match="no sign 'halt' in CURE-TSR; choose from speed_limit"):
        read(tree, tmp_path, signs=("halt",))


def bad_name(tree: Path) -> str:
    (tree / "Real_Test/CodecError-1/x.bmp").touch()
    return "Real_Test/CodecError-1/x.bmp: unparsable name"


def bad_level(tree: Path) -> str:
    (tree / "Real_Test/CodecError-1/01_06_03_07_0001.bmp").touch()
    return "01_06_03_07_0001.bmp: level out of range"


def contradiction(tree: Path) -> str:
    picture(tree / "Real_Test/CodecError-1/01_06_09_01_0001.bmp")
    return "01_06_09_01_0001.bmp: folder contradicts file (its codes say Rain level 1)"


def unreadable(tree: Path) -> str:
    file = tree / "Real_Test/CodecError-1/01_06_03_01_0003.bmp"
    file.write_bytes(file.read_bytes()[:100])
    return "01_06_03_01_0003.bmp: unreadable image"


def missing(tree: Path) -> str:
    for file in (tree / "Real_Test/LensBlur-3").iterdir():
        file.unlink()
    (tree / "Real_Test/LensBlur-3").rmdir()
    return "Real_Test, LensBlur level 3: folder not found"


def emptied(tree: Path) -> str:
    for file in (tree / "Real_Test/LensBlur-3").iterdir():
        file.unlink()
    return "Real_Test, LensBlur level 3: empty folder"


def other_signs(tree: Path) -> str:
    emptied(tree)
    picture(tree / "Real_Test/LensBlur-3/01_14_02_03_0001.bmp")
    return "Real_Test, LensBlur level 3: no such sign (stop)"


@pytest.mark.parametrize(
    ("spoil", "lost"),
    [
        (bad_name, 0),
        (bad_level, 0),
        (contradiction, 0),
        (unreadable, 1),
        (missing, 12),
        (emptied, 12),
        (other_signs, 12),
    ],
)
def test_a_problem_stops_or_is_reported(
    tree: Path, tmp_path: Path, capsys, spoil, lost: int
) -> None:
    message = spoil(tree)
    with pytest.raises(InputError) as caught:
        read(tree, tmp_path, signs=("stop",), **FEW)
    assert message in str(caught.value) and "on_problem: go" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert message.split(": ")[0] in (tmp_path / "account.txt").read_text()
    capsys.readouterr()
    dataset = read(tree, tmp_path, signs=("stop",), **FEW, **GO)
    assert len(dataset.images) == len(dataset.labels) == len(dataset.groups) == 72 - lost
    kind = message.split(": ", 1)[1].split(" (")[0]
    assert kind in (tmp_path / "account.txt").read_text()
    assert kind in capsys.readouterr().err


def test_a_problem_in_the_names_stops_before_any_image_is_read(
    tree: Path, tmp_path: Path, monkeypatch
) -> None:
    from benchmark.data.challenges import cure_tsr as reader

    missing(tree)
    monkeypatch.setattr(reader, "read_image", lambda *_: pytest.fail("an image was read"))
    with pytest.raises(InputError, match="LensBlur level 3: folder not found"):
        read(tree, tmp_path, **FEW)
    assert "LensBlur level 3: folder not found" in (tmp_path / "account.txt").read_text()


def test_all_unreadable_images_are_counted(tree: Path, tmp_path: Path) -> None:
    for number in (3, 5):
        (tree / f"Real_Test/CodecError-1/01_06_03_01_{number:04}.bmp").write_bytes(b"BM")
    with pytest.raises(InputError, match=r"_0003\.bmp: unreadable image .* and 1 more"):
        read(tree, tmp_path, **FEW)
    assert "unreadable image: 2 (" in (tmp_path / "account.txt").read_text()


def test_without_clean_signs_there_is_no_model(tree: Path, tmp_path: Path) -> None:
    for part in ("Real_Train", "Real_Test"):
        for file in (tree / part / "ChallengeFree").iterdir():
            file.unlink()
    with pytest.raises(InputError, match="class 'clean' has no images"):
        read(tree, tmp_path, **FEW, **GO)


def test_the_sign_that_most_conditions_have_is_kept(tree: Path, tmp_path: Path) -> None:
    (tree / "Real_Test/LensBlur-1/01_06_02_01_0001.bmp").unlink()
    for file in (tree / "Real_Test/LensBlur-3").glob("*_000[1-4].bmp"):
        file.unlink()
    for file in (tree / "Real_Test/ChallengeFree").glob("*_00[01][5-9].bmp"):
        file.unlink()
    read(tree, tmp_path, **FEW, **GO)
    kept = sign_sheet.load(tmp_path)
    assert kept is not None
    assert kept.names == ("clean", "CodecError 1", "CodecError 3", "LensBlur 1", "LensBlur 3")
    assert set(kept.sources) == {sign_sheet.REAL} and kept.sign == "stop"
    assert kept.same.all()  # the sign 10 is in all of them
    assert kept.images[:, 14, 14, 0].tolist() == [100, 131, 133, 121, 123]


def test_an_absent_picture_is_taken_from_the_simulation() -> None:
    names = ("clean", "Rain 1", "Rain 2")
    rows = pd.DataFrame({"label": [1, 2], "sign": "stop", "number": [4, 4]})
    images = np.full((2, 2, 2, 3), 7, np.uint8)
    real = sign_sheet.from_files(images, rows, names)
    assert real.sources == (sign_sheet.ABSENT, sign_sheet.REAL, sign_sheet.REAL)
    simulated = sign_sheet.SignSheet(
        np.full((3, 2, 2, 3), 9, np.uint8),
        names,
        (sign_sheet.SIMULATED,) * 3,
        np.ones(3, bool),
        "stop",
    )
    both = simulation_check.completed(real, simulated)
    assert both.images[:, 0, 0, 0].tolist() == [9, 7, 7]
    assert both.sources == (sign_sheet.SIMULATED, sign_sheet.REAL, sign_sheet.REAL)


# Selection


def test_the_papers_challenges_by_default() -> None:
    selection = Selection()
    assert selection.types == PAPER and len(PAPER) == 8
    assert len(selection.conditions) == 40
    assert selection.class_names[:3] == ("clean", "Decolorization 1", "Decolorization 2")
    assert selection.conditions[5] == ("CodecError", 1)


@pytest.mark.parametrize(
    "wrong",
    [{"types": ("Fog",)}, {"types": ()}, {"levels": (0,)}, {"levels": (6,)}, {"levels": (1, 1)},
     {"on_problem": "perhaps"}, {"signs": ()}, {"type": ("Rain",)}],
)  # fmt: skip
def test_a_wrong_selection_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        Selection.model_validate(wrong)
