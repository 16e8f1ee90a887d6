"""Simulated challenges: what the twelve challenge types of CURE-TSR do, as short models.

These are not the filters that made CURE-TSR, but other models of the same twelve effects, for signs
that were cut out already. The strengths of decolorization, codec error, darkening, dirty lens,
exposure, Gaussian blur and haze were set by hand so that the means of brightness, contrast,
saturation and sharpness change with the level about as they do over 1,546 real files (haze beyond
level 3 is extrapolated). Of lens blur, noise, rain, shadow and snow no real file was available:
their strengths were set by eye. Lengths are shares of the image's shorter side, as a sign fills its
image whatever its size.

Gaussian blur stands out. As the models see them (28x28 pixels), photographs of level 1 keep 0.32 of
the clean ones' difference between neighbouring pixels. The real files of that level have 0.48 of
that of decolorization, which takes no detail: severe too, if less so. The other simulated types
that the paper's eight are taken to be keep 0.64 or more at level 1.

The random parts (where drops, flakes and dirt are) depend on image and challenge, not on the level:
a higher level is more of the same.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy  # which imports its parts when they are used

from benchmark.data.challenges import file_names
from benchmark.detector import Images

Pixels = npt.NDArray[np.float64]
"""One image, (H, W, C), 0 is black and 1 is white."""

Model = Callable[[Pixels, float, np.random.Generator], Pixels]
"""``(image, strength, generator) -> image``; values beyond 0..1 are clipped by the caller."""

_LUMA = np.array([0.299, 0.587, 0.114])
_GREY_VEIL = 0.62
"""The brightness of haze and of the thickest dirt in the real files."""


class Effect(NamedTuple):
    """The model of a challenge type and its strength at the levels 1 to 5."""

    model: Model
    strengths: tuple[float, float, float, float, float]


def simulate(image: Images, challenge: str, level: int, seed: int) -> Images:
    """Put one image under a challenge.

    >>> simulate(np.full((8, 8, 3), 100, np.uint8), "Darkening", level=2, seed=0)[0, 0]
    array([38, 38, 38], dtype=uint8)

    Args:
        image: (H, W, C) uint8, C = 1 or 3, of any size.
        challenge: one of ``benchmark.data.challenges.file_names.TYPES``.
        level: 1 (mildest) to 5.
        seed: fixes the random parts; give each image its own.

    Returns:
        (H, W, C) uint8.

    Raises:
        KeyError: an unknown challenge type.
        IndexError: a level beyond 5.
    """
    model, strengths = EFFECTS[challenge]
    seeds = np.random.SeedSequence(seed, spawn_key=(file_names.code(challenge),))
    result = model(image / 255, strengths[level - 1], np.random.default_rng(seeds))
    return np.rint(np.clip(result, 0, 1) * 255).astype(np.uint8)


def _decolorization(image: Pixels, strength: float, _: np.random.Generator) -> Pixels:
    """Mix with the image's luminance (BT.601); 1 leaves no colour. Grey images stay as they are."""
    grey = image @ _LUMA if image.shape[2] == 3 else image[..., 0]
    return image + strength * (grey[..., np.newaxis] - image)


def _lens_blur(image: Pixels, radius: float, _: np.random.Generator) -> Pixels:
    """Average over a disk, the image of a point out of focus."""
    pixels = radius * _side(image)
    reach = int(np.ceil(pixels))
    span = np.arange(-reach, reach + 1)
    distance = np.hypot(*np.meshgrid(span, span))
    # Pixels at the border count as far as the disk covers them: radii need not be whole pixels.
    disk = np.clip(pixels + 0.5 - distance, 0, 1)
    return scipy.ndimage.convolve(image, (disk / disk.sum())[..., np.newaxis], mode="reflect")


