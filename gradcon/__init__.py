"""GradCon: anomaly detection with backpropagated gradients (Kwon et al., ECCV 2020).

The four detectors are imported on first use, so that importing the package does not import torch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradcon.detectors import CAE, VAE, GradCon, GradConVAE

__all__ = ["CAE", "VAE", "GradCon", "GradConVAE"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from gradcon import detectors

        return getattr(detectors, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
