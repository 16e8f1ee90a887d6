"""Splits: sizes by hand, properties by hypothesis, and the two ways of going wrong."""

import json
from fractions import Fraction
from itertools import chain

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark import splits
from benchmark.errors import InputError

SEEDS = st.integers(0, 2**40)
few = settings(max_examples=40)


def balanced(classes, per_class, seed=0):
    """Labels of equal classes in a random order."""
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(classes), per_class))


def part(split, inlier, name, inliers=True):
    rows = split[(split["inlier"] == inlier) & (split["part"] == name)]
    return rows.loc[(rows["outlier_rank"] < 0) == inliers, "sample_id"].tolist()


@st.composite
def pooled(draw):
    """Labels with an official training part: 10 to 30 training and 3 to 15 test images a class."""
    classes = draw(st.integers(2, 4))
    shuffle = np.random.default_rng(draw(st.integers(0, 99))).permutation
    train, test = (
        shuffle(np.repeat(np.arange(classes), [draw(st.integers(*size)) for _ in range(classes)]))
        for size in ((10, 30), (3, 15))
    )
    return np.concatenate([train, test]), len(train)


@pytest.mark.parametrize(
    ("protocol", "train", "validation", "inliers"),
    [("official", 4500, 500, 1000), ("folds", 3600, 1200, 1200)],
)
def test_sizes_of_cifar10(protocol, train, validation, inliers):
    labels = np.concatenate([balanced(10, 5000), balanced(10, 1000)])
    split = splits.make_split(labels, 50_000, protocol, 0, 0, range(10), 0.5)
    for c in range(10):
        assert len(part(split, c, "train")) == train
        assert len(part(split, c, "validation")) == validation
        assert len(part(split, c, "test")) == inliers
        assert len(part(split, c, "test", inliers=False)) == inliers


def test_sizes_of_fashion_mnist():
    split = splits.make_split(balanced(10, 7000), 60_000, "folds", 2, 0, [7], 0.5)
    assert len(part(split, 7, "train")) == 4200
    assert len(part(split, 7, "validation")) == 1400
    assert len(part(split, 7, "test")) == 1400
    assert len(part(split, 7, "test", inliers=False)) == 1400


@given(st.integers(1, 8), SEEDS, st.sampled_from([0.1, 0.9, None]))
def test_whole_tests_every_image_of_the_test_part(defects, seed, ratio):
    labels = np.repeat([0, 0, 1], [30, 12, defects])
    whole = splits.make_split(labels, 30, "whole", 0, seed, [0], ratio)
    assert part(whole, 0, "test") == list(range(30, 42))
    assert sorted(part(whole, 0, "test", inliers=False)) == list(range(42, 42 + defects))
    official = splits.make_split(labels, 30, "official", 0, seed, [0], None)
    assert whole.equals(official)


def test_official_keeps_the_official_parts():
    labels = np.concatenate([balanced(3, 20, 1), balanced(3, 10, 2)])
    split = splits.make_split(labels, 60, "official", 0, 5, range(3), 0.5)
    for c in range(3):
        fit = part(split, c, "train") + part(split, c, "validation")
        assert sorted(fit) == np.flatnonzero(labels[:60] == c).tolist()
        assert part(split, c, "test") == (60 + np.flatnonzero(labels[60:] == c)).tolist()
        assert min(part(split, c, "test", inliers=False)) >= 60


def test_table_has_the_stated_columns_and_types():
    split = splits.make_split(balanced(2, 10), None, "folds", 0, 0, [0, 1], 0.5)
    assert {name: str(kind) for name, kind in split.dtypes.items()} == {
        "inlier": "int16",
        "part": "str",
        "sample_id": "int32",
        "outlier_rank": "int32",
    }
    table = splits.test_table(split, balanced(2, 10), 1, 0.5)
    assert {name: str(kind) for name, kind in table.dtypes.items()} == {
        "sample_id": "int32",
        "label": "int16",
        "inlier": "bool",
        "outlier_rank": "int32",
    }


