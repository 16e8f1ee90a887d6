"""The estimator by scikit-learn's own checks, and its behaviour for users."""

import json
import pickle
from inspect import signature

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from baselines.kde import KDE
from baselines.ocsvm import OCSVM
from benchmark.config.methods import METHODS
from benchmark.errors import InputError
from benchmark.utils import imports
from gradcon import CAE, VAE, GradCon
from gradcon.inspection import GradCon as GradConEstimator
from gradcon.inspection import OutlierEstimator, gradcon_estimator
from gradcon.inspection.images import Form
from tests.digits import of_class

QUICK = {"epochs": 2, "batch_size": 16}


class OfRows(OutlierEstimator):
    """The estimator on the rows of numbers that scikit-learn's checks give: images of one row."""

    def fit(self, X, y=None):
        return super().fit(self._images(X, reset=True), y)

    def score_samples(self, X):
        return super().score_samples(self._images(X, reset=False))

    def _images(self, X, reset):
        from sklearn.utils.validation import check_is_fitted, validate_data

        if not reset:
            check_is_fitted(self)
        rows = validate_data(self, X, reset=reset, ensure_min_samples=2 if reset else 1)
        return (np.sin(rows, dtype=np.float64)[:, None, :, None] + 1) / 2  # of any range to 0..1

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = False
        return tags


METHODS_CHECKED = [
    OfRows(KDE(bandwidth=1.0, variance=None), image_size=6),
    OfRows(GradCon(epochs=1, batch_size=64), image_size=12),
]


@parametrize_with_checks(METHODS_CHECKED)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def fitted():
    return OutlierEstimator(KDE(bandwidth=1.0)).fit(of_class(1, 100))


def test_the_scores_are_those_of_the_detector(fitted):
    images = of_class(2, 5)
    expected = -fitted.detector_.anomaly_score(images)
    np.testing.assert_allclose(fitted.score_samples(images), expected, rtol=1e-5)
    np.testing.assert_allclose(fitted.score_samples(images / 255), expected, rtol=1e-5)
    np.testing.assert_allclose(
        fitted.decision_function(images), expected - fitted.offset_, rtol=1e-5, atol=1e-5
    )
    assert fitted.predict(images).tolist() == np.where(expected < fitted.offset_, -1, 1).tolist()


def test_held_out_images_do_not_train():
    images = of_class(1, 50)
    seen = []

    class Recording(KDE):
        def fit(self, train, *arguments, **options):
            seen.append(train)
            return super().fit(train, *arguments, **options)

    estimator = OutlierEstimator(Recording(bandwidth=1.0), held_out=0.3).fit(images)
    trained = {image.tobytes() for image in seen[0]}
    held_out = np.array([image.tobytes() not in trained for image in images])
    assert len(seen[0]) == 35 and held_out.sum() == 15 == estimator.threshold_.images
    scores = estimator.score_samples(images[held_out])
    assert (estimator.predict(images[held_out]) == 1).all()
    assert np.isclose(scores.min(), estimator.offset_, rtol=1e-3)
    OutlierEstimator(Recording(bandwidth=1.0), contamination=0.1).fit(images)
    assert len(seen[1]) == 50


def test_contamination_is_the_share_of_the_images_that_are_outliers():
    estimator = OutlierEstimator(KDE(bandwidth=1.0), contamination=0.1)
    predicted = estimator.fit_predict(of_class(1, 50))
    assert (predicted == -1).sum() == 5 and estimator.threshold_ is None


@pytest.mark.parametrize("name", METHODS)
def test_every_method_of_the_suite_is_taken(name):
    detector = imports.load(METHODS[name].path)
    estimator = OutlierEstimator(detector())
    assert clone(estimator).get_params()["detector"].hyperparameters == detector().hyperparameters
    for parameter, value in detector().hyperparameters.items():
        estimator.set_params(**{f"detector__{parameter}": value})
    assert type(estimator.detector) is detector
    assert {f"detector__{parameter}" for parameter in signature(detector).parameters} <= set(
        estimator.get_params()
    )


def test_gradcon_is_the_default():
    estimator = OutlierEstimator().set_params(**{f"detector__{k}": v for k, v in QUICK.items()})
    images = of_class(1, 40)
    scores = estimator.fit(images).score_samples(images)
    assert isinstance(estimator.detector_, GradCon) and scores.shape == (40,)
    assert estimator.detector_.facts["epochs"] == QUICK["epochs"]


