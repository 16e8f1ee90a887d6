"""Whether a trained model still tells images apart."""

import numpy as np

from benchmark.base_detector import BaseDetector
from benchmark.detector import FitFailed, Images

SAMPLES = 32
SPREAD = 1e-5
"""Relative to the largest score: a spread of no more than this is rounding."""


def refuse_collapse(detector: BaseDetector, images: Images) -> None:
    """Score some inliers, (N, H, W, C) uint8, with the best model.

    Raises:
        FitFailed: a component is NaN or infinite, or has the same value for different images.
    """
    images = images[:SAMPLES]
    for name, values in detector.score(images).items():
        if not np.isfinite(values).all():
            raise FitFailed(f"the component '{name}' of the best model is NaN or infinite")
        if np.ptp(values) <= SPREAD * np.abs(values).max() and (images != images[:1]).any():
            raise FitFailed(
                f"collapsed: the best model scores every validation image alike "
                f"({name} {values[0]:.6g})"
            )