@few
@given(pooled(), st.sampled_from(["official", "folds"]), st.integers(0, 4), SEEDS)
def test_parts_are_disjoint_and_hold_what_they_should(data, protocol, fold, seed):
    labels, n_train = data
    fold = fold if protocol == "folds" else 0
    classes = range(labels.max() + 1)
    split = splits.make_split(labels, n_train, protocol, fold, seed, classes, 0.05)
    fitted = set[int]()
    tested = set[int]()
    for c in classes:
        train, validation = splits.fit_indices(split, c)
        table = splits.test_table(split, labels, c)
        ids = [*train, *validation, *table["sample_id"]]
        assert len(set(ids)) == len(ids)
        # Fitting sees inliers only, and all of the class is in use.
        assert set(labels[train]) == set(labels[validation]) == {c}
        inliers = table.loc[table["inlier"], "sample_id"]
        assert {*train, *validation, *inliers} == set(np.flatnonzero(labels == c))
        assert (table["label"] == labels[table["sample_id"]]).all()
        assert (table["inlier"] == (table["label"] == c)).all()
        fitted |= {*train.tolist(), *validation.tolist()}
        tested |= set(table["sample_id"])
    # Not only per class: no model's test image trained any model.
    assert not fitted & tested


@few
@given(pooled(), SEEDS)
def test_five_folds_partition_each_class(data, seed):
    labels, n_train = data
    every = [splits.make_split(labels, n_train, "folds", k, seed, [1], 0.05) for k in range(5)]
    tests = [part(split, 1, "test") for split in every]
    assert sorted(chain(*tests)) == np.flatnonzero(labels == 1).tolist()
    sizes = [len(test) for test in tests]
    assert max(sizes) - min(sizes) <= 1
    for k, split in enumerate(every):
        assert part(split, 1, "validation") == tests[(k + 1) % 5]
        others = [tests[(k + step) % 5] for step in (2, 3, 4)]
        assert part(split, 1, "train") == sorted(chain(*others))


@few
@given(
    pooled(),
    SEEDS,
    st.lists(st.sampled_from([0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6]), min_size=2, unique=True),
)
def test_outliers_nest_by_ratio(data, seed, ratios):
    labels, n_train = data
    n_inliers = int((labels[n_train:] == 0).sum())
    n_others = int((labels[n_train:] != 0).sum())

    def needed(ratio):
        return splits.outlier_count(n_inliers, ratio)

    arguments = (labels, n_train, "official", 0, seed, [0])
    if needed(max(ratios)) > n_others:
        with pytest.raises(InputError, match=f"needs {needed(max(ratios))} .* has {n_others};"):
            splits.make_split(*arguments, max(ratios))
        return
    split = splits.make_split(*arguments, max(ratios))
    previous: list[int] = []
    for ratio in sorted(ratios):
        table = splits.test_table(split, labels, 0, ratio)
        outliers = table.loc[~table["inlier"], "sample_id"].tolist()
        assert table["inlier"].sum() == n_inliers
        assert len(outliers) == needed(ratio)
        assert outliers[: len(previous)] == previous
        # A split made for this ratio alone gives the same test set.
        alone = splits.make_split(*arguments, ratio)
        assert splits.test_table(alone, labels, 0).equals(table)
        previous = outliers
    assert len(part(split, 0, "test", inliers=False)) == len(previous)


@few
@given(pooled(), st.sampled_from(["official", "folds"]), SEEDS)
def test_same_seed_same_split_whatever_classes_are_configured(data, protocol, seed):
    labels, n_train = data
    arguments = (labels, n_train, protocol, 0, seed)
    every = splits.make_split(*arguments, range(labels.max() + 1), 0.05)
    assert splits.make_split(*arguments, range(labels.max() + 1), 0.05).equals(every)
    alone = splits.make_split(*arguments, [1], 0.05)
    assert alone.equals(every[every["inlier"] == 1].reset_index(drop=True))


