"""OCSVM: the one-class support vector machine (Schoelkopf et al., 2001), by scikit-learn.

Source: the tables' rows are from Abati et al. and Ruff et al., who differ in the input and in the
choice of gamma; Ruff et al. choose gamma by the AUROC on a labelled tenth of the test set. Here no
label is used.

Input: pixels in [0, 1], then PCA fitted to the training inliers, with the fewest directions that
keep 95 % of their variance (Ruff et al.); ``variance: null`` uses the pixels themselves. With
``whiten`` each direction is divided by its standard deviation. The published MNIST column is that
of whitened directions: on all training images and a third of the test images they give digit 8
0.845 and an average of 0.951 (published: 0.853 and 0.952), unscaled ones 0.899 and 0.904. They do
not explain the published CIFAR-10 column.

Model: ``sklearn.svm.OneClassSVM`` with the kernel exp(-gamma |x - y|^2) and nu = 0.1 (Ruff et al.
report the better of 0.01 and 0.1). gamma is a number or a rule on the training inliers:

=========== =============================================================================
``scale``   1 / (dimensions * variance of all coordinates), scikit-learn's default
``median``  1 / the median squared distance between two images
``maximum`` 1 / the largest squared distance (Ruff et al.'s code without its search)
=========== =============================================================================

Score: minus the decision function, which is positive for predicted inliers. The model consists of
the support vectors, and the decision function is computed from them here; it equals scikit-learn's
except for rounding.

Deviations: gamma by rule instead of by labels; no contrast normalisation before PCA, which Ruff et
al. use for CIFAR-10; ``median`` and ``maximum`` use the first 2,000 training images only.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import pdist
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.svm import OneClassSVM

from baselines._pca_detector import Model, PCADetector, Points
from benchmark.detector import OpenFraction, PositiveFloat

Rule = Literal["scale", "median", "maximum"]

COMPARED = 2000
"""Images whose distances are computed; memory and time grow with the square of their number."""

RULES: Mapping[Rule, Callable[[Points], float]] = {
    "scale": lambda points: 1 / (points.shape[1] * float(points.var())),
    "median": lambda points: 1 / float(np.median(pdist(points[:COMPARED], "sqeuclidean"))),
    "maximum": lambda points: 1 / float(pdist(points[:COMPARED], "sqeuclidean").max()),
}


class OCSVM(PCADetector):
    """One-class support vector machine; component ``score`` is minus its decision function.

    Args:
        nu: at most this share of the training images is outside, and at least this share are
            support vectors.
        gamma: of the kernel, or the rule that finds it.
        variance: share of the variance that PCA keeps; None for the pixels themselves.
        whiten: whether every direction of the PCA is scaled to variance 1.
    """

    def __init__(
        self,
        *,
        nu: OpenFraction = 0.1,
        gamma: PositiveFloat | Rule = "scale",
        variance: OpenFraction | None = 0.95,
        whiten: bool = True,
    ) -> None:
        self.nu = nu
        self.gamma = gamma
        self.variance = variance
        self.whiten = whiten

    def learn(self, points: Points) -> tuple[Model, dict[str, Any]]:
        """Find the support vectors."""
        gamma = RULES[self.gamma](points) if isinstance(self.gamma, str) else self.gamma
        machine = OneClassSVM(kernel="rbf", nu=self.nu, gamma=gamma)
        # Without it libsvm is seeded from NumPy's global generator, which would then change.
        machine.random_state = 0
        machine.fit(points)
        model = {
            "support": machine.support_vectors_,
            "weights": machine.dual_coef_[0],
            "intercept": machine.intercept_,
            "gamma": np.array([gamma]),
        }
        return model, {"gamma": gamma, "support_vectors": len(machine.support_vectors_)}

    def anomaly(self, model: Model, points: Points) -> npt.NDArray[np.float64]:
        """Return minus the decision function."""
        kernel = rbf_kernel(points, model["support"], gamma=model["gamma"][0])
        decision: npt.NDArray[np.float64] = kernel @ model["weights"] + model["intercept"]
        return -decision
