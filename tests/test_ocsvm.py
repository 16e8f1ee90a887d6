"""OCSVM: equal to scikit-learn's, gamma by rule, nothing but training images."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.svm import OneClassSVM

from baselines.ocsvm import OCSVM
from benchmark.detector import FitFailed
from tests.digits import of_class

TRAIN, VALIDATION = of_class(0, 120), of_class(0, 140)[120:]
TEST = np.concatenate([of_class(0, 170)[140:], of_class(1, 30)])


def flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(float) / 255


def fit(detector: OCSVM) -> OCSVM:
    return detector.fit(TRAIN, VALIDATION, seed=0)


def test_pixels_as_in_scikit_learn() -> None:
    detector = fit(OCSVM(variance=None))
    expected = -OneClassSVM(nu=0.1, gamma="scale").fit(flat(TRAIN)).decision_function(flat(TEST))
    np.testing.assert_allclose(detector.score(TEST)["score"], expected, rtol=1e-4, atol=1e-5)
    assert detector.facts["dimensions"] == 784


@pytest.mark.parametrize("whiten", [True, False])
@pytest.mark.parametrize("variance", [0.5, 0.95])
def test_pca_as_in_scikit_learn(variance: float, whiten: bool) -> None:
    detector = fit(OCSVM(variance=variance, nu=0.3, whiten=whiten))
    pca = PCA(n_components=variance, svd_solver="full", whiten=whiten).fit(flat(TRAIN))
    machine = OneClassSVM(nu=0.3, gamma="scale").fit(pca.transform(flat(TRAIN)))
    expected = -machine.decision_function(pca.transform(flat(TEST)))
    np.testing.assert_allclose(detector.score(TEST)["score"], expected, rtol=1e-4, atol=1e-5)
    assert detector.facts["dimensions"] == pca.n_components_ < 784
    assert detector.facts["support_vectors"] == len(machine.support_vectors_)


def test_both_solvers_keep_the_same_space() -> None:
    """More images than dimensions, and fewer, take two solvers."""
    small = np.random.default_rng(0).integers(0, 256, (40, 5, 5, 1), dtype=np.uint8)
    small[:, 0, 0] = small[:, 1, 1]
    for count in (40, 20):
        detector = OCSVM(variance=0.9, whiten=False).fit(small[:count], small[:2], seed=0)
        pca = PCA(n_components=0.9, svd_solver="full").fit(flat(small[:count]))
        machine = OneClassSVM(nu=0.1, gamma="scale").fit(pca.transform(flat(small[:count])))
        expected = -machine.decision_function(pca.transform(flat(small)))
        np.testing.assert_allclose(detector.score(small)["score"], expected, rtol=1e-4, atol=1e-5)


def test_outliers_are_higher() -> None:
    scores = fit(OCSVM()).score(TEST)["score"]
    assert np.median(scores[30:]) > np.quantile(scores[:30], 0.9)


def test_nu_bounds_the_share_of_training_images_outside() -> None:
    for nu in (0.05, 0.3):
        # Support vectors at the margin are zero up to the solver's tolerance.
        outside = (fit(OCSVM(nu=nu, whiten=False)).score(TRAIN)["score"] > 1e-2).mean()
        assert outside <= nu + 1e-9
        assert outside > nu - 0.1


def test_gamma_by_rule() -> None:
    points = flat(TRAIN)
    gaps = ((points[:, None] - points[None]) ** 2).sum(2)[np.triu_indices(len(points), 1)]
    expected = {
        "scale": 1 / (784 * points.var()),
        "median": 1 / np.median(gaps),
        "maximum": 1 / gaps.max(),
        0.125: 0.125,
    }
    for gamma, value in expected.items():
        detector = fit(OCSVM(gamma=gamma, variance=None))
        assert detector.facts["gamma"] == pytest.approx(value)


def test_validation_images_and_seed_have_no_say() -> None:
    one = fit(OCSVM())
    other = OCSVM().fit(TRAIN, of_class(3, 10), seed=9)
    assert one.score(TEST)["score"].tobytes() == other.score(TEST)["score"].tobytes()


def test_parameters_are_the_stored_numbers() -> None:
    facts = fit(OCSVM()).facts
    vectors, dimensions = facts["support_vectors"], facts["dimensions"]
    projection = 784 + 784 * dimensions
    assert facts["parameters"] == projection + vectors * (dimensions + 1) + 2
    assert fit(OCSVM()).models == ("best", "last")


def test_images_alike_are_a_failure() -> None:
    same = np.full((20, 28, 28, 1), 7, np.uint8)
    with pytest.raises(FitFailed, match="alike"):
        OCSVM().fit(same, same, seed=0)


def test_a_kernel_too_narrow_is_a_collapse() -> None:
    with pytest.raises(FitFailed, match="collapsed"):
        fit(OCSVM(gamma=1e6))


def test_too_few_images() -> None:
    message = "at least 2 training images and 1 validation image, not 1 and 20"
    with pytest.raises(ValueError, match=message):
        OCSVM().fit(TRAIN[:1], VALIDATION, seed=0)
