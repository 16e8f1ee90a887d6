"""Simulated challenges: severity, determinism, single effects by hand, and the split of GTSRB."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmark import data, splits
from benchmark.data.challenges import cure_tsr_index, file_names, gtsrb, sign_sheet
from benchmark.data.challenges.selection import Selection
from benchmark.data.challenges.simulation import EFFECTS, simulate
from benchmark.errors import InputError
from tests import simulation_check

SHARED = Path(__file__).parents[1] / "../shared/data"
GTSRB = SHARED / "gtsrb_subset.npz"
needs_gtsrb = pytest.mark.skipif(not GTSRB.exists(), reason="no ../shared/data/gtsrb_subset.npz")
needs_real = pytest.mark.skipif(
    not (SHARED / "CURE-TSR").exists(), reason="no ../shared/data/CURE-TSR"
)


@pytest.fixture(scope="module", params=["photographs", "made up"])
def signs(request: pytest.FixtureRequest) -> np.ndarray:
    """Some fifty signs, (N, 32, 32, 3): real ones where they are, and made-up ones anywhere."""
    if request.param == "made up":
        return np.stack([np.roll(sign(32, 32) // 4 * 3 + k, k, axis=1) for k in range(51)])
    if not GTSRB.exists():
        pytest.skip("no ../shared/data/gtsrb_subset.npz")
    with np.load(GTSRB) as arrays:
        return np.asarray(arrays["images"][::76])


def sign(height: int = 20, width: int = 24, channels: int = 3) -> np.ndarray:
    """A made-up sign: a bright disk with a bar on a gradient."""
    y, x = np.mgrid[:height, :width]
    image = np.stack([40 + 2 * x, 60 + y, 90 + 0 * x], axis=-1).astype(np.uint8)
    image[np.hypot(y - height / 2, x - width / 2) < height / 3] = (190, 40, 50)
    image[height // 2 - 1 : height // 2 + 1, width // 3 : -width // 3] = 230
    return image[..., :channels]


def distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(float) - other).mean())


def test_all_types_are_simulated_at_all_levels() -> None:
    assert set(EFFECTS) == set(file_names.TYPES)
    assert all(len(challenge.strengths) == len(file_names.LEVELS) for challenge in EFFECTS.values())


@pytest.mark.parametrize("challenge", file_names.TYPES)
def test_severity_grows_with_level(challenge: str, signs: np.ndarray) -> None:
    means = [
        np.mean(
            [distance(simulate(image, challenge, level, k), image)
             for k, image in enumerate(signs)]
        )
        for level in file_names.LEVELS
    ]  # fmt: skip
    assert len(signs) == 51
    assert means[0] > 1
    assert (np.diff(means) > 0.5).all(), means


@given(
    challenge=st.sampled_from(file_names.TYPES),
    level=st.sampled_from(file_names.LEVELS),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    channels=st.sampled_from([1, 3]),
    seed=st.integers(0, 2**40),
)
@settings(max_examples=150)
def test_any_size_in_and_out(challenge, level, height, width, channels, seed) -> None:
    image = np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)
    before = image.copy()
    result = simulate(image, challenge, level, seed)
    assert result.shape == image.shape and result.dtype == np.uint8
    assert np.array_equal(result, simulate(image, challenge, level, seed))
    assert np.array_equal(image, before)


@pytest.mark.parametrize("challenge", ["Noise", "Rain", "Snow", "Shadow", "DirtyLens", "Haze"])
def test_another_seed_is_another_draw(challenge: str) -> None:
    one, other = (simulate(sign(), challenge, 4, seed) for seed in (1, 2))
    assert not np.array_equal(one, other)


def test_unknown_conditions_are_refused() -> None:
    with pytest.raises(KeyError):
        simulate(sign(), "Fog", 1, 0)
    with pytest.raises(IndexError):
        simulate(sign(), "Rain", 6, 0)


def test_no_colour_is_left_at_the_last_level() -> None:
    result = simulate(sign(), "Decolorization", 5, 0)
    assert np.ptp(result, axis=2).max() == 0
    # BT.601 by hand: 0.299 * 190 + 0.587 * 40 + 0.114 * 50 = 85.99.
    assert result[10, 17].tolist() == [86, 86, 86]
    grey = sign(channels=1)
    assert np.array_equal(simulate(grey, "Decolorization", 5, 0), grey)


def test_light_is_scaled() -> None:
    image = np.full((4, 4, 3), 100, np.uint8)
    assert simulate(image, "Darkening", 2, 0)[0, 0, 0] == 38
    assert simulate(image, "Exposure", 1, 0)[0, 0, 0] == 160
    assert simulate(image, "Exposure", 3, 0)[0, 0, 0] == 255


@pytest.mark.parametrize("challenge", ["LensBlur", "GaussianBlur"])
def test_blur_keeps_the_light_and_takes_detail(challenge: str) -> None:
    flat = np.full((16, 16, 3), 77, np.uint8)
    assert np.array_equal(simulate(flat, challenge, 5, 0), flat)
    image = sign(30, 30)
    result = simulate(image, challenge, 1, 0)
    assert abs(result.mean() - image.mean()) < 1
    steepest, before = (np.abs(np.diff(each.astype(int), axis=1)).max() for each in (result, image))
    assert steepest < 0.6 * before


def test_lens_blur_of_a_point_is_a_disk() -> None:
    point = np.zeros((51, 51, 1), np.uint8)
    point[25, 25] = 255
    lit = simulate(np.repeat(point, 3, axis=2), "LensBlur", 1, 0)[..., 0] > 0
    y, x = np.nonzero(lit)
    assert np.hypot(y - 25, x - 25).max() <= 0.06 * 51 + 0.5
    assert lit.sum() == pytest.approx(np.pi * (0.06 * 51) ** 2, rel=0.35)


def test_noise_has_its_sigma() -> None:
    image = np.full((64, 64, 3), 128, np.uint8)
    noise = simulate(image, "Noise", 2, 0) / 255 - 128 / 255
    assert noise.std() == pytest.approx(0.08, rel=0.03)
    assert abs(noise.mean()) < 0.003


def test_haze_moves_everything_to_its_grey() -> None:
    dark, light = (np.full((16, 16, 3), value, np.uint8) for value in (20, 240))
    for level in file_names.LEVELS:
        one, other = (simulate(image, "Haze", level, 0).mean() for image in (dark, light))
        assert 20 < one < 0.62 * 255 < other < 240
    assert other - one < 0.15 * 220


def test_rain_and_snow_brighten_a_dark_sign_and_shadow_darkens() -> None:
    dark, light = (np.full((32, 32, 3), value, np.uint8) for value in (30, 220))
    assert simulate(dark, "Rain", 3, 0).max() > 100
    assert simulate(dark, "Snow", 3, 0).max() > 180
    shadow = simulate(light, "Shadow", 5, 0)
    assert (shadow <= light).all() and shadow.min() < 0.3 * 220 and shadow.max() > 0.9 * 220


def test_codec_errors_take_blocks_and_leave_the_others() -> None:
    image = sign(32, 32)
    changed = [
        [
            bool((simulate(image, "CodecError", 3, seed)[y : y + 16, x : x + 16]
                  != image[y : y + 16, x : x + 16]).any())
            for y in (0, 16)
            for x in (0, 16)
        ]
        for seed in range(60)
    ]  # fmt: skip
    share = np.mean(changed)
    assert 0.4 < share < 0.65
    assert any(0 < sum(blocks) < 4 for blocks in changed)


# GTSRB


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two signs of five tracks each, four frames a track; a pixel tells the frame."""
    images = np.full((40, 12, 12, 3), 128, np.uint8)
    images[:, 0, 0, 0] = np.arange(40)
    path = tmp_path_factory.mktemp("data") / "few.npz"
    np.savez(
        path,
        images=images,
        sign_class=np.repeat([13, 14], 20).astype(np.uint8),
        track=np.repeat(np.arange(10), 4).astype(np.uint16),
        frame=np.tile(np.arange(4), 10).astype(np.uint8),
    )
    return path


