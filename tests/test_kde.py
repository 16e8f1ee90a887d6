"""KDE: density and choice of bandwidth equal scikit-learn's, from training images alone."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity

from baselines import kde
from baselines.kde import GRIDS, KDE, cross_validated
from tests.digits import of_class

TRAIN, VALIDATION = of_class(0, 120), of_class(0, 140)[120:]
TEST = np.concatenate([of_class(0, 170)[140:], of_class(1, 30)])


def flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(float) / 255


def fit(detector: KDE) -> KDE:
    return detector.fit(TRAIN, VALIDATION, seed=0)


@pytest.mark.parametrize("grid", ["paper", "released"])
def test_as_in_scikit_learn(grid: str) -> None:
    detector = fit(KDE(grid=grid))
    pca = PCA(n_components=0.95, svd_solver="full").fit(flat(TRAIN))
    exact = KernelDensity(leaf_size=len(TRAIN))
    search = GridSearchCV(exact, {"bandwidth": list(GRIDS[grid])}, cv=5)
    search.fit(pca.transform(flat(TRAIN)))
    assert detector.facts["bandwidth"] == search.best_params_["bandwidth"]
    expected = -search.best_estimator_.score_samples(pca.transform(flat(TEST)))
    np.testing.assert_allclose(detector.score(TEST)["score"], expected, rtol=1e-5)


@settings(max_examples=25)
@given(st.integers(5, 23), st.integers(1, 4), st.integers(0, 999), st.integers(1, 7))
def test_cross_validation_as_in_scikit_learn(n: int, d: int, seed: int, block: int) -> None:
    points = np.random.default_rng(seed).normal(size=(n, d))
    widths = [0.3, 0.7, 1.5, 4.0]
    search = GridSearchCV(KernelDensity(), {"bandwidth": widths}, cv=5).fit(points)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kde, "BLOCK", block)
        ours = cross_validated(points, widths)
    theirs = search.cv_results_["mean_test_score"]
    np.testing.assert_allclose(ours - ours[0], theirs - theirs[0], rtol=1e-7, atol=1e-7)


def test_grids() -> None:
    assert len(GRIDS["paper"]) == 10
    assert len(GRIDS["released"]) == 20
    assert (min(GRIDS["paper"]), max(GRIDS["paper"])) == pytest.approx((math.sqrt(2), 32))
    assert (min(GRIDS["released"]), max(GRIDS["released"])) == pytest.approx((2**-4.5, 32))


@pytest.mark.parametrize("bandwidth", [0.2, 0.5, 2.0])
def test_density_is_exact_far_from_all_images(bandwidth: float) -> None:
    detector = fit(KDE(bandwidth=bandwidth, variance=None))
    gaps = ((flat(TEST)[:, None] - flat(TRAIN)[None]) ** 2).sum(2)
    expected = logsumexp(-gaps / (2 * bandwidth**2), axis=1) - math.log(120)
    expected -= 784 / 2 * math.log(2 * math.pi * bandwidth**2)
    np.testing.assert_allclose(detector.score(TEST)["score"], -expected, rtol=1e-6)


def test_density_by_hand() -> None:
    """Five one-pixel images, one bandwidth: the mean of five normal densities."""
    pixels = np.array([0, 51, 102, 153, 255], np.uint8).reshape(5, 1, 1, 1)
    detector = KDE(bandwidth=0.5, variance=None).fit(pixels, pixels, seed=0)
    at = np.array([102, 204], np.uint8).reshape(2, 1, 1, 1)
    values = np.array([0, 0.2, 0.4, 0.6, 1])
    for score, x in zip(detector.score(at)["score"], (0.4, 0.8), strict=True):
        density = np.mean(np.exp(-((x - values) ** 2) / 0.5) / (0.5 * math.sqrt(2 * math.pi)))
        assert score == pytest.approx(-math.log(density), rel=1e-5)


def test_outliers_are_higher() -> None:
    for variance in (0.95, None):
        scores = fit(KDE(variance=variance)).score(TEST)["score"]
        assert np.median(scores[30:]) > np.quantile(scores[:30], 0.9)


def test_validation_images_and_seed_have_no_say() -> None:
    one = fit(KDE())
    other = KDE().fit(TRAIN, of_class(3, 10), seed=9)
    assert one.score(TEST)["score"].tobytes() == other.score(TEST)["score"].tobytes()


def test_parameters_are_the_stored_numbers() -> None:
    facts = fit(KDE(variance=None)).facts
    assert facts["parameters"] == 120 * 784 + 1


def test_too_few_images() -> None:
    message = "at least 5 training images and 1 validation image, not 4 and 20"
    with pytest.raises(ValueError, match=message):
        KDE().fit(TRAIN[:4], VALIDATION, seed=0)
