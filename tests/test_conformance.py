"""What every detector must do, whatever its method: the interface of ``benchmark.detector``.

Runs over all registered methods. Authors of a new one run it on theirs:

    pytest tests/test_conformance.py --detector mypackage.mymodule:MyDetector

``-k mistake -s`` prints what each method answers to the mistakes of its users.
"""

import inspect
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
import torch
from torch.nn.modules import module as torch_module

from benchmark.base_detector import BaseDetector
from benchmark.config import methods
from benchmark.detector import Detector, FitFailed, Images
from benchmark.errors import InputError
from benchmark.scores import combined, gradient_weight
from tests.digits import of_class

SMALL: dict[str, dict[str, Any]] = {
    "alocc": {"architecture": "released"},
    "anogan": {"width": 4, "search_steps": 5, "validation_steps": 2},
    "gpnd": {"width": 8, "latent": 4},
    "lsa": {"width": 2, "bins": 10},
    "ocgan": {"width": 2, "discriminator_width": 2, "mining_after": 1},
    "pixelcnn": {"width": 8, "blocks": 2, "head_width": 16},
}
"""Hyperparameters that keep a method fast, beside 3 epochs and batches of 16."""

LONGER: dict[str, int] = {
    "alocc": 15,
    "anogan": 25,
}
"""Epochs until the scores of noise are those of outliers, where 8 are not enough."""

UNDIRECTED = {
    ("ocgan", "d"),  # a discriminator's output for images unlike its training images
    ("ocgan", "dr"),
    ("cae", "gradient"),  # of a model without the constraint
    ("vae", "gradient"),
    ("vae", "latent"),  # one term of a sum, near zero at first
    ("vae_grad", "latent"),
}
"""Components that need not be higher for noise than for inliers after a short training."""

SEED = 3
MILESTONES = (1, 3, 50)


@dataclass(frozen=True)
class Method:
    """A detector class and small hyperparameters for it."""

    name: str
    path: str
    option: str = "{}"
    """The value of ``--hyperparameters``."""
    changes: tuple[tuple[str, Any], ...] = field(default=())

    @property
    def hyperparameters(self) -> dict[str, Any]:
        names = methods.hyperparameters(self.path).model_fields
        epochs = {name: 3 for name in names if name.endswith("epochs")}
        batches = {name: 16 for name in names if name.endswith("batch_size")}
        small = {**epochs, **batches, **SMALL.get(self.name, {}), **json.loads(self.option)}
        return small | {name: value for name, value in self.changes if name in names}

    def create(self, **changes: Any) -> Detector:
        return methods.create(self.path, self.hyperparameters | changes)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    paths = metafunc.config.getoption("--detector") or ()
    option = metafunc.config.getoption("--hyperparameters")
    cases = [Method(path, path, option) for path in paths] or [
        Method(slug, method.path) for slug, method in methods.METHODS.items()
    ]
    metafunc.parametrize("method", [pytest.param(case, id=case.name) for case in cases])


def frozen(images: Images) -> Images:
    """A read-only copy, such as a memory map is."""
    images = images.copy()
    images.flags.writeable = False
    return images


def inliers(start: int, stop: int, channels: int = 1) -> Images:
    return frozen(of_class(0, stop, channels)[start:])


def noise(count: int, seed: int = 0) -> Images:
    return frozen(np.random.default_rng(seed).integers(0, 256, (count, 28, 28, 1), dtype=np.uint8))


# 33 = 2 * 16 + 1: the last batch has one image, which batch normalisation alone cannot take.
TRAIN, VALIDATION = (0, 33), (33, 50)


def fit(method: Method, channels: int = 1, checkpoint: Path | None = None) -> Detector:
    return method.create().fit(
        inliers(*TRAIN, channels),
        inliers(*VALIDATION, channels),
        seed=SEED,
        checkpoint=checkpoint,
        milestones=MILESTONES,
    )


@cache
def fitted(method: Method, channels: int = 1) -> Detector:
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    return fit(method, channels)


def test_images(channels: int = 1) -> Images:
    outliers = np.repeat(noise(5), channels, axis=3)
    return frozen(np.concatenate([inliers(50, 56, channels), outliers]))


test_images.__test__ = False  # type: ignore[attr-defined]


