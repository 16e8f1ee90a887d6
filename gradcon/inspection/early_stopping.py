"""Training that ends when the validation loss gets no better."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from safetensors import safe_open

from benchmark.base_detector import BaseDetector
from benchmark.detector import Images
from benchmark.errors import InputError


def fit_patiently(
    detector: BaseDetector,
    train: Images,
    patience: int,
    checkpoint: Path | None,
    **options: Any,
) -> BaseDetector:
    """Fit until the best epoch is ``patience`` epochs ago, or to the detector's own epochs.

    A training goes from one epoch at which it could end to the next, and on from its checkpoint,
    so that the models are those of one training in one go.

    Args:
        detector: one of the four autoencoders of ``gradcon``, whose trainings can go on to more
            epochs.
        train: inlier images, (N, H, W, C) uint8.
        patience: epochs without a better validation loss, at least 1.
        checkpoint: file of the training state, by default a temporary one.
        options: further arguments of ``fit``.

    Returns:
        A fitted detector whose ``epochs`` are those of the training.

    Raises:
        InputError: another detector.
    """
    from gradcon.detectors import AutoencoderDetector

    if not isinstance(detector, AutoencoderDetector):
        raise InputError(
            f"patience is for CAE, GradCon, VAE and GradConVAE; {type(detector).__name__} trains "
            "for its own number of epochs: leave patience out"
        )
    limit = detector.settings.epochs
    with TemporaryDirectory() as folder:
        state = checkpoint or Path(folder) / "checkpoint"
        epochs = min(max(patience, _epochs_so_far(state)), limit)
        while True:
            fitted = type(detector)(**detector.hyperparameters | {"epochs": epochs})
            fitted.fit(train, checkpoint=state, **options)
            end = min(fitted.facts["best_epoch"] + patience, limit)
            if end <= epochs:
                return fitted
            epochs = end


def _epochs_so_far(checkpoint: Path) -> int:
    """The epochs in a checkpoint, 0 without one; whether it fits is for the training to say."""
    if not checkpoint.exists():
        return 0
    try:
        with safe_open(checkpoint, framework="np") as file:
            header = file.metadata()["json"].partition(" ")[2]
        return int(json.loads(header)["progress"]["epoch"])
    except Exception:  # a damaged file, of which the training says what to do
        return 0
