"""Random changes of training images that leave their class as it is.

Rows are encoded images, (rows, features) with features = height * width * channels in C order, and
standardised jointly: over all pixels of the training images the mean is 0 and the standard
deviation 1. Strengths that concern intensities are therefore in standard deviations, and 0 is the
colour of the mean image. Nothing is cut off at black and white, which the standardised rows have
forgotten. Inside, images are (rows, height, width, channels).

The operations come in the order of `OPERATIONS`: first where the pixels are (flip, rotation, crop),
then how bright they are (contrast, colour, noise), and last what is lost (erase), so that neither
noise nor a rotation touches the erased rectangle. Contrast precedes the colour shift because it is
measured from the image's own mean. Every image has draws of its own.

Sources: Krizhevsky et al. 2012, section 4.1 (mirror images, crops, colours); Simard et al. 2003
(rotated digits); Howard 2013 (contrast); Bishop 1995 (noise at the inputs, which acts like weight
decay); DeVries & Taylor 2017 and Zhong et al. 2020 (erased rectangles).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.nn.architecture import Floats

BLOCK_PIXELS = 1 << 14
"""Pixels that are rotated at once, so that the dozen arrays of the way stay in a core's cache."""


@dataclass(frozen=True)
class Augmentation:
    """How strongly `augment` changes images; 0 everywhere leaves them as they are.

    Parameters
    ----------
    shape
        (height, width) or (height, width, channels) of the images.
    flip
        Probability of the left-right mirror image. Not for what has a handedness: a mirrored digit
        is no digit.
    rotation
        Largest angle in degrees; angles are uniform from ``-rotation`` to ``rotation``.
    crop
        A window of the images' size is taken from the image padded by so many pixels on each side,
        at a random place: a shift by up to ``crop`` pixels both ways (Lee et al. 2015, He et al.
        2016 with 4 of 32 pixels). The padding repeats the edge, because the colour of the
        background is not known here.
    contrast
        Each image's deviation from its own mean is multiplied by a factor that is uniform from
        ``1 - contrast`` to ``1 + contrast``.
    color
        Standard deviation of the normal number that is added to all pixels of a channel, another
        for each channel of each image. With one channel this is the brightness.
    noise
        Standard deviation of the normal numbers that are added to the pixels, one for each.
    erase
        Share of each image that is lost: a rectangle with the image's aspect ratio, its sides
        rounded to whole pixels and at least one, wholly inside the image, is set to 0. It is
        Cutout (DeVries & Taylor 2017) with the one hyperparameter that they keep, and Random
        Erasing (Zhong et al. 2020) by the mean with its probability, aspect and area fixed.

    Raises
    ------
    ValueError
        If a setting is outside its range.
    """

    shape: tuple[int, ...]
    flip: float = 0.0
    rotation: float = 0.0
    crop: int = 0
    contrast: float = 0.0
    color: float = 0.0
    noise: float = 0.0
    erase: float = 0.0

    def __post_init__(self) -> None:
        sizes = set(map(type, self.shape)) == {int} and min(self.shape) >= 1
        if not sizes or len(self.shape) not in {2, 3}:
            raise ValueError(
                "augmentation: shape must be (height, width) or (height, width, channels), whole "
                f"numbers from 1, but it is {self.shape}"
            )
        side = min(self.shape[:2])
        rules = {
            "flip": (0 <= self.flip <= 1, "a probability from 0 to 1"),
            "rotation": (0 <= self.rotation <= 180, "from 0 to 180 degrees"),
            "crop": (self.crop in range(side), f"a whole number from 0 to {side - 1} pixels"),
            "contrast": (0 <= self.contrast <= 1, "from 0 to 1"),
            "color": (0 <= self.color < math.inf, "0 or more, and finite"),
            "noise": (0 <= self.noise < math.inf, "0 or more, and finite"),
            "erase": (0 <= self.erase < 1, "0 or more, and below 1"),
        }
        for name, (holds, wanted) in rules.items():
            if not holds:
                value = getattr(self, name)
                raise ValueError(f"augmentation: {name} must be {wanted}, but it is {value!r}")

    @property
    def sides(self) -> tuple[int, int, int]:
        """Height, width and channels, which are 1 where the shape has none."""
        height, width, channels = (*self.shape, 1)[:3]
        return height, width, channels

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``from_json`` reads back."""
        return asdict(self) | {"shape": list(self.shape)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Augmentation:
        """Return the settings that ``to_json`` described.

        Raises
        ------
        ValueError
            If a setting is missing, unknown or outside its range.
        """
        try:
            return cls(**(dict(record) | {"shape": tuple(record["shape"])}))
        except (KeyError, TypeError) as error:
            raise ValueError(f"these are no settings of an augmentation: {error}") from error


def augment(X: Floats, settings: Augmentation, rng: np.random.Generator) -> Floats:
    """Return the rows ``X`` (rows, features), float32 or float64, changed at random.

    ``X`` stays as it is, and the result is a new array of its dtype. A setting of 0 draws nothing
    from ``rng``.

    Raises
    ------
    ValueError
        If the rows are not images of ``settings.shape``.
    """
    if X.ndim != 2 or X.shape[1] != math.prod(settings.shape):
        raise ValueError(
            f"augmentation: images of shape {settings.shape} are rows of "
            f"{math.prod(settings.shape)} features, but X has the shape {X.shape}; give the shape "
            "of the images that X holds"
        )
    changed = np.array(X, order="C")
    images = changed.reshape(len(X), *settings.sides)
    for name, inplace_operation in OPERATIONS.items():
        strength = getattr(settings, name)
        if strength:
            inplace_operation(images, strength, rng)
    return changed


def inplace_flip(images: Floats, probability: float, rng: np.random.Generator) -> None:
    """Mirror each of ``images`` left to right with the given probability."""
    chosen = rng.random(len(images)) < probability
    images[chosen] = images[chosen, :, ::-1]


def inplace_rotation(images: Floats, largest: float, rng: np.random.Generator) -> None:
    """Turn each of ``images`` by its own angle, uniform in ±``largest`` degrees."""
    inplace_rotate(images, rng.uniform(-largest, largest, len(images)))


def inplace_crop(images: Floats, padding: int, rng: np.random.Generator) -> None:
    """Take a window at a random place of each of ``images``, padded by its edge pixels."""
    _, height, width, _ = images.shape
    sides = (0, 0), (padding, padding), (padding, padding), (0, 0)
    tops, lefts = rng.integers(2 * padding + 1, size=(2, len(images)))
    # Copies of whole lines, one image after the other, are quicker than an index for each pixel.
    for image, padded, top, left in zip(
        images, np.pad(images, sides, mode="edge"), tops, lefts, strict=True
    ):
        image[...] = padded[top : top + height, left : left + width]


def inplace_contrast(images: Floats, strength: float, rng: np.random.Generator) -> None:
    """Multiply each image's deviation from its own mean by a factor in 1 ± ``strength``."""
    factors = rng.uniform(1 - strength, 1 + strength, (len(images), 1, 1, 1))
    means = images.mean(axis=(1, 2, 3), keepdims=True)
    images -= means
    images *= factors.astype(images.dtype)
    images += means


