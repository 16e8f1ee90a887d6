"""The base class of methods made of torch networks, with what its subclasses need, under one name.

``baselines/dae.py`` is the shortest example.
"""

from baselines._images import in_batches
from baselines._torch_detector import TorchDetector
from baselines._training import Phase

__all__ = ["Phase", "TorchDetector", "in_batches"]
