"""What must hold of every method; the first line of each check's docstring says it.

A check is a function of the subject and an empty folder. It raises ``Broken`` if it does not hold,
and ``NotApplicable`` if it does not concern the method.
"""

import inspect
import json
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch.nn.modules import module as torch_module

from benchmark.base_detector import BaseDetector
from benchmark.conformance.mistakes import numeric
from benchmark.conformance.subject import NotApplicable, Subject, require
from benchmark.conformance.training import (
    MILESTONES,
    SEED,
    TRAIN,
    VALIDATION,
    before_each_pass,
    fit,
    fitted,
    global_generators,
    positional,
    require_equal,
    training,
)
from benchmark.detector import Detector, FitFailed, Images
from benchmark.scores import SAMPLE_COLUMNS, combined, gradient_weight

Check = Callable[[Subject, Path], None]


def components_have_usable_names(subject: Subject, folder: Path) -> None:
    """The components have names of their own, fit for columns of a table."""
    names = getattr(type(subject.create()), "components", ())
    require(names, "the class has no `components`; write components = ('score',)")
    require(isinstance(names, tuple), f"components are {names!r}; write a tuple, ('score',)")
    require(len(set(names)) == len(names), f"components {names} has a name twice")
    for name in names:
        require(str(name).isidentifier(), f"the component {name!r} is no Python name")
        require(
            name not in SAMPLE_COLUMNS,
            f"the component {name!r} has the name of a column of every score table; rename it",
        )


def fit_takes_inliers_and_nothing_else(subject: Subject, folder: Path) -> None:
    """The arguments of ``fit`` are those of the interface, with its defaults."""
    function = type(subject.create()).fit
    arguments = inspect.signature(function).parameters
    keywords = {name for name, each in arguments.items() if each.kind is each.KEYWORD_ONLY}
    expected = {"seed", "checkpoint", "milestones", "device"}
    require(
        positional(function) == ["train", "validation"]
        and keywords == expected
        and len(arguments) == 3 + len(expected)
        and (arguments["validation"].default, arguments["seed"].default) == (None, 0),
        f"it is fit{inspect.signature(function)}; write fit(self, train, validation=None, *, "
        "seed=0, checkpoint=None, milestones=(), device='cpu')",
    )


def validation_is_by_default_a_tenth_drawn_by_the_seed(subject: Subject, folder: Path) -> None:
    """Without validation images ``fit`` takes a tenth of the training images, drawn by the seed."""
    images = subject.inliers(*TRAIN)
    order = np.random.default_rng(0).permutation(33)
    expected = subject.create().fit(images[order[3:]], images[order[:3]], seed=0)
    detector = subject.create().fit(images)
    what = (
        "fit(train) against fit with the first tenth of "
        "np.random.default_rng(seed).permutation(len(train)) for validation"
    )
    require_equal(subject, detector, expected, detector.models, what)


def history_facts_and_models_are_of_the_training(subject: Subject, folder: Path) -> None:
    """``history``, ``facts`` and ``models`` have the form that the interface says."""
    detector = fitted(subject)
    require(isinstance(detector, Detector), _lacking(detector))
    facts, history, models = dict(detector.facts), detector.history, detector.models
    absent = {"parameters", "epochs", "best_epoch"} - facts.keys()
    require(not absent, f"facts lack {', '.join(sorted(absent))}")
    require(json.loads(json.dumps(facts)) == facts, f"facts are no plain values: {facts}")
    require(facts["parameters"] >= 0, f"facts: parameters is {facts['parameters']}")
    require(models[:2] == ("best", "last"), f"models are {models}; the first two are best, last")
    if not history:
        require(len(models) == 2, f"without a history there are no milestones, but {models[2:]}")
        return
    epochs = [row["epoch"] for row in history]
    require(
        epochs == list(range(1, facts["epochs"] + 1)),
        f"history has the epochs {epochs}, facts say that there are {facts['epochs']}",
    )
    require(1 <= facts["best_epoch"] <= facts["epochs"], f"best_epoch is {facts['best_epoch']}")
    for row in history:
        for prefix in ("train_", "validation_"):
            require(
                any(name.startswith(prefix) for name in row), f"a row of history has no {prefix}..."
            )
        require(all(np.isfinite(each) for each in row.values()), f"history is not finite: {row}")
    # A method may train something else first, whose models cannot score.
    reached = [f"epoch-{n}" for n in MILESTONES if n <= facts["epochs"]]
    kept = list(models[2:])
    require(
        kept == reached[len(reached) - len(kept) :],
        f"of the milestones {MILESTONES} it keeps {kept}, having trained {facts['epochs']} epochs",
    )


