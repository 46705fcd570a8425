"""Hidden activations: name -> (in-place forward, in-place derivative)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from hpo.nn.architecture import Floats


class Activation(NamedTuple):
    """An activation whose derivative can be told from its output.

    ``apply_inplace(z)`` overwrites pre-activations by activations; ``inplace_derivative(a, delta)``
    multiplies ``delta`` by the derivative at the outputs ``a``. Any shape.
    """

    apply_inplace: Callable[[Floats], None]
    inplace_derivative: Callable[[Floats, Floats], None]


def inplace_relu(z: Floats) -> None:
    """``z <- max(z, 0)``."""
    np.maximum(z, 0, out=z)


def inplace_relu_derivative(a: Floats, delta: Floats) -> None:
    """``delta <- delta * [a > 0]``; the derivative at 0 is taken as 0."""
    np.multiply(delta, a > 0, out=delta)


ACTIVATIONS = {"relu": Activation(inplace_relu, inplace_relu_derivative)}