def test_order_and_repetition_of_classes_do_not_matter():
    arguments = (balanced(3, 10), None, "folds", 0, 0)
    split = splits.make_split(*arguments, [2, 0, 2], 0.5)
    assert split.equals(splits.make_split(*arguments, [0, 2], 0.5))


def test_split_seed_fold_and_class_change_the_draws():
    labels = balanced(3, 100)

    def outliers(fold, seed, inlier):
        split = splits.make_split(labels, 200, "folds", fold, seed, [inlier], 0.5)
        return part(split, inlier, "test", inliers=False)

    assert outliers(0, 0, 0) != outliers(0, 1, 0)
    assert not set(outliers(0, 0, 0)) & set(outliers(1, 0, 0))
    train = [
        part(splits.make_split(labels, 200, "official", 0, seed, [0], 0.1), 0, "train")
        for seed in range(3)
    ]
    assert train[0] != train[1] != train[2] != train[0]


def test_every_other_class_is_as_likely_an_outlier():
    # 600 draws of 4 from 2 + 6 + 12 candidates: each is drawn 120 times, give or take 4 sigma.
    labels = np.concatenate([balanced(4, 10), np.repeat([0, 1, 2, 3], [4, 2, 6, 12])])
    drawn = np.zeros(len(labels))
    for seed in range(600):
        split = splits.make_split(labels, 40, "official", 0, seed, [0], 0.5)
        drawn[part(split, 0, "test", inliers=False)] += 1
    assert not drawn[:44].any()
    assert np.abs(drawn[44:] - 120).max() < 4 * np.sqrt(600 * 0.2 * 0.8)


def test_a_split_is_the_same_on_every_machine():
    split = splits.make_split(np.arange(60) % 3, 40, "official", 0, 7, [0, 2], 0.5)
    assert splits.split_hash(split) == (
        "d5d5ff046bc2f39dfcda1663514308eaf5343b47bcc5627cf195b4a586178abc"
    )
    folds = splits.make_split(np.arange(60) % 3, None, "folds", 2, 7, [0, 2], 0.5)
    assert (
        splits.split_hash(folds)
        == "94fbb7a26b98541101eeff761934a8ff375925e592acc73022289c827cd189ab"
    )


def test_each_split_seed_deals_the_folds_anew():
    labels = balanced(3, 100)
    tests = [
        part(splits.make_split(labels, None, "folds", 0, seed, [0], 0.1), 0, "test")
        for seed in range(20)
    ]
    assert len(set(map(tuple, tests))) == 20
    # An image is as often in the fold that tests as chance has it: 4 of 20 times, 16 at most.
    drawn = np.bincount(list(chain(*tests)), minlength=300)[labels == 0]
    assert drawn.mean() == 4 and drawn.max() < 16


def test_outliers_of_a_class_are_drawn_for_it_alone():
    """Two inlier classes of one size share their other outliers no more than chance has it."""
    labels = np.concatenate([balanced(3, 20), balanced(3, 200)])
    split = splits.make_split(labels, 60, "official", 0, 0, [0, 1], 0.1)
    first, second = (part(split, inlier, "test", inliers=False) for inlier in (0, 1))
    assert len(first) == len(second) == 22
    common = [[image for image in ids if labels[image] == 2] for ids in (first, second)]
    assert len(set(common[0]) & set(common[1])) <= 5


@few
@given(st.integers(0, 99))
def test_groups_stay_together_in_the_official_training_part(seed):
    """Photographs of one sign all train or all validate; 9 of 10 signs train."""
    labels = np.concatenate([np.repeat([0, 1], 60), np.repeat([0, 1], 10)])
    groups = np.arange(len(labels)) // 3
    split = splits.make_split(labels, 120, "official", 0, seed, [0, 1], 0.5, groups)
    for c in (0, 1):
        train, validation = ({groups[i] for i in part(split, c, p)} for p in splits.PARTS[:2])
        assert not train & validation
        assert (len(train), len(validation)) == (18, 2)


