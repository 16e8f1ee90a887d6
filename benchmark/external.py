"""Methods whose scores are made elsewhere and imported: ``python -m benchmark import-scores``.

In a configuration:

.. code-block:: yaml

    methods:
      ganomaly:
        detector: "benchmark.external:External"
        title: GANomaly
        source: official code, 15 epochs
"""

from typing import Any, ClassVar, NoReturn

from benchmark.errors import InputError

DETECTOR = "benchmark.external:External"
"""The import path that marks a method as external."""

MARK = " (external)"
"""At the end of the title of such a method, in every table and figure."""


class External:
    """Stands for a method that is not here: it cannot be fitted, its scores are imported.

    Args:
        source: where the scores come from, in words.
    """

    components: ClassVar[tuple[str, ...]] = ("score",)
    uses_gpu: ClassVar[bool] = False

    def __init__(self, *, source: str = "") -> None:
        self.source = source

    def fit(self, *_: Any, **__: Any) -> NoReturn:
        """Raise ``InputError``: there is nothing to train."""
        raise InputError(
            "an external method is not trained here; give its scores to "
            "`python -m benchmark import-scores`"
        )
