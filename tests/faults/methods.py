"""Methods whose phases last long enough to be hit: a checkpoint every epoch, slow scores."""

import time

import baselines._training
import gradcon.training
from baselines.dcae import DCAE
from benchmark.detector import Images, PositiveInt, Scores
from gradcon import GradCon

baselines._training.CHECKPOINT_SECONDS = 0.0
gradcon.training.CHECKPOINT_SECONDS = 0.0

SECONDS = 0.5
"""For which a model scores, at least."""


class SlowGradCon(GradCon):
    """CAE + Grad."""

    def __init__(self, *, epochs: PositiveInt) -> None:
        super().__init__(epochs=epochs)

    def score(self, images: Images, model: str = "best") -> Scores:
        time.sleep(SECONDS)
        return super().score(images, model)


class SlowDCAE(DCAE):
    """DCAE with its small network."""

    def __init__(self, *, epochs: PositiveInt) -> None:
        super().__init__(architecture="mnist", epochs=epochs, batch_size=32)

    def score(self, images: Images, model: str = "best") -> Scores:
        time.sleep(SECONDS)
        return super().score(images, model)