def _lacking(detector: object) -> str:
    names = [name for name in vars(Detector) if not name.startswith("_")]
    absent = [name for name in names if not hasattr(detector, name)]
    return f"the class lacks {', '.join(absent)} (benchmark/detector.py)"


def scores_are_finite_numbers_of_float32(subject: Subject, folder: Path) -> None:
    """``score`` gives each component one finite float32 for each image, gray and RGB."""
    for channels in (1, 3):
        detector, images = fitted(subject, channels), subject.tests(channels)
        for model in detector.models:
            scores = detector.score(images, model)
            _require_columns(detector, scores, len(images))
            for name, values in scores.items():
                require(np.isfinite(values).all(), f"{name!r} of {model!r} is not finite: {values}")
                require(np.ptp(values) > 0, f"{name!r} of {model!r} is {values[0]} for every image")


def _require_columns(detector: Detector, scores: Mapping[str, Any], count: int) -> None:
    names = tuple(type(detector).components)
    require(tuple(scores) == names, f"score gives {tuple(scores)}, the components are {names}")
    for name, values in scores.items():
        form = getattr(values, "dtype", type(values).__name__), getattr(values, "shape", "")
        require(
            form == (np.float32, (count,)),
            f"{name!r} is {form[0]} {form[1]}; give float32 of shape ({count},), one per image",
        )


def higher_is_more_anomalous(subject: Subject, folder: Path) -> None:
    """Uniform noise and negatives have a higher median than unseen inliers, in each component."""
    fields = subject.fields
    changes: dict[str, Any] = {name: subject.epochs for name in fields if name.endswith("epochs")}
    if "learning_rate" in fields:
        changes["learning_rate"] = max(fields["learning_rate"].default, 1e-3)
    detector = subject.create(**changes)
    detector.fit(subject.inliers(0, 97), subject.inliers(97, 120), seed=0)
    normal = subject.inliers(120, 150)
    outliers = np.concatenate([subject.noise(15), 255 - normal[:15]])
    inlying, outlying = detector.score(normal), detector.score(outliers)
    for name in inlying.keys() - subject.undirected:
        inside, outside = (float(np.median(scores[name])) for scores in (inlying, outlying))
        require(
            outside > inside,
            f"{name!r} has a median of {outside:.4g} for outliers, of {inside:.4g} for inliers "
            f"after {subject.epochs} epochs at most; turn its sign if lower is more anomalous",
        )


def the_seed_decides(subject: Subject, folder: Path) -> None:
    """The same seed gives the same scores, whatever the state of the global generators."""
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    again, models = fit(subject), fitted(subject).models
    require(again.models == models, f"two trainings of a seed keep {again.models} and {models}")
    require_equal(subject, again, fitted(subject), models, "two trainings of the same seed")


def a_method_that_says_so_gives_the_same_for_every_seed(subject: Subject, folder: Path) -> None:
    """A class with ``deterministic = True`` gives the same scores for every seed."""
    detector = fitted(subject)
    if not getattr(type(detector), "deterministic", False):
        raise NotApplicable("it does not say that one seed is enough")
    images = subject.inliers(*TRAIN), subject.inliers(*VALIDATION)
    other = subject.create().fit(*images, seed=SEED + 1)
    require_equal(subject, other, detector, ("best", "last"), "trainings of two seeds")


def global_generators_stay(subject: Subject, folder: Path) -> None:
    """Neither ``fit`` nor ``score`` moves the global generators of NumPy and torch."""
    detector = fitted(subject)
    before = global_generators()
    detector.score(subject.tests())
    require(global_generators() == before, "moved by score; draw from a generator of your own")
    require(not training(subject).moved, "moved by fit; draw from a generator of your own")


