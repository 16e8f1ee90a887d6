"""The training loop, the training state and the files that every torch baseline shares."""

import errno
import itertools
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor, nn

from baselines import _training
from baselines._images import add_noise, to_images, to_pixels, to_unit
from baselines._torch_detector import TorchDetector
from baselines._training import Losses, Phase, descend, drop_after, frozen, split_order
from benchmark.detector import Detector, FitFailed, Images


class Interrupted(Exception):
    """Stands for a kill in the middle of training."""


class Tiny(nn.Module):
    """A network with everything that a state must hold: batch norm, dropout, a plain buffer."""

    centre: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Flatten(), nn.Linear(channels * 16, 5), nn.BatchNorm1d(5), nn.Dropout(0.3)
        )
        self.head = nn.Linear(5, 3)
        self.register_buffer("centre", torch.zeros(3))
        self.register_buffer("scale", torch.ones(()))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body(images))


class TwoPhases(TorchDetector[Tiny]):
    """Two phases, two optimisers, noise, a centre set between the phases, a calibrated scale."""

    sizes = (4,)

    def __init__(self, *, first: int = 3, epochs: int = 4, learning_rate: float = 1e-2) -> None:
        self.first = first
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.explode_in = 0  # global epoch in which the loss becomes NaN
        self.interrupt_after = 0  # number of steps
        self.steps = 0
        self.rates: list[float] = []
        self.begun: list[str] = []

    def build(self, channels: int, size: int) -> Tiny:
        return Tiny(channels)

    def phases(self, networks: Tiny) -> Sequence[Phase]:
        sgd = torch.optim.SGD(networks.parameters(), lr=self.learning_rate, momentum=0.9)
        adam = torch.optim.Adam(networks.body.parameters(), lr=self.learning_rate)
        rms = torch.optim.RMSprop(networks.head.parameters(), lr=self.learning_rate)

        def count(images: Tensor) -> None:
            self.steps += 1
            if self.steps == self.interrupt_after:
                raise Interrupted
            assert networks.training
            assert images.dtype == torch.float32
            assert 0 <= float(images.min()) <= float(images.max()) <= 1

        def first_step(images: Tensor, epoch: int) -> Losses:
            count(images)
            loss = networks(add_noise(images, 0.1)).square().mean()
            descend(sgd, loss)
            return {"warm": loss}

        def set_centre(pixels: Tensor) -> None:
            self.begun.append("second")
            networks.centre.copy_(networks(to_unit(pixels)).mean(0) + torch.randn(3))

        def distance(images: Tensor) -> Tensor:
            return (networks(images) - networks.centre).square().sum(1).mean()

        def second_step(images: Tensor, epoch: int) -> Losses:
            count(images)
            self.rates.append(adam.param_groups[0]["lr"])
            loss = distance(add_noise(images, 0.1))
            if self.explode_in == self.first + epoch:
                loss = loss * torch.nan
            networks.zero_grad()
            loss.backward()
            adam.step()
            rms.step()
            return {"distance": loss, "other": loss * 0}

        return [
            Phase(
                self.first,
                4,
                {"sgd": sgd},
                first_step,
                lambda x: {"warm": networks(add_noise(x, 0.1)).square().mean()},
            ),
            Phase(
                self.epochs,
                5,
                {"adam": adam, "rms": rms},
                second_step,
                lambda x: {"distance": distance(x), "other": distance(x) * 2},
                schedule=drop_after(2, factor=0.5),
                begin=set_centre,
            ),
        ]

    def calibrate(self, networks: Tiny, train: Tensor, validation: Tensor) -> None:
        assert not networks.training
        values = (networks(to_unit(validation)) - networks.centre).square().sum(1)
        networks.get_buffer("scale").copy_(values.max())

    def anomaly(self, networks: Tiny, images: Tensor) -> Mapping[str, Tensor]:
        distance = (networks(images) - networks.centre).square().sum(1)
        return {"score": distance / networks.get_buffer("scale")}


