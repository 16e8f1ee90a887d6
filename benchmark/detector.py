"""The interface of every method: the one module that methods and benchmark share.

It imports nothing else of the project and no deep-learning library, so that the hyperparameters of
a method can be checked quickly before a job starts.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Gt, Le, Lt

Images = npt.NDArray[np.uint8]
"""Images as (N, H, W, C), uint8 in 0..255, C = 1 (gray) or 3 (RGB)."""

Scores = dict[str, npt.NDArray[np.float32]]
"""One array of shape (N,) per score component; **higher is more anomalous**."""

PositiveInt = Annotated[int, Ge(1)]
NonNegativeInt = Annotated[int, Ge(0)]
PositiveFloat = Annotated[float, Gt(0)]
NonNegativeFloat = Annotated[float, Ge(0)]
Fraction = Annotated[float, Ge(0), Le(1)]
OpenFraction = Annotated[float, Gt(0), Lt(1)]


class FitFailed(RuntimeError):
    """Training ended without a usable model; the message is the reason that the run records."""


@runtime_checkable
class Detector(Protocol):
    """A one-class image anomaly detector.

    ``python -m benchmark conformance package.module:Class`` checks all that is said here. Most of
    it is done by the base classes ``benchmark.shallow_detector.ShallowDetector`` (no epochs),
    ``baselines.torch_detector.TorchDetector`` (torch networks) and
    ``benchmark.base_detector.BaseDetector`` (anything else).

    The hyperparameters are the keyword-only arguments of ``__init__``, each annotated with a plain
    type, a ``Literal`` or one of the numeric ranges above, all with defaults from the method's own
    paper. They are read from the source text, without importing it, to check a configuration.

    A method may also have a class method ``fit_stack(detectors, train, validation, *, seeds,
    checkpoint, milestones, device)`` that fits several detectors of the same hyperparameters in one
    process with the numbers that ``fit`` gives one by one.
    """

    components: ClassVar[tuple[str, ...]]
    """Names of the score components, in the order of the columns in ``scores.parquet``.

    ``score`` is the anomaly score itself. Without it the anomaly score is ``reconstruction``, plus
    ``latent`` where there is one, plus beta times ``gradient`` where there is one and the fact
    ``alpha`` is not 0. Other names are compared one by one (``docs/adding_a_method.md``).
    """

    def fit(
        self,
        train: Images,
        validation: Images | None = None,
        *,
        seed: int = 0,
        checkpoint: Path | None = None,
        milestones: Sequence[int] = (),
        device: str = "cpu",
    ) -> Self:
        """Train on inliers only.

        Args:
            train: inlier images, (N, H, W, C) uint8.
            validation: inlier images for choosing the best epoch, (M, H, W, C) uint8; by default
                a tenth of ``train``, the first of ``np.random.default_rng(seed).permutation(N)``,
                which is then not trained on.
            seed: from 0; fixes initial weights, batch order and noise: the same seed gives the
                same scores on the CPU.
            checkpoint: file of the training state. Written as training goes on; when it exists,
                training continues from it; removed by the caller once the run is complete.
            milestones: epochs (1-based) whose model is kept as ``epoch-<n>``.
            device: ``cpu``, ``cuda`` or ``cuda:<n>``.

        Raises:
            FitFailed: NaN or infinite loss, or a collapsed model.
            ValueError: an unsupported argument (says which are supported), or a checkpoint of
                another training (says which file to delete).
        """
        ...

    @property
    def models(self) -> tuple[str, ...]:
        """The fitted models.

        Always ``best`` (lowest validation loss) and ``last``, then the milestones reached, as
        ``epoch-<n>``. A method without epochs has the one model twice.
        """
        ...

    @property
    def history(self) -> Sequence[Mapping[str, float]]:
        """One row per epoch: ``epoch`` (1-based), ``train_<loss>``, ``validation_<loss>``."""
        ...

    @property
    def facts(self) -> Mapping[str, Any]:
        """Plain values for ``run.json``.

        At least ``parameters`` (trained scalars), ``epochs`` and ``best_epoch``.
        """
        ...

    def score(self, images: Images, model: str = "best") -> Scores:
        """Score test images, (N, H, W, C) uint8; higher is more anomalous.

        A sample's score does not depend on its batch mates. Raises ``ValueError`` for images of
        another size or channel count than those fitted, and ``KeyError`` for an unknown model.
        """
        ...

    def save(self, directory: Path) -> None:
        """Write ``detector.json`` and ``best.safetensors``, ``last.safetensors`` (no pickles)."""
        ...

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read what ``save`` wrote; the scores are bit-equal to those of the saved detector."""
        ...