def test_signs_of_a_track_stay_together(few: Path) -> None:
    selection = Selection(types=("Rain", "Darkening"), levels=(1, 4))
    dataset = data.read("gtsrb_challenges", few, 12, selection)
    assert dataset.class_names == ("clean", "Rain 1", "Rain 4", "Darkening 1", "Darkening 4")
    assert dataset.n_train == 32 and dataset.images.shape == (32 + 8 + 4 * 8, 12, 12, 3)
    assert dataset.groups is not None
    assert not set(dataset.groups[:32]) & set(dataset.groups[32:])
    split = splits.make_split(
        dataset.labels, 32, "official", 0, 0, [0], max_ratio=None, groups=dataset.groups
    )
    train, validation = splits.fit_indices(split, 0)
    assert len(train) + len(validation) == 32 and len(validation) == 4
    assert not set(dataset.groups[train]) & set(dataset.groups[validation])
    tests = splits.test_table(split, dataset.labels, 0)
    assert np.bincount(tests["label"]).tolist() == [8] * 5
    assert tests["inlier"].sum() == 8


def test_challenged_images_are_the_clean_ones_under_the_challenge(few: Path) -> None:
    selection = Selection(types=("Noise",), levels=(2,))
    dataset = data.read("gtsrb_challenges", few, 12, selection)
    clean, noisy = dataset.images[32:40], dataset.images[40:]
    seeds = clean[:, 0, 0, 0].tolist()
    for image, result, seed in zip(clean, noisy, seeds, strict=True):
        assert np.array_equal(result, simulate(image, "Noise", 2, seed))