def assert_equal(one: Detector, other: Detector, models: tuple[str, ...]) -> None:
    """Bit-equal scores, history and facts."""
    images = test_images()
    for model in models:
        scores, others = one.score(images, model), other.score(images, model)
        assert list(scores) == list(others)
        for name in scores:
            assert scores[name].tobytes() == others[name].tobytes(), (model, name)
    assert list(one.history) == list(other.history)
    assert dict(one.facts) == dict(other.facts)


def test_fit_takes_inliers_and_nothing_else(method: Method) -> None:
    cls = type(method.create())
    arguments = inspect.signature(cls.fit).parameters
    positional = [p.name for p in arguments.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    keywords = {p.name for p in arguments.values() if p.kind is p.KEYWORD_ONLY}
    assert positional == ["self", "train", "validation"]
    assert keywords == {"seed", "checkpoint", "milestones", "device"}
    assert len(arguments) == len(positional) + len(keywords)
    assert (arguments["validation"].default, arguments["seed"].default) == (None, 0)


def test_validation_images_are_by_default_a_tenth_drawn_by_the_seed(method: Method) -> None:
    images = inliers(*TRAIN)
    order = np.random.default_rng(0).permutation(33)
    expected = method.create().fit(images[order[3:]], images[order[:3]], seed=0)
    detector = method.create().fit(images)
    assert_equal(detector, expected, detector.models)


def test_history_and_facts_of_the_training(method: Method) -> None:
    detector = fitted(method)
    assert isinstance(detector, Detector)
    facts, history = detector.facts, detector.history
    assert {"parameters", "epochs", "best_epoch"} <= facts.keys()
    assert json.loads(json.dumps(dict(facts))) == dict(facts)
    assert facts["parameters"] >= 0
    assert detector.models[:2] == ("best", "last")
    if not history:
        assert len(detector.models) == 2
        return
    assert [row["epoch"] for row in history] == list(range(1, facts["epochs"] + 1))
    assert 1 <= facts["best_epoch"] <= facts["epochs"]
    for row in history:
        assert any(name.startswith("train_") for name in row)
        assert any(name.startswith("validation_") for name in row)
        assert all(np.isfinite(value) for value in row.values())
    # A method may train something else first, whose models cannot score.
    reached = [f"epoch-{n}" for n in MILESTONES if n <= facts["epochs"]]
    milestones = list(detector.models[2:])
    assert milestones == reached[len(reached) - len(milestones) :]


@pytest.mark.parametrize("channels", [1, 3])
def test_scores(method: Method, channels: int) -> None:
    detector, images = fitted(method, channels), test_images(channels)
    for model in detector.models:
        scores = detector.score(images, model)
        assert tuple(scores) == tuple(type(detector).components)
        for values in scores.values():
            assert values.dtype == np.float32
            assert values.shape == (len(images),)
            assert np.isfinite(values).all()
            assert np.ptp(values) > 0


def test_higher_is_more_anomalous(method: Method) -> None:
    """Uniform noise and negatives have a higher median than unseen inliers, in each component."""
    fields = methods.hyperparameters(method.path).model_fields
    changes = [(name, LONGER.get(method.name, 8)) for name in fields if name.endswith("epochs")]
    if "learning_rate" in fields:
        changes.append(("learning_rate", max(fields["learning_rate"].default, 1e-3)))
    detector = replace(method, changes=tuple(changes)).create()
    detector.fit(inliers(0, 97), inliers(97, 120), seed=0)
    normal = inliers(120, 150)
    outliers = frozen(np.concatenate([noise(15), 255 - normal[:15]]))
    for name, scores in detector.score(normal).items():
        if (method.name, name) not in UNDIRECTED:
            assert np.median(detector.score(outliers)[name]) > np.median(scores), name


def test_seed_decides(method: Method) -> None:
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    again = fit(method)
    assert again.models == fitted(method).models
    assert_equal(again, fitted(method), again.models)


def test_a_method_that_says_so_gives_the_same_for_every_seed(method: Method) -> None:
    if not getattr(type(fitted(method)), "deterministic", False):
        pytest.skip("it does not say that one seed is enough")
    other = method.create().fit(inliers(*TRAIN), inliers(*VALIDATION), seed=SEED + 1)
    assert_equal(other, fitted(method), ("best", "last"))


def global_generators() -> dict[str, tuple[int, int]]:
    """Checksums of their states."""
    _, keys, position, *_ = np.random.get_state()  # noqa: NPY002
    return {
        "torch": (crc32(torch.get_rng_state().numpy().tobytes()), 0),
        "numpy": (crc32(keys.tobytes()), position),
    }


def test_global_generators_stay(method: Method) -> None:
    detector = fitted(method)
    before = global_generators()
    detector.score(test_images())
    assert global_generators() == before, "moved by score"
    fit(method)
    assert global_generators() == before, "moved by fit"


def test_save_and_load(method: Method, tmp_path: Path) -> None:
    detector = fitted(method)
    detector.save(tmp_path / "weights")
    names = sorted(path.name for path in (tmp_path / "weights").iterdir())
    assert names == ["best.safetensors", "detector.json", "last.safetensors"]
    for folder in (tmp_path / "weights", str(tmp_path / "weights")):
        loaded = type(detector).load(folder)
        assert loaded.models == ("best", "last")
        assert_equal(loaded, detector, ("best", "last"))


def test_scores_do_not_depend_on_batch_mates(method: Method) -> None:
    detector, images = fitted(method), test_images()
    together = detector.score(images)
    again = detector.score(images)
    backwards = detector.score(images[::-1])
    alone = [detector.score(images[i : i + 1]) for i in (0, len(images) - 1)]
    for name, values in together.items():
        assert np.array_equal(values, again[name])
        # Sums are taken in another order in a batch of another size: rounding, no more.
        near = {"rtol": 1e-4, "atol": 1e-4 * float(np.ptp(values))}
        np.testing.assert_allclose(backwards[name][::-1], values, **near)
        np.testing.assert_allclose([a[name][0] for a in alone], values[[0, -1]], **near)


def test_unknown_model(method: Method) -> None:
    with pytest.raises(KeyError):
        fitted(method).score(test_images(), "epoch-50")


@pytest.mark.parametrize("channels", [1, 3])
def test_no_images_have_no_scores(method: Method, channels: int) -> None:
    detector, none = fitted(method, channels), test_images(channels)[:0]
    scores = detector.score(none)
    for values in scores.values():
        assert (values.shape, values.dtype) == ((0,), np.float32)
    assert tuple(scores) == tuple(type(detector).components)
    if isinstance(detector, BaseDetector):
        assert detector.anomaly_score(none).shape == (0,)
    if hasattr(detector, "reconstruct"):
        pictures = detector.reconstruct(none)
        assert (pictures.shape, pictures.dtype) == (none.shape, np.uint8)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((40, 28, 24, 1), np.uint8),
        np.zeros((40, 28, 28, 2), np.uint8),
        np.zeros((40, 28, 28), np.uint8),
        np.zeros((40, 28, 28, 1), np.float32),
    ],
    ids=["not-square", "two-channels", "no-channels", "floats"],
)
def test_wrong_images(method: Method, wrong: Images) -> None:
    with pytest.raises(ValueError, match=r"(?s)\A[^\n]+\Z"):
        method.create().fit(wrong, wrong, seed=0)
    with pytest.raises(ValueError, match=r"(?s)\A[^\n]+\Z"):
        fitted(method).score(wrong)