def random_images(n: int, seed: int = 0, channels: int = 1, size: int = 4) -> Images:
    return np.random.default_rng(seed).integers(0, 256, (n, size, size, channels), dtype=np.uint8)


TRAIN, VALIDATION, TEST = random_images(21), random_images(6, 1), random_images(9, 2)


def fit(detector: TwoPhases, **keywords) -> TwoPhases:
    return detector.fit(TRAIN, VALIDATION, **{"seed": 3, "milestones": (1, 5, 6, 99), **keywords})


def everything(detector: TwoPhases) -> tuple:
    """All that a fit produces, in a form that compares bit for bit."""
    models = detector.fitted.models
    tensors = {(m, k): v.tobytes() for m, state in models.items() for k, v in state.items()}
    scores = {m: detector.score(TEST, m)["score"].tobytes() for m in detector.models}
    return tensors, scores, list(detector.history), dict(detector.facts)


@pytest.fixture(autouse=True)
def _every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_training, "CHECKPOINT_SECONDS", 0.0)


@pytest.fixture(scope="module")
def reference() -> TwoPhases:
    return fit(TwoPhases())


def test_is_a_detector() -> None:
    assert isinstance(TwoPhases(), Detector)


def test_models_history_and_facts(reference: TwoPhases) -> None:
    # Milestone 1 lies in the first phase, whose models cannot score; 99 is never reached.
    assert reference.models == ("best", "last", "epoch-5", "epoch-6")
    assert [row["epoch"] for row in reference.history] == [1, 2, 3, 4, 5, 6, 7]
    assert list(reference.history[0]) == ["epoch", "train_warm", "validation_warm"]
    second = reference.history[3:]
    assert list(second[0])[1:3] == ["train_distance", "train_other"]
    assert list(second[0])[3:] == ["validation_distance", "validation_other"]
    best = min(second, key=lambda row: row["validation_distance"])
    assert reference.facts["best_epoch"] == best["epoch"]
    assert reference.facts["epochs"] == 7
    assert reference.facts["parameters"] == (16 * 5 + 5) + (5 + 5) + (5 * 3 + 3)


def test_best_is_the_model_of_the_best_epoch(reference: TwoPhases) -> None:
    networks = reference._networks("best")
    value = (networks(to_unit(to_pixels(VALIDATION, "cpu"))) - networks.centre).square().sum(1)
    row = reference.history[reference.facts["best_epoch"] - 1]
    assert row["validation_distance"] == pytest.approx(float(value.mean()), rel=1e-5)


def test_calibration_belongs_to_each_model(reference: TwoPhases) -> None:
    for model in reference.models:
        assert reference.score(VALIDATION, model)["score"].max() == pytest.approx(1)


def test_schedule_and_begin() -> None:
    detector = fit(TwoPhases())
    # 21 images in batches of 5: 5, 5, 5, and 5 + 1, so four steps an epoch.
    assert detector.rates == [0.01] * 8 + [0.005] * 8
    assert detector.begun == ["second"]


def test_seed_decides(reference: TwoPhases) -> None:
    assert everything(fit(TwoPhases())) == everything(reference)
    assert everything(fit(TwoPhases(), seed=4))[1] != everything(reference)[1]


def test_validation_noise_is_the_same_in_every_epoch() -> None:
    training = []

    class Draws(TwoPhases):
        def phases(self, networks: Tiny) -> Sequence[Phase]:
            def step(images: Tensor, epoch: int) -> Losses:
                draw = torch.rand(())
                training.append(float(draw))
                return {"draw": draw}

            return [Phase(3, 21, {}, step, lambda images: {"draw": torch.rand(())})]

    history = fit(Draws()).history
    assert len({row["validation_draw"] for row in history}) == 1
    assert len(set(training)) == 3


def test_global_generators_stay() -> None:
    torch.manual_seed(11)
    before = torch.get_rng_state()
    fit(TwoPhases()).score(TEST)
    assert torch.equal(torch.get_rng_state(), before)