@few
@given(st.randoms())
def test_hash_ignores_the_order_of_rows(random):
    split = splits.make_split(balanced(3, 10), None, "folds", 1, 0, range(3), 0.5)
    order = random.sample(range(len(split)), len(split))
    assert splits.split_hash(split.iloc[order]) == splits.split_hash(split)


@pytest.mark.parametrize("column", ["inlier", "part", "sample_id", "outlier_rank"])
def test_hash_sees_every_column(column):
    split = splits.make_split(balanced(3, 10), None, "folds", 1, 0, range(3), 0.5)
    other = split.copy()
    other.loc[0, column] = "test" if column == "part" else split.loc[0, column] + 1
    assert splits.split_hash(other) != splits.split_hash(split)


def test_written_and_read_back(tmp_path):
    split = splits.make_split(balanced(3, 10), None, "folds", 4, 11, [0, 2], 0.5)
    path = tmp_path / "splits" / "fold-4.parquet"
    splits.write_split(split, path, protocol="folds", fold=4, split_seed=11)
    pd.testing.assert_frame_equal(splits.read_split(path), split)
    sizes = {"train": 6, "validation": 2, "test_inliers": 2, "test_outliers": 2}
    assert json.loads(path.with_suffix(".json").read_text()) == {
        "protocol": "folds",
        "fold": 4,
        "split_seed": 11,
        "sizes": {"0": sizes, "2": sizes},
        "sha256": splits.split_hash(split),
    }
    first = path.read_bytes()
    splits.write_split(split, path, protocol="folds", fold=4, split_seed=11)
    assert path.read_bytes() == first
    assert sorted(file.name for file in path.parent.iterdir()) == ["fold-4.json", "fold-4.parquet"]


def test_a_failed_write_leaves_the_earlier_split(tmp_path, monkeypatch):
    path = tmp_path / "fold-0.parquet"
    split = splits.make_split(balanced(2, 10), None, "folds", 0, 0, [0], 0.5)
    splits.write_split(split, path, protocol="folds", fold=0, split_seed=0)

    def full(*_, **__):
        raise OSError("No space left on device")

    monkeypatch.setattr(splits.Path, "write_text", full)  # the table is written by then
    other = splits.make_split(balanced(2, 10), None, "folds", 0, 1, [0], 0.5)
    with pytest.raises(OSError, match="No space left"):
        splits.write_split(other, path, protocol="folds", fold=0, split_seed=1)
    assert splits.read_split(path).equals(split)
    assert len(list(tmp_path.iterdir())) == 2


def damage_content(path):
    changed = pd.read_parquet(path)
    changed.loc[0, "sample_id"] += 1
    changed.to_parquet(path, index=False)


DAMAGE = {
    "sha256": damage_content,
    "missing or damaged": lambda path: path.write_bytes(path.read_bytes()[:100]),
    "missing or damaged ": lambda path: path.unlink(),
    "missing or damaged  ": lambda path: path.with_suffix(".json").unlink(),
    "missing or damaged   ": lambda path: path.with_suffix(".json").write_text("{}"),
    "missing or damaged    ": lambda path: pd.DataFrame({"x": [1]}).to_parquet(path),
}