def test_images_of_another_shape_than_fitted(method: Method) -> None:
    for shape in [(2, 32, 32, 1), (2, 28, 28, 3)]:
        with pytest.raises(ValueError, match=r"(?s)\A[^\n]+\Z"):
            fitted(method).score(np.zeros(shape, np.uint8))


class Interrupted(BaseException):
    """Stands for a kill; not an Exception, so that nothing handles it."""


@contextmanager
def forward_hook(hook: Callable[[], None]) -> Iterator[None]:
    """Call ``hook`` before each forward pass of any torch module."""
    handle = torch_module.register_module_forward_pre_hook(lambda *_: hook())
    try:
        yield
    finally:
        handle.remove()


def test_interrupted_fit_continues(
    method: Method, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 10**9, 3600))  # training states are written every so many seconds
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    checkpoint = tmp_path / "training.safetensors"
    passes = 0
    stop = -1

    def count() -> None:
        nonlocal passes
        passes += 1
        if passes == stop:
            raise Interrupted

    with forward_hook(count):
        fit(method)
        whole, passes, stop = passes, 0, int(passes * 0.6)
        if whole == 0:
            pytest.skip("not made of torch modules, nothing to interrupt")
        with pytest.raises(Interrupted):
            fit(method, checkpoint=checkpoint)
        assert checkpoint.is_file()
        passes, stop = 0, -1
        resumed = fit(method, checkpoint=checkpoint)
    assert passes < whole
    assert_equal(resumed, fitted(method), fitted(method).models)