def test_pictures_of_one_sign_are_kept(few: Path, tmp_path: Path) -> None:
    selection = Selection(types=("Darkening",), levels=(2,))
    data.read("gtsrb_challenges", few, 12, selection, tmp_path)
    kept = sign_sheet.load(tmp_path)
    assert kept is not None and kept.sign == "stop"
    assert set(kept.sources) == {sign_sheet.SIMULATED}
    assert kept.images[:, 5, 5, 0].tolist() == [128, 49]


def test_torchvisions_folder_is_read(few: Path, tmp_path: Path) -> None:
    with np.load(few) as arrays:
        images, signs, tracks, frames = (
            arrays[name] for name in ("images", "sign_class", "track", "frame")
        )
    for image, number, track, frame in zip(images, signs, tracks, frames, strict=True):
        file = tmp_path / gtsrb.FOLDER / f"{number:05}/{track:05}_{frame:05}.ppm"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).resize((20 + frame, 30)).save(file)
    photographs = gtsrb.load_photographs(tmp_path)
    assert photographs.images.shape == (40, 32, 32, 3)
    assert photographs.signs.tolist() == signs.tolist()
    assert (photographs.tracks % 1000).tolist() == tracks.tolist()
    selection = Selection(types=("Rain",), levels=(1,))
    assert data.read("gtsrb_challenges", tmp_path, 28, selection).n_train == 32
    file.write_bytes(b"P6")
    with pytest.raises(InputError, match="cannot be read") as caught:
        gtsrb.load_photographs(tmp_path)
    assert str(file) in str(caught.value)


def test_a_download_that_fails_says_what_to_do(tmp_path: Path, monkeypatch) -> None:
    import torchvision.datasets

    def fail(*arguments: object, **options: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(torchvision.datasets, "GTSRB", fail)
    assert data.class_names("gtsrb_challenges", tmp_path)[0] == "clean"
    with pytest.raises(InputError, match=r"download failed \(no network\); run"):
        data.read("gtsrb_challenges", tmp_path, 28)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": np.zeros((2, 4, 4, 3), np.uint8)}, "no array 'sign_class'"),
        ({"sign_class": np.array([14, 14]), "track": np.array([1, 2])}, "no array 'images'"),
        ({"images": np.zeros((2, 4, 4, 3), np.uint8), "sign_class": np.array([14.0, 14.0]),
          "track": np.array([1, 2])}, "save integers"),
        ({"images": np.zeros((3, 4, 4, 3), np.uint8), "sign_class": np.array([14, 14]),
          "track": np.array([1, 2])}, "differ in length"),
        ({"images": np.zeros((2, 4, 4, 3), np.uint8), "sign_class": np.array([14, 14]),
          "track": np.array([1, 2])}, "too few tracks"),
    ],
)  # fmt: skip
def test_a_bad_file_is_one_line(tmp_path: Path, arrays, message: str) -> None:
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=message) as caught:
        data.read("gtsrb_challenges", path, 12)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_signs_of_gtsrb_have_names(few: Path) -> None:
    with pytest.raises(InputError, match="no sign 'halt' in GTSRB; choose from yield, stop"):
        data.class_names("gtsrb_challenges", few, Selection(signs=("halt",)))
    assert data.class_names("gtsrb_challenges", few)[0] == "clean"
    assert gtsrb.sign(14) == "stop" and gtsrb.sign(99) == "99"


