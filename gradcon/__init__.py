"""GradCon: anomaly detection with backpropagated gradients (Kwon et al., ECCV 2020).

In the order in which to read them:

- ``reference``: the whole method in plain lines, against which the tests compare the rest;
- ``networks``, ``losses``, ``settings``: the autoencoders, what is minimised, the hyperparameters;
- ``iteration``: one training iteration; ``gradients``: its gradients by explicit passes, which
  ``kernels`` has;
- ``training``, with ``stack``, ``forms``, ``flat``, ``batches``, ``epochs`` and
  ``training_state``: all epochs, for one model or several at once;
- ``scoring``: the losses of test images; ``detectors``: the four detectors that users call.

The detectors are imported on first use, so that importing the package does not import torch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradcon.detectors import CAE, VAE, GradCon, GradConVAE

__all__ = ["CAE", "VAE", "GradCon", "GradConVAE"]


def __getattr__(name: str) -> Any:
    if name == "__version__":  # that of pyproject.toml
        from importlib.metadata import version

        return version("gradcon-reproducibility")
    if name in __all__:
        from gradcon import detectors

        return getattr(detectors, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