def what_was_saved_is_loaded(subject: Subject, folder: Path) -> None:
    """``save`` writes three files without pickles, and ``load`` gives the same detector again."""
    detector = fitted(subject)
    detector.save(folder / "weights")
    names = sorted(path.name for path in (folder / "weights").iterdir())
    expected = ["best.safetensors", "detector.json", "last.safetensors"]
    require(names == expected, f"save writes {', '.join(names)}; it is to be {', '.join(expected)}")
    places: tuple[Any, ...] = (folder / "weights", str(folder / "weights"))
    for place in places:
        loaded = type(detector).load(place)
        require(loaded.models == ("best", "last"), f"the loaded models are {loaded.models}")
        require_equal(subject, loaded, detector, ("best", "last"), "loaded against saved")


def scores_do_not_depend_on_batch_mates(subject: Subject, folder: Path) -> None:
    """The score of an image is the same alone, in any order and each time."""
    detector, images = fitted(subject), subject.tests()
    together, again = detector.score(images), detector.score(images)
    backwards = detector.score(images[::-1])
    alone = [detector.score(images[i : i + 1]) for i in (0, len(images) - 1)]
    for name, values in together.items():
        require(np.array_equal(values, again[name]), f"{name!r} differs in a second call")
        # Sums are taken in another order in a batch of another size: rounding, no more.
        near = partial(np.allclose, rtol=1e-4, atol=1e-4 * float(np.ptp(values)))
        require(
            near(backwards[name][::-1], values),
            f"{name!r} differs if the images come in the opposite order",
        )
        require(
            near([each[name][0] for each in alone], values[[0, -1]]),
            f"{name!r} of one image alone differs from its score among others",
        )


def an_unknown_model_is_a_key_error(subject: Subject, folder: Path) -> None:
    """``score`` with the name of no model raises ``KeyError``."""
    _require_raises(
        KeyError, lambda: fitted(subject).score(subject.tests(), "epoch-50"), "model='epoch-50'"
    )


def no_images_have_no_scores(subject: Subject, folder: Path) -> None:
    """Of no images, every component has the shape (0,), and pictures have none."""
    for channels in (1, 3):
        detector, none = fitted(subject, channels), subject.tests(channels)[:0]
        _require_columns(detector, detector.score(none), 0)
        if isinstance(detector, BaseDetector):
            shape = detector.anomaly_score(none).shape
            require(shape == (0,), f"anomaly_score of no images has the shape {shape}")
        if reconstruct := getattr(detector, "reconstruct", None):
            _require_pictures(reconstruct(none), none)


def wrong_images_are_refused_in_one_line(subject: Subject, folder: Path) -> None:
    """``fit`` and ``score`` refuse images of another form by a ``ValueError`` of one line."""
    size = subject.size
    for shape, kind in (
        ((40, size, size - 4, 1), np.uint8),
        ((40, size, size, 2), np.uint8),
        ((40, size, size), np.uint8),
        ((40, size, size, 1), np.float32),
    ):
        wrong: Any = np.zeros(shape, kind)
        what = f"images of {np.dtype(kind)} {shape}"
        _require_raises(ValueError, lambda w=wrong: subject.create().fit(w, w, seed=0), what)  # type: ignore[misc]
        _require_raises(ValueError, lambda w=wrong: fitted(subject).score(w), what)  # type: ignore[misc]


def images_of_another_shape_than_fitted_are_refused(subject: Subject, folder: Path) -> None:
    """``score`` refuses images of another shape than those fitted by a ``ValueError``."""
    for shape in ((2, subject.size + 4, subject.size + 4, 1), (2, subject.size, subject.size, 3)):
        images = np.zeros(shape, np.uint8)
        _require_raises(
            ValueError,
            lambda i=images: fitted(subject).score(i),  # type: ignore[misc]
            f"{shape} after a fit to gray images of {subject.size}x{subject.size}",
        )