def test_nan_is_a_failure(method: Method) -> None:
    passes = 0

    def spoil(module: object, inputs: object, output: object) -> object:
        nonlocal passes
        passes += 1
        return output * torch.nan if isinstance(output, torch.Tensor) else output

    handle = torch_module.register_module_forward_hook(spoil)
    try:
        with pytest.raises(FitFailed, match=r"(?i)nan|infinite"):
            fit(method)
            if not passes:
                pytest.skip("not made of torch modules")
    finally:
        handle.remove()


def test_reconstructions(method: Method) -> None:
    detector, images = fitted(method), test_images()
    reconstruct = getattr(detector, "reconstruct", None)
    if reconstruct is None:
        pytest.skip("does not reconstruct")
    pictures = reconstruct(images)
    assert pictures.dtype == np.uint8
    assert pictures.shape == images.shape
    assert np.array_equal(pictures, reconstruct(images, "best"))


@dataclass(frozen=True)
class Mistake:
    """Something that a user does wrong, and the error that every method must answer with."""

    make: Callable[[Method, Path], object]
    error: type[Exception]
    message: str
    """A regular expression: what is wrong, and what to do."""


def out_of_range(method: Method) -> dict[str, Any]:
    """A hyperparameter below its range: the epochs, or another one where there are none."""
    fields = methods.hyperparameters(method.path)
    if "epochs" in fields.model_fields:
        return {"epochs": 0}
    for name in fields.model_fields:
        try:
            fields.model_validate({name: -1})
        except ValueError:
            return {name: -1}
    pytest.skip("has no hyperparameter with a range")


def numeric(method: Method, kind: str) -> str:
    """The first hyperparameter of a JSON type: "integer" or "number"."""
    schema = methods.hyperparameters(method.path).model_json_schema()["properties"]
    for name, value in schema.items():
        if kind in (value.get("type"), *(each.get("type") for each in value.get("anyOf", ()))):
            return name
    pytest.skip(f"has no hyperparameter that is {kind}")


def load_changed(file: str, content: bytes | None) -> Callable[[Method, Path], object]:
    """Load a saved detector of which one file is another (None: the first half of itself)."""

    def load(method: Method, folder: Path) -> object:
        detector = fitted(method)
        detector.save(folder)
        path = folder / file
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2] if content is None else content)
        return type(detector).load(folder)

    return load


def load_with(key: str, value: object) -> Callable[[Method, Path], object]:
    """Load a saved detector whose ``detector.json`` has another value of a key."""

    def load(method: Method, folder: Path) -> object:
        detector = fitted(method)
        detector.save(folder)
        path = folder / "detector.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
        return type(detector).load(folder)

    return load


def load_without_last(method: Method, folder: Path) -> object:
    fitted(method).save(folder)
    (folder / "last.safetensors").unlink()
    return type(fitted(method)).load(folder)


def fit_with(**arguments: Any) -> Callable[[Method, Path], object]:
    """Fit with arguments that are no seed or no device."""
    return lambda method, folder: method.create().fit(inliers(*TRAIN), **arguments)


def positional(method: Method, folder: Path) -> object:
    return type(method.create())(3)  # type: ignore[call-arg]


def subclass_with(definition: str) -> Callable[[Method, Path], object]:
    """Derive a class with another ``__init__``."""

    def derive(method: Method, folder: Path) -> object:
        names: dict[str, Any] = {}
        exec(definition, names)
        return type("Mine", (type(method.create()),), {"__init__": names["__init__"]})

    return derive


def as_list(images: Images) -> Any:
    return list(images)