def inplace_color(images: Floats, deviation: float, rng: np.random.Generator) -> None:
    """Add one normal number to each channel of each of ``images``."""
    shifts = rng.normal(0.0, deviation, (len(images), 1, 1, images.shape[3]))
    images += shifts.astype(images.dtype)


def inplace_noise(images: Floats, deviation: float, rng: np.random.Generator) -> None:
    """Add a normal number to every pixel."""
    noise = rng.standard_normal(images.shape, dtype=images.dtype)
    noise *= images.dtype.type(deviation)
    images += noise


def inplace_erase(images: Floats, share: float, rng: np.random.Generator) -> None:
    """Set a rectangle of each of ``images`` to 0, at a place that is uniform inside the image."""
    height, width = (max(1, round(side * math.sqrt(share))) for side in images.shape[1:3])
    tops = rng.integers(images.shape[1] - height + 1, size=len(images))
    lefts = rng.integers(images.shape[2] - width + 1, size=len(images))
    for image, top, left in zip(images, tops, lefts, strict=True):
        image[top : top + height, left : left + width] = 0


def inplace_rotate(images: Floats, degrees: NDArray[np.float64]) -> None:
    """Turn each image about its centre by ``degrees`` (rows,), anticlockwise.

    Bilinear, with the edge repeated where an image ends: `scipy.ndimage.affine_transform` with
    ``order=1, mode="nearest"``, which needs a call per image and four times as long.
    """
    size = max(1, BLOCK_PIXELS // (images.shape[1] * images.shape[2]))
    for start in range(0, len(images), size):
        block = images[start : start + size]
        y, x = _origins(block, degrees[start : start + size])
        corner = _inplace_split(y, x)
        for channel in range(block.shape[3]):
            block[..., channel] = _interpolated(block[..., channel], corner, y, x)


def _origins(images: Floats, degrees: NDArray[np.float64]) -> tuple[Floats, Floats]:
    """Where the pixels of the turned images come from: y and x, both (rows, height, width)."""
    _, height, width, _ = images.shape
    radians = np.deg2rad(degrees)[:, None, None]
    cos, sin = np.cos(radians).astype(images.dtype), np.sin(radians).astype(images.dtype)
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
    down = np.arange(height, dtype=images.dtype)[:, None] - middle_y
    right = np.arange(width, dtype=images.dtype) - middle_x
    y = (cos * down + middle_y) + sin * right
    x = (middle_x - sin * down) + cos * right
    np.clip(y, 0, height - 1, out=y)
    np.clip(x, 0, width - 1, out=x)
    return y, x


def _inplace_split(y: Floats, x: Floats) -> NDArray[np.intp]:
    """Keep of ``y`` and ``x`` (rows, height, width) what is beyond the upper left pixel.

    Returns that pixel's index among all pixels of a channel, (rows, height, width).
    """
    n_rows, height, width = y.shape
    top, left = np.floor(y), np.floor(x)
    y -= top
    x -= left
    # In floating point, exact below 2**24 pixels, because a conversion costs more than the sum.
    top *= width
    top += left
    corner = top.astype(np.intp)
    corner += np.arange(0, n_rows * height * width, height * width)[:, None, None]
    return corner


def _interpolated(plane: Floats, corner: NDArray[np.intp], y: Floats, x: Floats) -> Floats:
    """Weigh the four pixels of ``plane`` around each place; all are (rows, height, width).

    In the last row and column the pixel below or to the right is another image's, or the last one
    again where no image follows; its weight is 0.
    """
    pixels, width = plane.ravel(), plane.shape[2]
    upper, upper_right, lower, lower_right = (
        pixels.take(corner + step, mode="clip") for step in (0, 1, width, width + 1)
    )
    for left, right in ((upper, upper_right), (lower, lower_right)):
        right -= left
        right *= x
        left += right
    lower -= upper
    lower *= y
    upper += lower
    return upper


Operation = Callable[[Floats, Any, np.random.Generator], None]
"""Changes images (rows, height, width, channels) in place: images, strength, randomness."""

OPERATIONS: dict[str, Operation] = {
    "flip": inplace_flip,
    "rotation": inplace_rotation,
    "crop": inplace_crop,
    "contrast": inplace_contrast,
    "color": inplace_color,
    "noise": inplace_noise,
    "erase": inplace_erase,
}