def _require_raises(kind: type[Exception], call: Callable[[], object], what: str) -> None:
    """Require an error of a kind, with a message of one line."""
    try:
        call()
    except kind as error:
        require("\n" not in str(error) and str(error), f"{what}: the message is not one line")
        return
    except Exception as error:
        require(False, f"{what}: {type(error).__name__}: {error}; raise a {kind.__name__}")
    require(False, f"{what}: no error; raise a {kind.__name__}")


class _Interrupted(BaseException):
    """Stands for a kill; not an Exception, so that nothing handles it."""


def an_interrupted_fit_continues(subject: Subject, folder: Path) -> None:
    """A training of torch modules that was killed goes on from its checkpoint, to equal scores."""
    clock = iter(range(0, 10**9, 3600))  # training states are written every so many seconds
    checkpoint = folder / "training.safetensors"
    whole = training(subject).passes
    if whole == 0:
        raise NotApplicable("not made of torch modules, nothing to interrupt")
    passes, stop = 0, int(whole * 0.6)

    def count() -> None:
        nonlocal passes
        passes += 1
        if passes == stop:
            raise _Interrupted

    with patch.object(time, "monotonic", lambda: next(clock)), before_each_pass(count):
        try:
            fit(subject, checkpoint=checkpoint)
        except _Interrupted:
            pass
        else:
            require(False, "a kill (a BaseException) within fit was swallowed")
        require(checkpoint.is_file(), "killed after three fifths, it has written no checkpoint")
        passes, stop = 0, -1
        resumed = fit(subject, checkpoint=checkpoint)
    require(passes < whole, "it starts over though there is a checkpoint")
    what = "a training that was interrupted against one that was not"
    require_equal(subject, resumed, fitted(subject), fitted(subject).models, what)


def nan_is_a_failure(subject: Subject, folder: Path) -> None:
    """A loss of NaN ends the training by ``FitFailed``, with a message that says so."""
    passes = 0

    def spoil(module: object, inputs: object, output: object) -> Any:
        nonlocal passes
        passes += 1
        return output * torch.nan if isinstance(output, torch.Tensor) else output

    handle = torch_module.register_module_forward_hook(spoil)
    try:
        fit(subject)
    except FitFailed as error:
        words = str(error).lower()
        require("nan" in words or "infinite" in words, f"the message is {str(error)!r}")
        return
    finally:
        handle.remove()
    if not passes:
        raise NotApplicable("not made of torch modules")
    require(False, "all outputs of the modules were NaN, and fit ended as if nothing were wrong")


def reconstructions_are_pictures(subject: Subject, folder: Path) -> None:
    """``reconstruct``, where there is one, gives uint8 pictures of the shape of the images."""
    detector, images = fitted(subject), subject.tests()
    reconstruct = getattr(detector, "reconstruct", None)
    if reconstruct is None:
        raise NotApplicable("does not reconstruct")
    pictures = reconstruct(images)
    _require_pictures(pictures, images)
    same = np.array_equal(pictures, reconstruct(images, "best"))
    require(same, "reconstruct(images) is not that of the model 'best'")


def _require_pictures(pictures: Images, images: Images) -> None:
    require(
        pictures.dtype == np.uint8 and pictures.shape == images.shape,
        f"reconstruct gives {pictures.dtype} {pictures.shape}, the images are uint8 {images.shape}",
    )


def anomaly_score_is_that_of_the_benchmark(subject: Subject, folder: Path) -> None:
    """``anomaly_score`` is the score that the tables have."""
    detector, images = fitted(subject), subject.tests()
    if not isinstance(detector, BaseDetector):
        raise NotApplicable("does not derive from BaseDetector")
    for model in detector.models:
        scores, values = detector.score(images, model), detector.anomaly_score(images, model=model)
        require(values.dtype == np.float32, f"it is {values.dtype}, not float32")
        expected = combined(scores, gradient_weight({"facts": detector.facts}, 0.12))  # type: ignore[arg-type]
        if expected is None:  # the benchmark shows the components one by one
            expected = scores[detector.anomaly_component].astype(float)
        require(
            np.allclose(values, expected, rtol=1e-6, atol=0),
            f"anomaly_score of the model {model!r} is not that of the components "
            f"{', '.join(scores)} (docs/adding_a_method.md)",
        )


