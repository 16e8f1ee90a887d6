"""Why an image is odd: where its reconstruction fails, and where its gradient departs.

The gradient loss of a decoder layer is minus the cosine of two kernels' gradients, the image's G
and the reference R of the training. Both are sums over places. With d the derivative of the
reconstruction loss by the layer's output and a its input, for any kernel W

    <G, W> = sum_q <d[q], conv_transpose(a, W)[q]>

over the places q of the output. With W = (G / |G| - R / |R|) / |G| the sum is 1 - cosine, so its
terms say which places turn the gradient away from the reference, and which towards it (negative).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from torch import Tensor, nn
from torch.nn.grad import conv2d_weight

from benchmark.base_detector import BaseDetector
from benchmark.detector import Images
from benchmark.errors import InputError
from benchmark.figures.style import WIDTH, bare, style_sheet
from benchmark.utils.precision import full_float32
from gradcon.batches import to_unit
from gradcon.detectors import AutoencoderDetector
from gradcon.losses import EPSILON, RECONSTRUCTION
from gradcon.networks import decoder_weights

Maps = npt.NDArray[np.float32]
"""A value for each place of each image, (N, H, W)."""


@dataclass(frozen=True)
class Explanation:
    """Maps of N images; the mean over a map is the loss that it explains."""

    images: Images
    """(N, S, S, C) uint8, as the detector takes them."""
    reconstructions: Images
    """(N, S, S, C) uint8."""
    errors: Maps
    """Squared errors of pixels in [0, 1], a mean over channels: (N, S, S)."""
    departures: tuple[Maps, ...]
    """For each decoder layer, at the places of its output: the mean over a map is 1 - cosine.
    Empty for a method without the gradients of a decoder."""


def explain(detector: BaseDetector, images: Images) -> Explanation:
    """Explain the scores of images (N, S, S, C) uint8 by the best model of a fitted detector.

    Raises:
        InputError: a detector that does not reconstruct.
    """
    reconstruct = getattr(detector, "reconstruct", None)
    if reconstruct is None:
        raise InputError(
            f"{type(detector).__name__} reconstructs nothing, so there is no map of its error; "
            "explain by a method that does, such as GradCon"
        )
    reconstructions = reconstruct(images)
    errors = np.square((images.astype(np.float32) - reconstructions) / 255).mean(3)
    departures: tuple[Maps, ...] = ()
    if isinstance(detector, AutoencoderDetector):
        departures = _departures(detector, images)
    return Explanation(images, reconstructions, errors, departures)


@full_float32()
def _departures(detector: AutoencoderDetector, images: Images) -> tuple[Maps, ...]:
    network, reference = detector._trained(images, "best")
    network.requires_grad_(False)
    device = next(network.parameters()).device
    means = [reference[name].to(device) for name in decoder_weights(network)]
    maps = [
        _of_one(network.decoder, network.encode(pixels)[0], pixels, means, detector)
        for pixels in torch.split(to_unit(torch.tensor(images).to(device)).permute(0, 3, 1, 2), 1)
    ]
    return tuple(np.concatenate(layer) for layer in zip(*maps, strict=True))


@torch.enable_grad()
def _of_one(
    decoder: nn.Sequential,
    code: Tensor,
    pixels: Tensor,
    means: Sequence[Tensor],
    detector: AutoencoderDetector,
) -> list[Maps]:
    """The departures of one image (1, C, S, S), (1, H, W) for each decoder layer."""
    layers, inputs, outputs = [], [], []
    x = code.requires_grad_()
    for layer in decoder:
        if isinstance(layer, nn.ConvTranspose2d):
            layers.append(layer)
            inputs.append(x.detach())
            outputs.append(x := layer(x))
        else:
            x = layer(x)
    loss = RECONSTRUCTION[detector.reconstruction_loss](x, pixels).sum()
    maps = []
    for layer, a, d, mean in zip(
        layers, inputs, torch.autograd.grad(loss, outputs), means, strict=True
    ):
        padding = int(layer.padding[0])
        gradient = conv2d_weight(d, mean.shape, a, layer.stride, padding)  # type: ignore[no-untyped-call]
        norm = gradient.norm().clamp_min(EPSILON)
        kernel = (gradient / norm - mean / mean.norm().clamp_min(EPSILON)) / norm
        terms = d * F.conv_transpose2d(a, kernel, None, layer.stride, padding)
        places = terms.shape[2] * terms.shape[3]
        maps.append((places * terms.sum(1)).cpu().numpy())
    return maps


def draw(explanation: Explanation, titles: Sequence[str]) -> Figure:
    """A row of pictures for each image: it, its reconstruction, and the maps.

    All maps of errors have one scale, from 0, and all maps of departures another, around 0, so
    that rows and layers can be compared.
    """
    errors, departures = explanation.errors, explanation.departures
    limit = max((float(np.quantile(np.abs(maps), 0.995)) for maps in departures), default=1.0)
    of_image = {"cmap": "gray", "vmin": 0, "vmax": 255}
    of_error = {"cmap": "magma", "vmin": 0, "vmax": float(errors.max())}
    of_departure = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    columns: list[tuple[str, npt.NDArray[Any], dict[str, Any]]] = [
        ("image", explanation.images, of_image),
        ("reconstruction", explanation.reconstructions, of_image),
        ("squared error", errors, of_error),
        *(
            (f"departure, layer {number}", maps, of_departure)
            for number, maps in enumerate(departures, 1)
        ),
    ]
    with style_sheet():
        page = _Page(len(titles), len(columns))
        for column, (name, pictures, scale) in enumerate(columns):
            page.head(column, name)
            for row, picture in enumerate(pictures):
                axis = page.place(row, column)
                shown = axis.imshow(picture.squeeze(), **scale)
                if scale is not of_image:
                    axis.set_xlabel(f"mean {picture.mean():.2g}", fontsize=6, labelpad=2)
            if name == "squared error":
                page.scale(shown, column, column, "error of a pixel")
        if departures:
            page.scale(shown, 3, column, "red: away from the gradients of training; blue: towards")
        for row, title in enumerate(titles):
            page.title(row, title)
    return page.figure


class _Page:
    """A figure with square pictures in rows, all measures in inches."""

    GAP, LINE, SCALE = 0.08, 0.16, 0.5

    def __init__(self, rows: int, columns: int) -> None:
        self.side = WIDTH / columns
        self.height = self.LINE + rows * (self.side + 2 * self.LINE) + self.SCALE
        self.figure = Figure(figsize=(WIDTH, self.height), dpi=200)

    def _top(self, row: int) -> float:
        """The upper edge of the pictures of a row."""
        return self.height - self.LINE - row * (self.side + 2 * self.LINE) - self.LINE

    def _axes(self, x: float, y: float, width: float, height: float) -> Axes:
        box = (x / WIDTH, y / self.height, width / WIDTH, height / self.height)
        return self.figure.add_axes(box)

    def _text(self, x: float, y: float, text: str, **style: Any) -> None:
        self.figure.text(x / WIDTH, y / self.height, text, va="bottom", **style)

    def head(self, column: int, text: str) -> None:
        """Name a column."""
        x = (column + 0.5) * self.side
        self._text(x, self._top(0) + self.LINE + 0.03, text, fontsize=6, ha="center")

    def title(self, row: int, text: str) -> None:
        """Name a row."""
        self._text(self.GAP / 2, self._top(row) + 0.02, text, fontsize=7, weight="bold")

    def place(self, row: int, column: int) -> Axes:
        """The place of a picture."""
        size = self.side - self.GAP
        axis = self._axes(column * self.side + self.GAP / 2, self._top(row) - size, size, size)
        bare(axis)
        return axis

    def scale(self, shown: AxesImage, first: int, last: int, text: str) -> None:
        """The scale of pictures, below their columns."""
        x, width = first * self.side + self.GAP, (last - first + 1) * self.side - 2 * self.GAP
        axis = self._axes(x, self.SCALE - 0.15, width, 0.07)
        bar = self.figure.colorbar(shown, cax=axis, orientation="horizontal")
        bar.set_label(text, fontsize=6, labelpad=1)
        axis.tick_params(labelsize=5, length=2, pad=1)
        axis.grid(visible=False)
