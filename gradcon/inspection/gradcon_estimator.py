"""GradCon itself as an estimator, with the hyperparameters of the method among its own.

>>> from gradcon.inspection import GradCon
>>> GradCon().fit(X).score_samples(X)  # lower is more anomalous
"""

from pathlib import Path
from typing import Any, Literal, Self

from sklearn.base import BaseEstimator

from benchmark.base_detector import BaseDetector
from benchmark.errors import InputError
from gradcon.inspection.estimator import OutlierEstimator
from gradcon.inspection.images import Aspect

OWN = ("epochs", "batch_size", "learning_rate", "alpha")
"""The hyperparameters of ``gradcon.GradCon`` that are parameters here."""


class GradCon(OutlierEstimator):
    """``OutlierEstimator(gradcon.GradCon(...))`` as one class.

    Args:
        epochs: of the training, at most; the paper's 1000.
        batch_size: images in a training step.
        learning_rate: of Adam.
        alpha: weight of the gradient constraint; the paper's 0.03.
        image_size: this and the other parameters are those of ``OutlierEstimator``.
    """

    def __init__(
        self,
        *,
        epochs: int = 1000,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        alpha: float = 0.03,
        image_size: int = 28,
        aspect: Aspect = "pad",
        contamination: float | Literal["auto"] = "auto",
        false_alarm_rate: float = 0.05,
        held_out: float = 0.2,
        patience: int | None = None,
        random_state: Any = 0,
        device: str | None = None,
        checkpoint: Path | str | None = None,
    ) -> None:
        super().__init__(
            image_size=image_size,
            aspect=aspect,
            contamination=contamination,
            false_alarm_rate=false_alarm_rate,
            held_out=held_out,
            patience=patience,
            random_state=random_state,
            device=device,
            checkpoint=checkpoint,
        )
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.alpha = alpha

    def set_params(self, **params: Any) -> Self:
        """Set parameters by their names."""
        return BaseEstimator.set_params(self, **params)  # type: ignore[no-any-return]

    def _detector(self) -> Any:
        from gradcon import detectors

        return detectors.GradCon(**{name: getattr(self, name) for name in OWN})

    @classmethod
    def _parameters_of(cls, detector: BaseDetector) -> dict[str, Any]:
        from gradcon import detectors

        values, defaults = detector.hyperparameters, detectors.GradCon().hyperparameters
        if type(detector) is not detectors.GradCon or any(
            values[name] != defaults[name] for name in values.keys() - {*OWN}
        ):
            raise InputError(f"the model is of {detector}; read it by OutlierEstimator.load")
        return {name: values[name] for name in OWN}
