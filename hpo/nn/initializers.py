"""Initial values of the parameters, each member's from its own random state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from hpo.nn.architecture import Architecture, Floats
from hpo.nn.names import find

RandomState = int | Sequence[int]
"""Seeds one member: whatever ``numpy.random.SeedSequence`` takes as entropy."""

Weights = NDArray[np.float32]
Initializer = Callable[[np.random.Generator, int, int], Weights]
"""Generator, inputs, outputs -> weights (inputs, outputs)."""


def _zeros(_rng: np.random.Generator, inputs: int, outputs: int) -> Weights:
    """All 0: the units of a layer stay equal for ever, which is what it is there to show."""
    return np.zeros((inputs, outputs), dtype=np.float32)


def _normal(rng: np.random.Generator, inputs: int, outputs: int, deviation: float) -> Weights:
    weights = rng.standard_normal((inputs, outputs), dtype=np.float32)
    weights *= np.float32(deviation)
    return weights


def _uniform(rng: np.random.Generator, inputs: int, outputs: int, deviation: float) -> Weights:
    # A uniform distribution on (-a, a) has the deviation a / sqrt(3).
    weights = rng.random((inputs, outputs), dtype=np.float32)
    weights -= np.float32(0.5)
    weights *= np.float32(2 * np.sqrt(3) * deviation)
    return weights


def _scaled(
    rng: np.random.Generator,
    inputs: int,
    outputs: int,
    *,
    draw: Callable[[np.random.Generator, int, int, float], Weights],
    gain: float,
    outputs_count: bool = False,
) -> Weights:
    """Variance ``gain / inputs``, or ``gain / mean of inputs and outputs``."""
    fan = (inputs + outputs) / 2 if outputs_count else inputs
    return draw(rng, inputs, outputs, float(np.sqrt(gain / fan)))


def _orthogonal(rng: np.random.Generator, inputs: int, outputs: int) -> Weights:
    """Orthonormal rows or columns (Saxe et al. 2014), from the QR decomposition of a normal."""
    shape = (max(inputs, outputs), min(inputs, outputs))
    q, r = np.linalg.qr(rng.standard_normal(shape))
    q = q * np.sign(np.diag(r))  # which makes it uniform over the orthogonal matrices
    return np.ascontiguousarray(q if inputs >= outputs else q.T, dtype=np.float32)


INITIALIZERS: dict[str, Initializer] = {
    "zeros": _zeros,
    "normal": partial(_normal, deviation=0.01),
    # Glorot & Bengio 2010, equations 12 and 16.
    "xavier_normal": partial(_scaled, draw=_normal, gain=1, outputs_count=True),
    "xavier_uniform": partial(_scaled, draw=_uniform, gain=1, outputs_count=True),
    # The form that counts the inputs only, and LeCun et al. 1998, section 4.6, which is the same.
    "xavier_inputs": partial(_scaled, draw=_normal, gain=1),
    "lecun_normal": partial(_scaled, draw=_normal, gain=1),
    "lecun_uniform": partial(_scaled, draw=_uniform, gain=1),
    # He et al. 2015, equation 10.
    "he_normal": partial(_scaled, draw=_normal, gain=2),
    "he_uniform": partial(_scaled, draw=_uniform, gain=2),
    "orthogonal": _orthogonal,
}


_NATURAL = dict.fromkeys(
    ("relu", "leaky_relu", "elu", "gelu", "silu", "mish", "softplus"), "he_normal"
) | {"selu": "lecun_normal"}


def natural_initializer(activation: str) -> str:
    """The initial values that go with an activation.

    He's where half of it is cut off, LeCun's for selu, which normalises itself, and Xavier's
    uniform for any other.
    """
    return _NATURAL.get(activation, "xavier_uniform")


def find_initializer(name: str) -> Initializer:
    """An initializer by its name; ``normal:0.05`` is a normal with that deviation."""
    kind, colon, deviation = name.partition(":")
    if colon and kind == "normal":
        try:
            value = float(deviation)
        except ValueError:
            value = -1.0
        if not (0 < value < np.inf):
            raise ValueError(f"normal:DEVIATION needs a number above 0, got {name!r}")
        return partial(_normal, deviation=value)
    return find(INITIALIZERS, name, "initializer")


def initial_params(
    architecture: Architecture,
    random_states: Sequence[RandomState],
    initializers: str | Sequence[str] = "he_normal",
) -> Weights:
    """Weights by ``initializers`` (one for all or one for each member), shape (members, n_params).

    Biases are 0; normalisation starts with scale 1, shift 0, mean 0 and variance 1. A member's
    values depend on its own entries alone, never on its place.
    """
    if isinstance(initializers, str):
        initializers = [initializers] * len(random_states)
    if len(initializers) != len(random_states):
        raise ValueError(f"{len(initializers)} initializers for {len(random_states)} members")
    flat = np.zeros((len(random_states), architecture.n_params), dtype=np.float32)
    for member, (state, name) in enumerate(zip(random_states, initializers, strict=True)):
        rng = np.random.default_rng(np.random.SeedSequence(state))
        _inplace_initialize(architecture, flat[member : member + 1], find_initializer(name), rng)
    return flat


def _inplace_initialize(
    architecture: Architecture, flat: Floats, initializer: Initializer, rng: np.random.Generator
) -> None:
    for layer in architecture.layers(flat):
        layer.weights[0] = initializer(rng, *layer.weights.shape[1:])
        layer.scale[...] = 1
    for moving in architecture.moving(flat):
        moving.variance[...] = 1