@needs_gtsrb
@needs_real
def test_pictures_are_framed_by_their_source(tmp_path: Path) -> None:
    asked = {"types": ("Decolorization", "Haze"), "levels": (1, 2, 5)}
    selection = simulation_check.FIG8.model_copy(update=asked)
    index = cure_tsr_index.obtain(SHARED / "CURE-TSR", tmp_path / "index.parquet")
    sheet = simulation_check.fig8(SHARED / "CURE-TSR", index, GTSRB, 28, selection)
    # The real subset has stop signs under these alone, and none without a challenge.
    real = {name for name, source in zip(sheet.names, sheet.sources, strict=True)
            if source == sign_sheet.REAL}  # fmt: skip
    with_files = {
        f"{file.parent.name.rsplit('-', 1)[0]} {file.parent.name[-1]}"
        for file in (SHARED / "CURE-TSR").glob("*/01_06_*.bmp")
    }
    assert real == with_files & set(sheet.names) != set()
    assert sign_sheet.ABSENT not in sheet.sources and sheet.sources[0] == sign_sheet.SIMULATED


@pytest.fixture
def some(tmp_path: Path) -> Path:
    """Four plain stop signs as the files of one condition."""
    folder = tmp_path / "some/Darkening-2"
    folder.mkdir(parents=True)
    for number in range(4):
        image = Image.new("RGB", (20, 30), (40 + number, 0, 0))
        image.save(folder / f"01_06_04_02_{number:04}.bmp")
    return folder.parent


def test_real_images_are_drawn_beside_simulated_ones(some: Path, few: Path, tmp_path: Path) -> None:
    index = cure_tsr_index.obtain(some, tmp_path / "index.parquet")
    real, simulated = simulation_check.real_and_simulated(some, index, few, 12)
    assert list(real) == [("Darkening", 2)] and real["Darkening", 2].shape == (4, 12, 12, 3)
    assert len(simulated) == 60 and simulated["Rain", 1].shape == (40, 12, 12, 3)
    drawing = simulation_check.draw(real, simulated)
    assert gtsrb.NAME in drawing.figure.get_suptitle() and gtsrb.NAME in drawing.caption
    assert "59 of the 60 conditions have no real counterpart" in drawing.caption
    frame = drawing.frame
    assert len(frame) == 61 and set(frame["images"]) == {"CURE-TSR", gtsrb.NAME}
    (row,) = frame[frame["images"] == "CURE-TSR"].itertuples()
    # Plain red of 40 to 43: mean 41.5 over three channels, and no detail.
    assert (row.challenge, row.level, row.count) == ("Darkening", 2, 4)
    assert row.brightness == pytest.approx(41.5 / 3) and row.saturation == 41.5
    assert row.contrast == pytest.approx(41.5 * 2**0.5 / 3) and row.sharpness == 0


def test_the_command_draws_both_figures(some: Path, few: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "simulation"
    assert simulation_check.main([str(some), str(few), str(out)]) == 0
    assert "simulation.png" in capsys.readouterr().out
    stamps = []
    for name in ("signs", "simulation"):
        with Image.open(out / f"{name}.png") as picture:
            stamps.append(picture.info["Source"])
        assert gtsrb.NAME in (out / f"{name}.csv").read_text()
    assert stamps[0] != stamps[1]


def test_the_command_says_in_a_line_what_fails(some: Path, few: Path, tmp_path: Path, capsys):
    bad = some / "Darkening-2/01_06_04_02_0001.bmp"
    bad.write_bytes(b"BM")
    for root, photographs, results, message in (
        (tmp_path / "no", few, tmp_path, f"{tmp_path}/no: no such folder"),
        (some, tmp_path / "no.npz", tmp_path, f"{tmp_path}/no.npz: no such file"),
        (some, few, tmp_path / "out", f"{bad}: cannot be read"),
        (some, few, few, f"{few}/index.parquet: cannot be written"),
    ):
        assert simulation_check.main([str(root), str(photographs), str(results)]) == 1
        # The lines before it are progress.
        assert capsys.readouterr().err.splitlines()[-1].startswith(message)
