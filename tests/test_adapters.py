"""Outlier detectors of other libraries as methods: their scores, and the sign of these."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import KernelDensity, LocalOutlierFactor
from sklearn.svm import OneClassSVM

from benchmark.adapters import Outlier
from benchmark.conformance.command import outcomes
from benchmark.conformance.subject import Subject
from benchmark.errors import InputError
from tests.digits import of_class


class LikePyOD:
    """The interface of PyOD's detectors, imitated: PyOD is not installed here.

    ``fit`` sets ``decision_scores_``, and ``decision_function`` is higher for outliers. As some of
    them, it draws from NumPy's global generator.
    """

    def __init__(self, contamination=0.1, noise=1e-6):
        self.noise = noise

    def fit(self, X, y=None):
        self.mean_ = X.mean(axis=0) + self.noise * np.random.rand(X.shape[1])  # noqa: NPY002
        self.decision_scores_ = self.decision_function(X)
        return self

    def decision_function(self, X):
        return np.sqrt(((X - self.mean_) ** 2).sum(axis=1))


class Silent:
    """It gives the scores of what it was fitted to only."""

    def fit(self, X, y=None):
        return self


TRAIN = of_class(0, 60)
TEST = np.concatenate([of_class(0, 90)[60:], of_class(1, 30)])
POINTS, TESTED = (images.reshape(len(images), -1) / 255 for images in (TRAIN, TEST))


@pytest.mark.parametrize(
    ("path", "parameters", "direct"),
    [
        (
            "sklearn.ensemble:IsolationForest",
            {"n_estimators": 20},
            IsolationForest(n_estimators=20),
        ),
        ("sklearn.svm:OneClassSVM", {"nu": 0.2}, OneClassSVM(nu=0.2)),
        (
            "sklearn.neighbors:LocalOutlierFactor",
            {"novelty": True},
            LocalOutlierFactor(novelty=True),
        ),
        ("sklearn.neighbors:KernelDensity", {"bandwidth": 2.0}, KernelDensity(bandwidth=2.0)),
    ],
)
def test_scores_are_minus_those_of_scikit_learn(path, parameters, direct):
    if "random_state" in direct.get_params():
        direct.set_params(random_state=5)
    expected = -direct.fit(POINTS).score_samples(TESTED)
    detector = Outlier(estimator=path, parameters=parameters).fit(TRAIN, TRAIN, seed=5)
    np.testing.assert_allclose(detector.score(TEST)["score"], expected, rtol=1e-6)
    assert np.median(expected[30:]) > np.median(expected[:30])


def test_scores_are_those_of_pyod_as_they_are():
    detector = Outlier(estimator="tests.test_adapters:LikePyOD", parameters={"noise": 0})
    expected = LikePyOD(noise=0).fit(POINTS).decision_function(TESTED)
    scores = detector.fit(TRAIN, TRAIN).score(TEST)["score"]
    np.testing.assert_allclose(scores, expected, rtol=1e-6)
    assert np.median(expected[30:]) > np.median(expected[:30])


@pytest.mark.parametrize(
    ("estimator", "parameters"),
    [
        ("tests.test_adapters:LikePyOD", {}),
        ("sklearn.ensemble:IsolationForest", {"n_estimators": 20}),
        ("sklearn.svm:OneClassSVM", {}),
    ],
)
def test_adapted_detectors_conform(estimator, parameters):
    given = {"estimator": estimator, "parameters": parameters}
    subject = Subject("benchmark.adapters:Outlier", json.dumps(given))
    assert [each for each in outcomes(subject) if each.problem] == []


def test_the_state_of_the_estimator_is_that_of_the_last_fit(tmp_path: Path):
    detector = Outlier(parameters={"n_estimators": 10})
    once = detector.fit(TRAIN, TRAIN, seed=1).score(TEST)["score"]
    other = detector.fit(TRAIN[:30], TRAIN, seed=2).score(TEST)["score"]
    assert not np.array_equal(once, other)
    detector.save(tmp_path)
    assert np.array_equal(Outlier.load(tmp_path).score(TEST)["score"], other)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}


@pytest.mark.parametrize(
    ("estimator", "parameters", "said"),
    [
        ("nowhere:Forest", None, "nowhere:Forest needs 'nowhere', which is not installed"),
        ("sklearn.ensemble:Forest", None, "has no class 'Forest'"),
        ("sklearn.ensemble", None, "is no import path"),
        (
            "sklearn.ensemble:IsolationForest",
            {"estimators": 3},
            "parameters: sklearn.ensemble:IsolationForest has no 'estimators'; it takes n_estim",
        ),
        ("tests.test_adapters:Silent", None, "tests.test_adapters:Silent scores no new images"),
        (
            "sklearn.neighbors:LocalOutlierFactor",
            None,
            "LocalOutlierFactor needs parameters: {novelty: true}",
        ),
    ],
)
def test_a_wrong_estimator_is_one_line(estimator, parameters, said):
    with pytest.raises(InputError) as caught:
        Outlier(estimator=estimator, parameters=parameters).fit(TRAIN, TRAIN)
    assert said in str(caught.value) and "\n" not in str(caught.value)