def _codec_error(image: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Blocks predicted from a wrong place of the last frame, with the right residual added.

    A decoder that lost a motion vector copies a block from elsewhere and adds the detail that was
    sent for the right one: outlines double. Blocks are half as long as the image. As in the real
    files, most errors hit all of an image or nothing of it. The strength is the share of lost
    blocks, and scales the displacement.
    """
    height, width = image.shape[:2]
    smooth = _gaussian_blur(image, 0.12, rng)
    rows, columns = np.arange(height)[:, np.newaxis], np.arange(width)[np.newaxis]
    block = rows * 2 // height, columns * 2 // width
    lost = 0.6 * rng.random() + 0.4 * rng.random((2, 2)) < strength
    angle = rng.uniform(0, 2 * np.pi, (2, 2))
    reach = (0.1 + 0.25 * strength) * _side(image) * rng.uniform(0.6, 1, (2, 2))
    down, right = (np.rint(reach * part(angle)).astype(int)[block] for part in (np.sin, np.cos))
    source = np.clip(rows + down, 0, height - 1), np.clip(columns + right, 0, width - 1)
    wrong = image[source] + 1.3 * (image - smooth)
    return np.where(lost[block][..., np.newaxis], wrong, image)


def _dirty_lens(image: Pixels, opacity: float, rng: np.random.Generator) -> Pixels:
    """A translucent layer of dirt in soft patches: bright where thin, grey where thick."""
    patches = _patches(image, 0.25, rng)
    layer = np.clip(opacity * (0.6 + 0.8 * patches), 0, 1)
    colour = 1 + (_GREY_VEIL - 1) * min(1.0, opacity / 0.5)
    return image + layer * (colour - image)


def _light(image: Pixels, gain: float, _: np.random.Generator) -> Pixels:
    """Less light, or so much that bright values are cut off at white: all values are scaled."""
    return image * gain


def _gaussian_blur(image: Pixels, sigma: float, _: np.random.Generator) -> Pixels:
    """Convolution with a Gaussian."""
    return scipy.ndimage.gaussian_filter(image, (*(sigma * _side(image),) * 2, 0), mode="reflect")


def _noise(image: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
    """White Gaussian noise, independent in every pixel and channel."""
    return image + sigma * rng.standard_normal(image.shape)


def _rain(image: Pixels, density: float, rng: np.random.Generator) -> Pixels:
    """Bright streaks, all in the slanted direction of one wind, under a thin veil of spray."""
    slant = rng.uniform(-0.25, 0.25)
    streaks = _streaks(image, density, rng, length=0.3, width=0.025, slant=slant)
    veiled = image + 0.25 * density * (_GREY_VEIL - image)
    return veiled + 0.65 * streaks[..., np.newaxis] * (0.85 - veiled)


def _shadow(image: Pixels, depth: float, rng: np.random.Generator) -> Pixels:
    """Slanted dark bands, as of a fence or of branches, that take away some of the light."""
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width] / _side(image)
    slant, phase = rng.uniform(-0.5, 0.5), rng.uniform()
    waves = np.sin(2 * np.pi * (2 * (x + slant * y) + phase))
    bands = 1 / (1 + np.exp(-6 * waves))
    return np.asarray(image * (1 - depth * bands[..., np.newaxis]))


def _snow(image: Pixels, density: float, rng: np.random.Generator) -> Pixels:
    """White flakes of different sizes, out of focus, under a thin white veil."""
    flakes = _streaks(image, density, rng, length=0.04, width=0.035, slant=0)
    veiled = image + 0.3 * density * (0.9 - image)
    return veiled + 0.9 * flakes[..., np.newaxis] * (1 - veiled)


def _haze(image: Pixels, thickness: float, rng: np.random.Generator) -> Pixels:
    """Koschmieder's law: light is lost on its way to the camera and replaced by grey airlight."""
    veil = np.clip(thickness * (0.95 + 0.1 * _patches(image, 0.5, rng)), 0, 1)
    return image + veil * (_GREY_VEIL - image)


EFFECTS: dict[str, Effect] = {
    "Decolorization": Effect(_decolorization, (0.2, 0.35, 0.6, 0.87, 1.0)),
    "LensBlur": Effect(_lens_blur, (0.06, 0.12, 0.18, 0.24, 0.30)),
    "CodecError": Effect(_codec_error, (0.3, 0.4, 0.52, 0.65, 0.8)),
    "Darkening": Effect(_light, (0.72, 0.38, 0.20, 0.11, 0.057)),
    "DirtyLens": Effect(_dirty_lens, (0.03, 0.06, 0.12, 0.22, 0.55)),
    "Exposure": Effect(_light, (1.6, 2.1, 3.3, 4.8, 7.5)),
    "GaussianBlur": Effect(_gaussian_blur, (0.07, 0.15, 0.22, 0.27, 0.32)),
    "Noise": Effect(_noise, (0.04, 0.08, 0.14, 0.22, 0.32)),
    "Rain": Effect(_rain, (0.15, 0.3, 0.5, 0.75, 1.0)),
    "Shadow": Effect(_shadow, (0.2, 0.35, 0.5, 0.65, 0.8)),
    "Snow": Effect(_snow, (0.15, 0.3, 0.5, 0.75, 1.0)),
    "Haze": Effect(_haze, (0.36, 0.53, 0.72, 0.82, 0.9)),
}
"""All twelve types, in the order of their codes. Strengths: see each model."""

UNEVEN = {
    ("GaussianBlur", 1): "simulated, and far more severe than the others of level 1: it leaves a "
    "third of the detail, real files of CURE-TSR half"
}
"""Conditions whose strength is out of line with the others of their level, by (type, level)."""


def _side(image: Pixels) -> int:
    return int(min(image.shape[:2]))


def _patches(image: Pixels, size: float, rng: np.random.Generator) -> Pixels:
    """A smooth random field of (H, W, 1), spread over 0..1; ``size`` as a share of the side."""
    noise = rng.standard_normal(image.shape[:2])
    field = scipy.ndimage.gaussian_filter(noise, size * _side(image), mode="wrap")
    low, high = field.min(), field.max()
    spread = (field - low) / (high - low) if high > low else np.full_like(field, 0.5)
    return spread[..., np.newaxis]


def _streaks(
    image: Pixels,
    density: float,
    rng: np.random.Generator,
    *,
    length: float,
    width: float,
    slant: float,
) -> Pixels:
    """How far soft strokes cover each pixel, (H, W) in 0..1; ``density`` 1 is forty strokes."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]] / _side(image)
    tall, wide = (pixels / _side(image) for pixels in image.shape[:2])
    places = rng.uniform((-length, 0, 0.6), (tall, wide, 1.4), (40, 3))
    clear = np.ones(image.shape[:2])
    for top, left, scale in places[: round(40 * density)]:
        along = np.clip((y - top) / (scale * length), 0, 1) * scale * length
        distance = np.hypot(y - top - along, x - left - slant * along)
        # A stroke thinner than a pixel is drawn a pixel wide, and fainter.
        reach = max(scale * width, 0.5 / _side(image))
        clear *= 1 - min(1.0, scale * width / reach) * np.exp(-((distance / reach) ** 2))
    return 1 - clear