def test_pipeline_cross_validation_and_grid_search():
    images = np.concatenate([of_class(1, 60), of_class(8, 20)])
    labels = np.r_[np.ones(60, int), -np.ones(20, int)]
    folds = StratifiedKFold(2, shuffle=True, random_state=0)
    inverted = FunctionTransformer(lambda images: 255 - images)
    pipeline = make_pipeline(inverted, OutlierEstimator(OCSVM(), contamination=0.25))
    assert set(pipeline.fit(images).predict(images)) == {1, -1}
    aurocs = cross_val_score(pipeline, images, labels, scoring="roc_auc", cv=folds)
    by_hand = [
        roc_auc_score(
            labels[test], clone(pipeline).fit(images[train]).decision_function(images[test])
        )
        for train, test in folds.split(images, labels)
    ]
    np.testing.assert_allclose(aurocs, by_hand)
    search = GridSearchCV(
        OutlierEstimator(KDE()), {"detector__bandwidth": [0.5, 2.0]}, scoring="roc_auc", cv=folds
    )
    assert search.fit(images, labels).best_params_["detector__bandwidth"] in (0.5, 2.0)


@pytest.mark.parametrize("detector", [KDE(bandwidth=1.0), CAE(**QUICK)], ids=["kde", "cae"])
def test_pickled_and_saved_estimators_score_the_same(detector, tmp_path):
    images, new = of_class(1, 40), of_class(2, 7, 3)
    estimator = OutlierEstimator(
        detector, aspect="crop", held_out=np.float64(0.3), random_state=np.int64(3)
    ).fit(images)
    estimator.save(tmp_path)
    for again in (
        pickle.loads(pickle.dumps(estimator)),
        OutlierEstimator.load(tmp_path),
        OutlierEstimator.load(str(tmp_path)),
    ):
        np.testing.assert_array_equal(again.score_samples(new), estimator.score_samples(new))
        assert again.offset_ == estimator.offset_ and again.threshold_ == estimator.threshold_
        assert again.form_ == estimator.form_ == Form(28, 1, "crop")
        assert again.get_params()["aspect"] == "crop"
        assert again.detector.hyperparameters == detector.hyperparameters


def test_damaged_and_foreign_folders_are_refused_in_one_line(fitted, tmp_path):
    with pytest.raises(InputError, match=r"estimator\.json: cannot be read \(No such file"):
        OutlierEstimator.load(tmp_path)
    fitted.save(tmp_path)
    state = json.loads((tmp_path / "estimator.json").read_text())
    for change, message in (
        ({"offset": "high"}, "could not convert"),
        ({"form": {"size": 28}}, "channels"),
        ({"detector": "baselines.ocsvm:OCSVM"}, "not a baselines.ocsvm:OCSVM"),
        ({"parameters": {"epochs": 3}}, "epochs"),
    ):
        (tmp_path / "estimator.json").write_text(json.dumps(state | change))
        with pytest.raises(InputError, match=message) as caught:
            OutlierEstimator.load(tmp_path, device="cpu")
        assert "\n" not in str(caught.value)


def test_early_stopping_ends_at_the_best_epoch_and_the_patience(tmp_path):
    images, fixed = of_class(1, 30), {"batch_size": 8, "learning_rate": 0.02}
    estimator = OutlierEstimator(CAE(epochs=30, **fixed), patience=2).fit(images)
    history = [row["validation_loss"] for row in estimator.detector_.history]
    best = int(np.argmin(history)) + 1
    assert len(history) == min(best + 2, 30) < 30
    assert all(min(history[:k]) < min(history[: k - 2]) for k in range(3, len(history)))
    whole = OutlierEstimator(CAE(epochs=len(history), **fixed)).fit(images)
    np.testing.assert_array_equal(whole.score_samples(images), estimator.score_samples(images))


def test_an_interrupted_training_goes_on(tmp_path, monkeypatch):
    from gradcon import training_state

    images, checkpoint = of_class(1, 30), tmp_path / "state"
    detector = CAE(epochs=8, batch_size=8, learning_rate=0.02)
    record, epochs = training_state.record, []

    def interrupted(state, settings, epoch, *losses):
        epochs.append(epoch)
        if len(epochs) == 5:
            raise KeyboardInterrupt
        record(state, settings, epoch, *losses)

    for patience in (None, 2):
        expected = OutlierEstimator(detector, patience=patience).fit(images)
        estimator = OutlierEstimator(detector, patience=patience, checkpoint=checkpoint)
        epochs.clear()
        with monkeypatch.context() as patch:
            patch.setattr("benchmark.utils.time_limit.Checkpoints.after_epoch", _write_always)
            patch.setattr("gradcon.training_state.record", interrupted)
            with pytest.raises(KeyboardInterrupt):
                estimator.fit(images)
            assert checkpoint.exists() and epochs == [1, 2, 3, 4, 5]
            estimator.fit(images)
        assert epochs[5] == 5 and not checkpoint.exists()
        np.testing.assert_array_equal(
            estimator.score_samples(images), expected.score_samples(images)
        )


