"""Any method of the suite as an estimator with scikit-learn's conventions for outlier detection.

>>> from gradcon.inspection import OutlierEstimator
>>> estimator = OutlierEstimator().fit("parts/good")  # GradCon on a folder of images
>>> estimator.predict(["new/1.png", "new/2.png"])  # 1 inlier, -1 outlier
"""

import json
import sys
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
from annotated_types import Gt, Le
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from benchmark.base_detector import BaseDetector, Device, class_path
from benchmark.detector import Images, NonNegativeInt, OpenFraction, PositiveInt
from benchmark.errors import InputError
from benchmark.runs import device as devices
from benchmark.utils import imports
from benchmark.utils.files import atomic
from benchmark.utils.values import checked
from gradcon.inspection.early_stopping import fit_patiently
from gradcon.inspection.folders import inliers
from gradcon.inspection.images import Aspect, Form, Unreadable, items
from gradcon.inspection.threshold import Threshold, fewest_images, threshold

if TYPE_CHECKING:  # it imports torch and matplotlib
    from gradcon.inspection.explanation import Explanation

FILE = "estimator.json"
NESTED = "detector__"
"""Before a hyperparameter of the detector among the parameters of the estimator."""

Contamination = Literal["auto"] | Annotated[float, Gt(0), Le(0.5)]

PARAMETERS: Mapping[str, Any] = {
    "image_size": PositiveInt,
    "aspect": Aspect,
    "contamination": Contamination,
    "false_alarm_rate": OpenFraction,
    "held_out": OpenFraction,
    "patience": PositiveInt | None,
    "device": Device | None,
}