KEYWORD_ONLY = r".+:Mine: write `def __init__\(self, \*, \.\.\.\)`, with named arguments only"
SEED_RANGE = r"give \w+ a whole number of at least 0"
DEVICES = r"give \w+ cpu, cuda or cuda:1"
UNREADABLE = r"detector\.json: cannot be read \(.+\); name a directory that \w+ has saved"
NO_ARRAY = r"images are a list; give \w+ a NumPy array"
NOT_FITTED = r"\w+ is not fitted: call fit or load first"
MISTAKES = {
    "a hyperparameter out of range": Mistake(
        lambda method, folder: method.create(**out_of_range(method)),
        InputError,
        r"\w+ is (0|-1); give \w+ a (whole )?number (of at least|above) .+",
    ),
    "a hyperparameter of another kind": Mistake(
        lambda method, folder: method.create(**{numeric(method, "integer"): 2.5}),
        InputError,
        r"\w+ is 2\.5; give \w+ a whole number of at least .+",
    ),
    "a text for a number": Mistake(
        lambda method, folder: method.create(**{numeric(method, "number"): "0.5"}),
        InputError,
        r"\w+ is '0\.5'; give \w+ a number (of at least|above) .+",
    ),
    "a hyperparameter without a name": Mistake(
        positional, InputError, r"\w+: give each hyperparameter by its name, as name=value"
    ),
    "a subclass with **": Mistake(
        subclass_with("def __init__(self, **keywords): pass"), InputError, KEYWORD_ONLY
    ),
    "a subclass with *": Mistake(
        subclass_with("def __init__(self, *values): pass"), InputError, KEYWORD_ONLY
    ),
    "a subclass with a positional argument": Mistake(
        subclass_with("def __init__(self, epochs=3): pass"), InputError, KEYWORD_ONLY
    ),
    "no seed": Mistake(fit_with(seed=None), InputError, r"seed is None; " + SEED_RANGE),
    "a negative seed": Mistake(fit_with(seed=-1), InputError, r"seed is -1; " + SEED_RANGE),
    "half a seed": Mistake(fit_with(seed=0.5), InputError, r"seed is 0\.5; " + SEED_RANGE),
    "a seed as text": Mistake(fit_with(seed="1"), InputError, r"seed is '1'; " + SEED_RANGE),
    "unknown device": Mistake(fit_with(device="gpu"), InputError, r"device is 'gpu'; " + DEVICES),
    "device without number": Mistake(
        fit_with(device="cuda:"), InputError, r"device is 'cuda:'; " + DEVICES
    ),
    "no device": Mistake(fit_with(device=None), InputError, r"device is None; " + DEVICES),
    "fit to no images": Mistake(
        lambda method, folder: method.create().fit(inliers(0, 0), inliers(0, 0)),
        InputError,
        r"\w+ needs at least \d training images and 1 validation image, not 0 and 0: add some",
    ),
    "fit to one image": Mistake(
        lambda method, folder: method.create().fit(inliers(0, 1)),
        InputError,
        r"\w+ needs at least \d training images and 1 validation image, not 0 and 1: add some",
    ),
    "validation images of another shape": Mistake(
        lambda method, folder: method.create().fit(inliers(*TRAIN), inliers(*VALIDATION, 3)),
        InputError,
        r"training images are \(28, 28, 1\), validation \(28, 28, 3\): give both the same shape",
    ),
    "fit to a list": Mistake(
        lambda method, folder: method.create().fit(
            as_list(inliers(*TRAIN)), inliers(*VALIDATION), seed=0
        ),
        InputError,
        NO_ARRAY,
    ),
    "score a list": Mistake(
        lambda method, folder: fitted(method).score(as_list(test_images())), InputError, NO_ARRAY
    ),
    "score before fit": Mistake(
        lambda method, folder: method.create().score(test_images()), RuntimeError, NOT_FITTED
    ),
    "anomaly_score before fit": Mistake(
        lambda method, folder: method.create().anomaly_score(test_images()),
        RuntimeError,
        NOT_FITTED,
    ),
    "save before fit": Mistake(
        lambda method, folder: method.create().save(folder), RuntimeError, NOT_FITTED
    ),
    "load an empty folder": Mistake(
        lambda method, folder: type(method.create()).load(folder), InputError, UNREADABLE
    ),
    "load, path as text": Mistake(
        lambda method, folder: type(method.create()).load(str(folder)), InputError, UNREADABLE
    ),
    "load a file": Mistake(
        lambda method, folder: type(method.create()).load(__file__), InputError, UNREADABLE
    ),
    "load nothing": Mistake(
        lambda method, folder: type(method.create()).load(None),  # type: ignore[arg-type]
        InputError,
        UNREADABLE,
    ),
    **{
        f"{key} is {json.dumps(value)}": Mistake(
            load_with(key, value),
            InputError,
            UNREADABLE.replace(".+", re.escape(f"{key} is {value!r}; give it {allowed}")),
        )
        for key, value, allowed in [
            ("hyperparameters", None, "a dictionary"),
            ("shape", None, "height, width and channels"),
            ("shape", "abc", "height, width and channels"),
            ("shape", [28, 28], "height, width and channels"),
            ("history", 3, "a list"),
            ("history", [3], "a list"),
            ("facts", None, "a dictionary"),
            ("seconds", "long", "a number"),
        ]
    },
    "detector.json is {}": Mistake(
        load_changed("detector.json", b"{}"), InputError, UNREADABLE.replace(".+", "no .+ in it")
    ),
    "detector.json is a list": Mistake(
        load_changed("detector.json", b"[]"),
        InputError,
        UNREADABLE.replace(".+", r"content is \[\]; give it a dictionary"),
    ),
    "detector.json of another class": Mistake(
        load_changed("detector.json", b'{"detector": "elsewhere:Other"}'),
        InputError,
        UNREADABLE.replace(".+", r"holds a elsewhere:Other, not a .+"),
    ),
    "detector.json is cut": Mistake(load_changed("detector.json", None), InputError, UNREADABLE),
    "best.safetensors is cut": Mistake(
        load_changed("best.safetensors", None),
        InputError,
        r"best\.safetensors: missing, damaged or [^;]+; name a directory that \w+ has saved",
    ),
    "last.safetensors is missing": Mistake(
        load_without_last,
        InputError,
        r"last\.safetensors: missing, damaged or [^;]+; name a directory that \w+ has saved",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_answered_in_one_line(method: Method, mistake: str, tmp_path: Path) -> None:
    if method.name not in methods.METHODS and not isinstance(method.create(), BaseDetector):
        pytest.skip("does not derive from BaseDetector")
    case = MISTAKES[mistake]
    with pytest.raises(case.error) as caught:
        case.make(method, tmp_path)
    message = str(caught.value)
    shown = message.replace(str(tmp_path), "FOLDER")
    print(f"\n{method.name:10} | {mistake:30} | {caught.type.__name__}: {shown}", end="")
    assert caught.type is case.error
    assert re.fullmatch(f"(.*/)?{case.message}", message), message


def test_anomaly_score_is_that_of_the_benchmark(method: Method) -> None:
    detector, images = fitted(method), test_images()
    if not isinstance(detector, BaseDetector):
        pytest.skip("does not derive from BaseDetector")
    for model in detector.models:
        scores, values = detector.score(images, model), detector.anomaly_score(images, model=model)
        assert values.dtype == np.float32
        expected = combined(scores, gradient_weight({"facts": detector.facts}, 0.12))
        if expected is None:  # the benchmark shows the components one by one
            expected = scores[detector.anomaly_component]
        np.testing.assert_allclose(values, expected, rtol=1e-6)


def test_model_and_other_choices_of_anomaly_score_are_named(method: Method) -> None:
    detector = fitted(method)
    if not isinstance(detector, BaseDetector):
        pytest.skip("does not derive from BaseDetector")
    arguments = list(inspect.signature(detector.anomaly_score).parameters.values())
    assert arguments[0].name == "images"
    assert all(argument.kind is argument.KEYWORD_ONLY for argument in arguments[1:])


@pytest.mark.parametrize("given", [np.int64(2), np.uint8(2), 2.0, np.float32(2)], ids=repr)
def test_whole_numbers_become_plain_ones(method: Method, given: Any) -> None:
    if not isinstance(method.create(), BaseDetector):
        pytest.skip("does not derive from BaseDetector")
    name = numeric(method, "integer")
    value = getattr(method.create(**{name: given}), name)
    assert (value, type(value)) == (2, int)


def test_numpy_numbers_can_be_saved(method: Method, tmp_path: Path) -> None:
    if not isinstance(method.create(), BaseDetector):
        pytest.skip("does not derive from BaseDetector")
    changes = {
        name: np.array(value)[()]  # a NumPy scalar
        for name, value in method.create().hyperparameters.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    detector = method.create(**changes).fit(
        inliers(*TRAIN),
        inliers(*VALIDATION),
        seed=np.int64(SEED),
        milestones=MILESTONES,
        checkpoint=tmp_path / "training.safetensors",
    )
    assert_equal(detector, fitted(method), detector.models)
    detector.save(tmp_path)
    assert_equal(type(detector).load(tmp_path), detector, ("best", "last"))


def test_representation_makes_the_detector_again(method: Method) -> None:
    detector = method.create()
    if not isinstance(detector, BaseDetector):
        pytest.skip("does not derive from BaseDetector")
    assert detector.hyperparameters.items() >= method.hyperparameters.items()
    again = eval(repr(detector), {type(detector).__name__: type(detector)})
    assert again.hyperparameters == detector.hyperparameters