@pytest.mark.parametrize("message", DAMAGE)
def test_a_damaged_split_is_one_line(message, tmp_path):
    path = tmp_path / "fold-0.parquet"
    split = splits.make_split(balanced(2, 10), None, "folds", 0, 0, [0], 0.5)
    splits.write_split(split, path, protocol="folds", fold=0, split_seed=0)
    DAMAGE[message](path)
    with pytest.raises(InputError, match=message.strip()) as caught:
        splits.read_split(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ") and "delete" in text and "\n" not in text


LABELS = balanced(3, 20)
BAD = {
    "choose one of official, folds": (LABELS, 30, "kfold", 0, [0], 0.5),
    "protocol official has no fold 1": (LABELS, 30, "official", 1, [0], 0.5),
    "protocol folds has no fold 5; its folds are 0 to 4": (LABELS, 30, "folds", 5, [0], 0.5),
    "protocol folds has no fold -1": (LABELS, 30, "folds", -1, [0], 0.5),
    "no official split; use folds": (LABELS, None, "official", 0, [0], 0.5),
    "class 0: .*9 validation|class 0: too few .*needs at least 10": (
        np.repeat([0, 1], [9, 30]),
        None,
        "folds",
        0,
        [0],
        0.5,
    ),
    r"class 1: too few images for protocol official \(27 train, 3 validation, 0 test\)": (
        np.repeat([0, 1, 0], [30, 30, 5]),
        60,
        "official",
        0,
        [1],
        0.5,
    ),
    r"class 1: too few .*\(0 train, 0 validation, 30 test\)": (
        np.repeat([0, 1], 30),
        30,
        "official",
        0,
        [1],
        0.5,
    ),
    r"class 3: too few .*\(0 train, 0 validation, 0 test\)": (LABELS, None, "folds", 0, [3], 0.5),
    "ratio 0.75 with 4 inliers needs 12 outliers, .* other classes has 8": (
        LABELS,
        None,
        "folds",
        0,
        [0],
        0.75,
    ),
    "outlier ratio 1.0: must be between 0 and 1": (LABELS, None, "folds", 0, [0], 1.0),
    "outlier ratio 0.0: must be between 0 and 1": (LABELS, None, "folds", 0, [0], 0.0),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_one_line(message):
    labels, n_train, protocol, fold, inliers, ratio = BAD[message]
    with pytest.raises(InputError, match=message) as caught:
        splits.make_split(labels, n_train, protocol, fold, 0, inliers, ratio)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("protocol", "n_train"), [("folds", None), ("official", 30)])
def test_the_table_of_all_classes_is_the_same_whichever_are_inliers(protocol, n_train):
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2, 3], [30, 4, 20, 20]))
    arguments = (labels, n_train, protocol, 0, 7)
    every = splits.make_split(*arguments, [0, 2, 3], 0.5)
    for inliers in ([0], [2, 3], [3]):
        table = splits.make_split(*arguments, inliers, 0.5, others=True)
        assert table.equals(every)
        assert splits.split_hash(table) == splits.split_hash(every)
    with pytest.raises(InputError, match=r"^class 'small': too few images"):
        splits.make_split(*arguments, [1], 0.5, class_names=["a", "small", "b", "c"], others=True)


def test_asking_a_split_for_what_it_lacks():
    split = splits.make_split(LABELS, None, "folds", 0, 0, [0, 2], 0.5)
    with pytest.raises(InputError, match="no inlier class 1, only 0, 2"):
        splits.fit_indices(split, 1)
    with pytest.raises(InputError, match="no inlier class 1, only 0, 2"):
        splits.test_table(split, LABELS, 1)
    with pytest.raises(InputError, match=r"ratio 0\.6 needs 6 outliers, the split has 4"):
        splits.test_table(split, LABELS, 0, 0.6)


def test_balanced_counts_by_hand():
    # 1000 inliers: 10 % outliers are 111 of 1111, 50 % are 1000 of 2000.
    counts = [splits.outlier_count(1000, ratio) for ratio in (0.1, 0.2, 0.3, 0.4, 0.5)]
    assert counts == [111, 250, 429, 667, 1000]


@few
@given(st.integers(1, 10**5), st.integers(1, 99))
def test_outliers_make_up_their_share_to_half_an_image(n_inliers, percent):
    exact = Fraction(n_inliers * percent, 100 - percent)
    assert abs(splits.outlier_count(n_inliers, percent / 100) - exact) <= Fraction("0.5000001")