def choices_of_anomaly_score_are_named(subject: Subject, folder: Path) -> None:
    """``anomaly_score`` takes the images first, and everything else by its name."""
    detector = fitted(subject)
    if not isinstance(detector, BaseDetector):
        raise NotApplicable("does not derive from BaseDetector")
    first, *others = inspect.signature(detector.anomaly_score).parameters.values()
    require(first.name == "images", f"the first argument is {first.name!r}, not 'images'")
    unnamed = [each.name for each in others if each.kind is not each.KEYWORD_ONLY]
    require(not unnamed, f"{', '.join(unnamed)} can be given without a name; write * before it")


def the_representation_makes_the_detector_again(subject: Subject, folder: Path) -> None:
    """``repr`` is the call that makes the detector, with all hyperparameters."""
    detector = subject.create()
    if not isinstance(detector, BaseDetector):
        raise NotApplicable("does not derive from BaseDetector")
    kept = detector.hyperparameters
    for name, value in subject.hyperparameters.items():
        require(kept.get(name) == value, f"{name}={value!r} was given, the attribute is another")
    again = eval(repr(detector), {type(detector).__name__: type(detector)})
    require(again.hyperparameters == kept, f"{detector!r} makes another detector")


def numpy_numbers_are_as_good_as_plain_ones(subject: Subject, folder: Path) -> None:
    """Hyperparameters and a seed that are NumPy's give the same, and can be saved."""
    detector = subject.create()
    if not isinstance(detector, BaseDetector):
        raise NotApplicable("does not derive from BaseDetector")
    changes = {
        name: np.array(value)[()]  # a NumPy scalar
        for name, value in detector.hyperparameters.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    seed: Any = np.int64(SEED)
    other = subject.create(**changes).fit(
        subject.inliers(*TRAIN),
        subject.inliers(*VALIDATION),
        seed=seed,
        milestones=MILESTONES,
        checkpoint=folder / "training.safetensors",
    )
    require_equal(subject, other, fitted(subject), other.models, "NumPy's numbers against plain")
    other.save(folder)
    loaded = type(other).load(folder)
    require_equal(subject, loaded, other, ("best", "last"), "loaded against saved")


def whole_numbers_become_plain_ones(subject: Subject, folder: Path) -> None:
    """A whole number that is given as NumPy's or as a float is kept as a plain ``int``."""
    if not isinstance(subject.create(), BaseDetector):
        raise NotApplicable("does not derive from BaseDetector")
    kept = {name: getattr(subject.create(), name) for name in numeric(subject, "integer")}
    whole = {name: value for name, value in kept.items() if type(value) is int}
    if not whole:
        raise NotApplicable("has no hyperparameter that is a whole number")
    for name, value in whole.items():
        for given in (np.int64(value), np.uint32(value), float(value), np.float64(value)):
            plain = getattr(subject.create(**{name: given}), name)
            require(
                (plain, type(plain)) == (value, int),
                f"{name}={given!r} is kept as {plain!r}, not as {value}",
            )


CHECKS: tuple[Check, ...] = (
    components_have_usable_names,
    fit_takes_inliers_and_nothing_else,
    validation_is_by_default_a_tenth_drawn_by_the_seed,
    history_facts_and_models_are_of_the_training,
    scores_are_finite_numbers_of_float32,
    higher_is_more_anomalous,
    the_seed_decides,
    a_method_that_says_so_gives_the_same_for_every_seed,
    global_generators_stay,
    what_was_saved_is_loaded,
    scores_do_not_depend_on_batch_mates,
    an_unknown_model_is_a_key_error,
    no_images_have_no_scores,
    wrong_images_are_refused_in_one_line,
    images_of_another_shape_than_fitted_are_refused,
    an_interrupted_fit_continues,
    nan_is_a_failure,
    reconstructions_are_pictures,
    anomaly_score_is_that_of_the_benchmark,
    choices_of_anomaly_score_are_named,
    the_representation_makes_the_detector_again,
    whole_numbers_become_plain_ones,
    numpy_numbers_are_as_good_as_plain_ones,
)
