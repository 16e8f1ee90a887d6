"""Images of one's own: an estimator over any method, a threshold, the reasons, a command line.

- ``images``: images as they come, and the form that the detectors take; ``folders``: which images
  of a folder are inliers;
- ``estimator``: any method with scikit-learn's conventions for outlier detection, with
  ``threshold`` and ``early_stopping``; ``gradcon_estimator``: GradCon this way, as one class;
- ``explanation``: which parts of an image are odd, as maps;
- ``command``: ``gradcon fit``, ``score``, ``explain``, ``evaluate``.

``docs/own_images.md`` shows how.
"""

from gradcon.inspection.estimator import OutlierEstimator as OutlierEstimator
from gradcon.inspection.gradcon_estimator import GradCon as GradCon

__all__ = ["GradCon", "OutlierEstimator"]