# 5 or 4 steps an epoch: in the first epoch, in the first phase, between the phases, in the second.
@pytest.mark.parametrize("steps", [2, 7, 16, 17, 24, 31])
def test_resumes_bit_for_bit(tmp_path: Path, reference: TwoPhases, steps: int) -> None:
    checkpoint = tmp_path / "state"
    broken = TwoPhases()
    broken.interrupt_after = steps
    with pytest.raises(Interrupted):
        fit(broken, checkpoint=checkpoint)
    assert checkpoint.exists() == (steps > 5)
    resumed = fit(TwoPhases(), checkpoint=checkpoint)
    assert everything(resumed) == everything(reference)
    # The loop goes on after the last whole epoch: (steps - 1) // 5 of the first phase, and so on.
    done = min((steps - 1) // 5 * 5, 15) + max(0, (steps - 16) // 4 * 4)
    assert resumed.steps == 31 - done


def test_resumes_twice(tmp_path: Path, reference: TwoPhases) -> None:
    for _ in range(2):
        broken = TwoPhases()
        broken.interrupt_after = 12
        with pytest.raises(Interrupted):
            fit(broken, checkpoint=tmp_path / "state")
    resumed = fit(TwoPhases(), checkpoint=tmp_path / "state")
    assert resumed.steps < 31 - 12
    assert everything(resumed) == everything(reference)


def test_time_of_a_resumed_fit_is_that_of_all_its_epochs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count()  # read twice an epoch: one second each
    monkeypatch.setattr(_training.time, "perf_counter", lambda: next(clock))
    broken = TwoPhases()
    broken.interrupt_after = 12
    with pytest.raises(Interrupted):
        fit(broken, checkpoint=tmp_path / "state")
    resumed = fit(TwoPhases(), checkpoint=tmp_path / "state")
    assert resumed.fit_seconds == resumed.facts["epochs"]


def test_state_is_written_at_most_every_so_often_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    monkeypatch.setattr(_training, "_write", lambda *a: written.append(a[1].epoch))
    monkeypatch.setattr(_training, "CHECKPOINT_SECONDS", 30.0)
    clock = iter(range(0, 1000, 11))  # read at the start, once per epoch, once per writing
    monkeypatch.setattr(_training.time, "monotonic", lambda: next(clock))
    fit(TwoPhases(), checkpoint=tmp_path / "state")
    assert written == [3, 6, 7]


class Wide(Tiny):
    def __init__(self) -> None:
        super().__init__(1)
        self.head = nn.Linear(5, 4)


def variant(**attributes: object) -> TwoPhases:
    return type("TwoPhases", (TwoPhases,), {"__module__": __name__, **attributes})()


@pytest.mark.parametrize(
    ("other", "keywords", "key"),
    [
        (TwoPhases(learning_rate=0.5), {}, "learning_rate"),
        (TwoPhases(epochs=9), {}, "epochs"),
        (TwoPhases(), {"seed": 5}, "seed"),
        (TwoPhases(), {"milestones": (2,)}, "milestones"),
        (variant(__module__="elsewhere"), {}, "detector"),
        (variant(build=lambda *a: Wide()), {}, "networks"),
    ],
)
def test_state_of_another_fit_is_refused(
    tmp_path: Path, other: TwoPhases, keywords: dict, key: str
) -> None:
    checkpoint = tmp_path / "state"
    fit(TwoPhases(), checkpoint=checkpoint)
    before = checkpoint.read_bytes()
    with pytest.raises(ValueError, match="delete the file") as error:
        fit(other, checkpoint=checkpoint, **keywords)
    assert f"{checkpoint}: {key} is " in str(error.value)
    assert "\n" not in str(error.value)
    assert checkpoint.read_bytes() == before


def test_state_of_other_images_is_refused(tmp_path: Path) -> None:
    fit(TwoPhases(), checkpoint=tmp_path / "state")
    with pytest.raises(ValueError, match=r": images is .* delete the file"):
        TwoPhases().fit(
            TRAIN[::-1], VALIDATION, seed=3, milestones=(1, 5, 6, 99), checkpoint=tmp_path / "state"
        )


def test_no_training_state(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("something else")
    with pytest.raises(ValueError, match=r"damaged or not written by this project .* delete it"):
        fit(TwoPhases(), checkpoint=tmp_path / "state")


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first bytes of what is written find a place."""

    def half(path: Path, content: bytes) -> None:
        with path.open("wb") as file:
            file.write(content[:4])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", half)


def test_failed_write_leaves_the_earlier_state(
    tmp_path: Path, reference: TwoPhases, request: pytest.FixtureRequest
) -> None:
    reference.save(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    request.getfixturevalue("full_disk")
    with pytest.raises(OSError, match="No space left"):
        reference.save(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.usefixtures("full_disk")
def test_full_disk_is_an_os_error(tmp_path: Path, reference: TwoPhases) -> None:
    with pytest.raises(OSError, match=r"checkpoint: cannot be written .*No space left"):
        fit(TwoPhases(), checkpoint=tmp_path / "checkpoint")
    with pytest.raises(OSError, match=r"best.safetensors: cannot be written .*No space left"):
        reference.save(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nan_fails_with_epoch_and_loss() -> None:
    detector = TwoPhases()
    detector.explode_in = 5
    with pytest.raises(FitFailed, match=r"epoch 5: the train loss 'distance' is nan"):
        fit(detector)
    assert detector.models == ()


class Collapsed(TwoPhases):
    def anomaly(self, networks: Tiny, images: Tensor) -> Mapping[str, Tensor]:
        return {"score": torch.full((len(images),), 0.25)}


class NotANumber(TwoPhases):
    def anomaly(self, networks: Tiny, images: Tensor) -> Mapping[str, Tensor]:
        return {"score": images.flatten(1).mean(1).log() * torch.inf}


def test_collapse_fails() -> None:
    with pytest.raises(FitFailed, match=r"collapsed: .* alike \(score 0.25\)"):
        fit(Collapsed())
    with pytest.raises(FitFailed, match="NaN or infinite"):
        fit(NotANumber())
    # Equal images may have equal scores.
    Collapsed().fit(TRAIN, np.repeat(VALIDATION[:1], 3, 0), seed=0)


@given(st.integers(1, 40), st.integers(1, 12))
def test_batches_hold_everything_once_and_none_is_single(n: int, size: int) -> None:
    batches = split_order(torch.arange(n), size)
    assert torch.equal(torch.cat(batches), torch.arange(n))
    assert all(len(b) == size for b in batches[:-2])
    assert max(map(len, batches)) <= size + 1
    if size > 1 and n > 1:
        assert min(map(len, batches)) > 1


@given(st.integers(0, 2**32), st.integers(1, 1000))
def test_generators_follow_seed_and_epoch(seed: int, epoch: int) -> None:
    draws = []
    for entropy in [(seed, epoch), (seed, epoch), (seed, epoch + 1), (seed + 1, epoch)]:
        with _training.own_generators("cpu"):
            _training.seed_generators("cpu", *entropy)
            draws.append(torch.rand(2).tolist())
    assert draws[0] == draws[1]
    assert draws[0] != draws[2]
    assert draws[0] != draws[3]


def test_frozen_lets_gradients_through() -> None:
    inner, outer = nn.Linear(2, 2), nn.Linear(2, 1)
    with frozen(outer):
        outer(inner(torch.ones(1, 2))).sum().backward()
    assert inner.weight.grad is not None
    assert outer.weight.grad is None
    assert outer.weight.requires_grad


def test_drop_after() -> None:
    schedule = drop_after(2, 4, factor=0.5)
    assert [schedule(epoch) for epoch in range(1, 7)] == [1, 1, 0.5, 0.5, 0.25, 0.25]


@pytest.mark.parametrize("channels", [1, 3])
def test_images_to_pixels_and_back(channels: int) -> None:
    images = random_images(3, channels=channels)
    images.flags.writeable = False
    pixels = to_pixels(images, "cpu")
    assert pixels.shape == (3, channels, 4, 4)
    assert int(pixels[2, -1, 1, 3]) == images[2, 1, 3, -1]
    assert np.array_equal(to_images(to_unit(pixels)), images)
    assert to_images(torch.tensor([-1.0, 0.5, 2.0]).reshape(1, 1, 1, 3)).ravel().tolist() == [
        0,
        128,
        255,
    ]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 5, 5, 1), np.uint8), "supports 4x4 images of 1 or 3 channels, not 5x5 of 1"),
        (np.zeros((2, 4, 4, 2), np.uint8), "not 4x4 of 2"),
        (np.zeros((2, 4, 5, 1), np.uint8), "not 4x5 of 1"),
        (np.zeros((2, 4, 4, 1)), r"takes uint8 .* not float64 of shape \(2, 4, 4, 1\)"),
        (np.zeros((4, 4, 1), np.uint8), r"not uint8 of shape \(4, 4, 1\)"),
    ],
)
def test_wrong_images(reference: TwoPhases, images: Images, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TwoPhases().fit(images, VALIDATION, seed=0)
    with pytest.raises(ValueError, match=message):
        reference.score(images)


def test_any_square_size() -> None:
    assert variant(sizes=()).check_images(random_images(1, size=7)) == (7, 7, 1)


def test_images_that_do_not_fit_together(reference: TwoPhases) -> None:
    with pytest.raises(ValueError, match="give both the same shape"):
        TwoPhases().fit(TRAIN, random_images(3, channels=3), seed=0)
    with pytest.raises(ValueError, match="same shape"):
        reference.score(random_images(3, channels=3))
    with pytest.raises(ValueError, match=r"at least 2 training images .* not 1 and 6"):
        TwoPhases().fit(TRAIN[:1], VALIDATION, seed=0)
    with pytest.raises(ValueError, match="not 21 and 0"):
        TwoPhases().fit(TRAIN, VALIDATION[:0], seed=0)


def test_scoring_in_parts_and_nothing(
    reference: TwoPhases, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = reference.score(TEST)["score"]
    monkeypatch.setattr(TwoPhases, "score_batch", 4)
    np.testing.assert_allclose(reference.score(TEST)["score"], whole, rtol=1e-6)
    assert reference.score(TEST[:0])["score"].shape == (0,)


def test_not_fitted() -> None:
    detector = TwoPhases()
    assert (detector.models, list(detector.history), dict(detector.facts)) == ((), [], {})
    with pytest.raises(RuntimeError, match="TwoPhases is not fitted"):
        detector.score(TEST)


def test_unknown_model(reference: TwoPhases) -> None:
    with pytest.raises(KeyError, match="no model 'epoch-1': there are best, last, epoch-5"):
        reference.score(TEST, "epoch-1")


def test_save_and_load(tmp_path: Path, reference: TwoPhases) -> None:
    reference.save(tmp_path / "weights")
    names = sorted(path.name for path in (tmp_path / "weights").iterdir())
    assert names == ["best.safetensors", "detector.json", "last.safetensors"]
    assert "head.weight" in load_file(tmp_path / "weights" / "best.safetensors")
    loaded = TwoPhases.load(tmp_path / "weights")
    assert loaded.models == ("best", "last")
    assert loaded.hyperparameters == reference.hyperparameters
    assert list(loaded.history) == list(reference.history)
    assert loaded.facts == reference.facts
    for model in loaded.models:
        assert np.array_equal(
            loaded.score(TEST, model)["score"], reference.score(TEST, model)["score"]
        )


def test_load_refuses_what_it_cannot_read(tmp_path: Path, reference: TwoPhases) -> None:
    reference.save(tmp_path)
    with pytest.raises(ValueError, match=r"holds a .*:TwoPhases, not a .*:Collapsed"):
        Collapsed.load(tmp_path)
    description = json.loads((tmp_path / "detector.json").read_text())
    description["hyperparameters"]["beta"] = 1
    (tmp_path / "detector.json").write_text(json.dumps(description))
    with pytest.raises(ValueError, match=r"detector.json: cannot be read .*'beta'"):
        TwoPhases.load(tmp_path)