def _write_always(self, seconds, last):
    self.write()


MISTAKES = {
    "class": ({"detector": GradCon}, "detector is the class GradCon; give an instance, GradCon()"),
    "text": ({"detector": "gradcon"}, r"detector is a str; give a method, such as GradCon\("),
    "size": ({"image_size": 32}, "GradCon supports 12x12 or 28x28"),
    "no size": ({"image_size": 0}, "image_size is 0; give OutlierEstimator a whole number"),
    "aspect": ({"aspect": "fit"}, "aspect is 'fit'; give OutlierEstimator 'pad' or 'crop'"),
    "share": ({"contamination": 0.7}, "contamination is 0.7; .* 'auto'"),
    "rate": ({"false_alarm_rate": float("nan")}, "false_alarm_rate is nan; .* above 0"),
    "held out": ({"held_out": 1}, "held_out is 1; .* below 1"),
    "seed": ({"random_state": -1}, "random_state is -1; .* of at least 0"),
    "device": ({"device": "gpu"}, "device is 'gpu'; give OutlierEstimator cpu, cuda or cuda:1"),
    "no GPU": ({"device": "cuda:9"}, "cuda:9: torch cannot use this GPU"),
    "patience": (
        {"detector": KDE(), "patience": 3},
        "patience is for CAE, GradCon, VAE and GradConVAE; KDE trains",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line(mistake):
    parameters, message = MISTAKES[mistake]
    with pytest.raises(ValueError, match=message) as caught:
        OutlierEstimator(**{"detector": GradCon(**QUICK)} | parameters).fit(of_class(1, 20))
    assert "\n" not in str(caught.value)


def test_gradcon_itself_is_an_estimator(tmp_path):
    images, new = of_class(1, 30), of_class(2, 7, 3)
    estimator = GradConEstimator(**QUICK)
    scores = estimator.fit(images).score_samples(new)
    general = OutlierEstimator(GradCon(**QUICK)).fit(images)
    np.testing.assert_array_equal(scores, general.score_samples(new))
    estimator.save(tmp_path)
    loaded = GradConEstimator.load(tmp_path)
    for again in (pickle.loads(pickle.dumps(estimator)), loaded, clone(estimator).fit(images)):
        np.testing.assert_array_equal(again.score_samples(new), scores)
        assert again.get_params() == estimator.get_params()


def test_its_hyperparameters_are_those_of_the_detector(tmp_path):
    estimator, detector = GradConEstimator(), GradCon()
    own = {name: estimator.get_params()[name] for name in gradcon_estimator.OWN}
    assert detector.hyperparameters == detector.hyperparameters | own
    shared = OutlierEstimator().get_params().keys() - {"detector"}
    assert estimator.get_params().keys() == shared | own.keys()
    estimator.set_params(epochs=1.5)
    with pytest.raises(InputError, match=r"epochs is 1\.5; give GradCon a whole number"):
        estimator.fit(of_class(1, 20))
    with pytest.raises(ValueError, match="Invalid parameter 'detector'"):
        estimator.set_params(detector__epochs=3)


def test_gradcon_refuses_the_model_of_another_method(fitted, tmp_path):
    fitted.save(tmp_path)
    with pytest.raises(InputError, match=r"the model is of KDE\(.*read it by OutlierEstimator\."):
        GradConEstimator.load(tmp_path)


def test_an_unknown_hyperparameter_names_those_that_exist():
    estimator = OutlierEstimator(VAE())
    with pytest.raises(InputError, match="VAE has no hyperparameter 'epoch'; it has epochs,"):
        estimator.set_params(detector__epoch=3)
    with pytest.raises(InputError, match=r"epochs is 2\.5; give VAE a whole number"):
        estimator.set_params(detector__epochs=2.5)


def test_what_was_done_is_told_once(capsys):
    estimator = OutlierEstimator(KDE(bandwidth=1.0)).fit(of_class(1, 30)[:, :20])
    told = capsys.readouterr().err
    assert told.count("30 images, resized to 28x28 gray; those that are not square are fill") == 1
    assert "from 6 held-out inliers; a rate of 0.05 needs 19: hold out more images" in told
    estimator.predict(of_class(1, 30))
    assert capsys.readouterr().err == ""