class OutlierEstimator(OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """A detector of odd images, fitted to images most of which are not odd.

    ``X`` may be whatever ``gradcon.inspection.images.items`` takes: arrays, tensors, PIL images,
    paths, a folder; of any size. ``y`` is ignored, as by all outlier detectors of scikit-learn.

    Args:
        detector: a method with its hyperparameters, such as ``GradCon(epochs=100)``; by default
            ``GradCon()``. Its hyperparameters are parameters here too: ``detector__epochs``.
        image_size: pixels; images are resized to this height and width. 28 is what all methods
            take, and the paper's; the four autoencoders also take 44, 60, 76, ...
        aspect: how images become square: ``pad``, ``crop`` or ``stretch``.
        contamination: ``auto``: the images of ``fit`` are inliers, and the threshold is for
            ``false_alarm_rate``. A number in (0, 0.5]: this share of them are outliers, and so
            many will be predicted to be.
        false_alarm_rate: the share of new inliers that may be predicted to be outliers. How well
            it is known, ``threshold_`` says after the fit.
        held_out: share of the images of ``fit`` that only set the threshold, for ``auto``.
        patience: end the training when the validation loss has not improved for so many epochs;
            None trains for all epochs of the detector. A tenth of the training images validate.
        random_state: a whole number for the same results every time, or as scikit-learn has it.
        device: ``cpu``, ``cuda`` or ``cuda:1``; by default a GPU where there is one.
        checkpoint: file of the training state, from which an interrupted ``fit`` goes on; removed
            when the fit is complete.

    Attributes:
        detector_: the fitted detector.
        form_: what every image is turned into.
        offset_: images of lower ``score_samples`` are predicted to be outliers.
        threshold_: the threshold with its uncertainty; None if ``contamination`` is a number.
    """

    detector_: BaseDetector
    form_: Form
    offset_: float
    threshold_: Threshold | None

    def __init__(
        self,
        detector: BaseDetector | None = None,
        *,
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
        self.detector = detector
        self.image_size = image_size
        self.aspect: Aspect = aspect
        self.contamination: float | Literal["auto"] = contamination
        self.false_alarm_rate = false_alarm_rate
        self.held_out = held_out
        self.patience = patience
        self.random_state = random_state
        self.device = device
        self.checkpoint = checkpoint

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit to images most of which, or by ``contamination="auto"`` all of which, are inliers.

        Raises:
            InputError: images or parameters that cannot be taken; the message says what to write.
            FitFailed: the training ended without a usable model.
        """
        values = self._values()
        detector = self._detector()
        device = _device(detector, values["device"])
        chosen = inliers(X)
        sources = items(chosen)
        form = Form.of(sources, values["image_size"], values["aspect"])
        detector.check_images(form.none())  # before many images are read
        where = f"{chosen}: " if isinstance(chosen, str | Path) else ""
        print(where + form.description(sources), file=sys.stderr)
        images = form.all(sources)
        seed = _seed(self.random_state)
        held_out = _drawn(len(images), values["held_out"], seed)
        if values["contamination"] != "auto":
            held_out[:] = False
        checkpoint = None if self.checkpoint is None else Path(self.checkpoint)
        fit = (
            detector.fit
            if values["patience"] is None
            else partial(fit_patiently, detector, patience=values["patience"])
        )
        self.detector_ = fit(images[~held_out], seed=seed, device=device, checkpoint=checkpoint)
        self.form_ = form
        self._set_threshold(images[held_out] if held_out.any() else images)
        if checkpoint is not None:
            checkpoint.unlink(missing_ok=True)
        return self

    def score_samples(
        self, X: Any, unreadable: Unreadable | None = None
    ) -> npt.NDArray[np.float64]:
        """Minus the anomaly score of each image, (N,): lower is more anomalous.

        Images are opened as they are scored, so that memory does not grow with their number. The
        first file that cannot be read is an error, unless there is a dictionary ``unreadable`` to
        take such errors by the places of their files: then the score is NaN.
        """
        check_is_fitted(self)
        batches = self.form_.batches(items(X), "Scoring", unreadable)
        scores = np.concatenate([*map(self._normality, batches)])
        scores[[*(unreadable or ())]] = np.nan
        return scores

    def decision_function(self, X: Any) -> npt.NDArray[np.float64]:
        """``score_samples`` minus ``offset_``, (N,): negative for outliers."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> npt.NDArray[np.int64]:
        """1 for each inlier, -1 for each outlier, (N,)."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def explain(self, X: Any) -> "Explanation":
        """Maps of where each image's reconstruction fails, and where its gradient departs.

        ``gradcon.inspection.explanation.draw`` makes a figure of them. Raises ``InputError`` for
        a method that does not reconstruct.
        """
        from gradcon.inspection.explanation import explain

        check_is_fitted(self)
        return explain(self.detector_, self.form_.all(items(X)))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters, and with ``deep`` those of the detector as ``detector__<name>``."""
        parameters: dict[str, Any] = super().get_params(deep=False)
        if deep and isinstance(self.detector, BaseDetector):
            own = self.detector.hyperparameters
            parameters |= {NESTED + name: value for name, value in own.items()}
        return parameters

    def set_params(self, **params: Any) -> Self:
        """Set parameters; ``detector__<name>`` makes a detector of the same method anew."""
        nested = {k.removeprefix(NESTED): v for k, v in params.items() if k.startswith(NESTED)}
        super().set_params(**{k: v for k, v in params.items() if not k.startswith(NESTED)})
        if nested:
            detector = self._detector()
            self.detector = type(detector)(**detector.hyperparameters | nested)
        return self

    def save(self, folder: Path | str) -> None:
        """Write the fitted estimator: the files of its detector and ``estimator.json``."""
        check_is_fitted(self)
        folder = Path(folder)
        self.detector_.save(folder)
        state = {
            "detector": class_path(type(self.detector_)),
            "parameters": {k: v for k, v in self._values().items() if k != "device"},
            "form": asdict(self.form_),
            "offset": self.offset_,
            "threshold": self.threshold_ and asdict(self.threshold_),
        }
        with atomic(folder / FILE) as beside:
            beside.write_text(json.dumps(state, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path | str, device: str | None = None) -> Self:
        """Read what ``save`` wrote; ``InputError`` if a file is missing, damaged or foreign.

        It scores on ``device``, by default on a GPU where there is one.
        """
        path = Path(folder) / FILE
        try:
            state = json.loads(path.read_bytes())
            detector: BaseDetector = imports.load(state["detector"]).load(folder)
            parameters = cls._parameters_of(detector) | state["parameters"]
            estimator = cls(**parameters, device=device)
            estimator.form_ = Form(**state["form"])
            estimator.offset_ = float(state["offset"])
            limit = state["threshold"]
            estimator.threshold_ = limit and Threshold(**limit)
        except InputError:
            raise
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = f"no {error} in it" if isinstance(error, KeyError) else error
            reason = getattr(error, "strerror", None) or reason
            raise InputError(
                f"{path}: cannot be read ({reason}); name a folder that `gradcon fit` or "
                f"{cls.__name__}.save has written"
            ) from error
        estimator.detector_ = detector
        place = _device(detector, estimator._values()["device"])
        detector._fitted = replace(detector.fitted, device=place)
        return estimator

    @classmethod
    def _parameters_of(cls, detector: BaseDetector) -> dict[str, Any]:
        """The parameters that give an estimator this method."""
        return {"detector": type(detector)(**detector.hyperparameters)}

    def _values(self) -> dict[str, Any]:
        """The parameters as plain values; ``InputError`` for one that is not what it should be."""
        return {
            name: checked(kind, getattr(self, name), name, type(self).__name__)
            for name, kind in PARAMETERS.items()
        }

    def _detector(self) -> Any:
        """A detector of its own, not fitted, with the parameters of the one that was given."""
        if self.detector is None:
            from gradcon.detectors import GradCon

            return GradCon()
        if isinstance(self.detector, type):
            name = self.detector.__name__
            raise InputError(f"detector is the class {name}; give an instance, {name}()")
        if not isinstance(self.detector, BaseDetector):
            kind = type(self.detector).__name__
            raise InputError(f"detector is a {kind}; give a method, such as GradCon(epochs=100)")
        return type(self.detector)(**deepcopy(self.detector.hyperparameters))

    def _normality(self, images: Images) -> npt.NDArray[np.float64]:
        return -self.detector_.anomaly_score(images).astype(np.float64)

    def _set_threshold(self, images: Images) -> None:
        """Set ``threshold_`` and ``offset_`` from images, and say what they are worth."""
        scores = self._normality(images)
        if self.contamination != "auto":
            self.threshold_ = None
            self.offset_ = float(np.percentile(scores, 100 * self.contamination))
            return
        self.threshold_ = threshold(-scores, self.false_alarm_rate)
        self.offset_ = -self.threshold_.value
        needed = fewest_images(self.false_alarm_rate)
        few = f"; a rate of {self.false_alarm_rate:.2g} needs {needed:,}: hold out more images"
        told = f"Threshold: {self.threshold_}{few if len(images) < needed else ''}"
        print(told, file=sys.stderr)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "offset_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        return tags


def _device(detector: BaseDetector, device: str | None) -> str:
    """The device that is asked for, or else a GPU where there is one and the method has a use."""
    chosen = (device or devices.choose()) if detector.uses_gpu else "cpu"
    devices.check(chosen)
    return chosen


def _seed(random_state: Any) -> int:
    """A seed as detectors take it, from whatever scikit-learn takes for a random state."""
    if random_state is None or isinstance(random_state, np.random.RandomState):
        return int(check_random_state(random_state).randint(2**31 - 1))
    seed: int = checked(NonNegativeInt, random_state, "random_state", OutlierEstimator.__name__)
    return seed


def _drawn(number: int, share: float, seed: int) -> npt.NDArray[np.bool_]:
    """Which of so many images are held out: a share of them, at least one, drawn by the seed."""
    drawn = np.zeros(number, bool)
    order = np.random.default_rng((seed, number)).permutation(number)
    drawn[order[: max(1, round(share * number))]] = True
    return drawn
