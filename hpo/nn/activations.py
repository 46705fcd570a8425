"""Hidden activations: name -> (forward, in-place derivative).

Every function works on arrays of any shape. ``scratch`` is a buffer of the same shape whose
contents mean nothing; with it nothing has to be allocated where time is spent.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np

from hpo.nn.architecture import Floats

LEAK = 0.01
"""Slope of leaky ReLU below 0 (Maas et al. 2013)."""

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
"""Klambauer et al. 2017, equation 14: the fixed point is mean 0 and variance 1."""

GELU_SLOPE, GELU_CUBE = float(np.sqrt(2 / np.pi)), 0.044715
"""Hendrycks & Gimpel 2016, section 2: the tanh form."""


class Activation(NamedTuple):
    """An activation and its derivative.

    ``apply(z, out)`` writes the activations of the pre-activations ``z`` to ``out``, which is
    ``z`` itself unless ``from_input``. ``inplace_derivative(kept, delta, scratch)`` multiplies
    ``delta`` by the derivative; ``kept`` is ``out``, or ``z`` if ``from_input``.
    """

    apply: Callable[[Floats, Floats], None]
    inplace_derivative: Callable[[Floats, Floats, Floats], None]
    from_input: bool = False
    trainable: bool = True


_INTEGERS = {size: np.dtype(f"i{size}") for size in (2, 4, 8)}


@lru_cache(maxsize=64)
def _zeros(shape: tuple[int, ...], dtype: Any) -> Floats:
    """Zeros to compare with; NumPy compares with an array quicker than with a number."""
    return np.zeros(shape, dtype=dtype)


def step(z: Floats, out: Floats) -> None:
    """Heaviside's function: 1 above 0, else 0; has no useful derivative."""
    np.greater(z, 0, out=out, casting="unsafe")


def identity(z: Floats, out: Floats) -> None:
    """``out <- z``."""
    if out is not z:
        np.copyto(out, z)


def _sigmoid(z: Floats, out: Floats) -> None:
    # Not np.negative, which NumPy 2.4 gets wrong in place where elements are 16 bytes apart.
    np.multiply(z, -1, out=out)
    np.exp(out, out=out)
    out += 1
    np.reciprocal(out, out=out)


def _sigmoid_derivative(a: Floats, delta: Floats, scratch: Floats) -> None:
    np.subtract(1, a, out=scratch)
    delta *= a
    delta *= scratch


def _tanh(z: Floats, out: Floats) -> None:
    np.tanh(z, out=out)


def _tanh_derivative(a: Floats, delta: Floats, scratch: Floats) -> None:
    np.multiply(a, a, out=scratch)
    np.subtract(1, scratch, out=scratch)
    delta *= scratch


def _relu(z: Floats, out: Floats) -> None:
    np.maximum(z, _zeros(z.shape[1:], z.dtype), out=out)


def _relu_derivative(a: Floats, delta: Floats, scratch: Floats) -> None:
    """``delta <- delta * [a > 0]``; the derivative at 0 is taken as 0."""
    # Seen as integers, outputs above 0 are positive and 0 is 0, so that their signs are 1 and 0,
    # and times 1 or 0 the bits of a number stay or go. With floating-point numbers or booleans the
    # same takes twice as long or longer.
    integers = _INTEGERS[a.itemsize]
    signs, bits = scratch.view(integers), delta.view(integers)
    np.sign(a.view(integers), out=signs)
    np.multiply(bits, signs, out=bits)


def _leaky_relu(z: Floats, out: Floats) -> None:
    np.maximum(z, z * LEAK, out=out)


def _leaky_relu_derivative(a: Floats, delta: Floats, scratch: Floats) -> None:
    np.greater(a, 0, out=scratch, casting="unsafe")
    scratch *= 1 - LEAK
    scratch += LEAK
    delta *= scratch


def _elu(z: Floats, out: Floats, scale: float = 1.0, alpha: float = 1.0) -> None:
    """``scale * (z if z > 0 else alpha * (exp(z) - 1))``."""
    below = np.expm1(np.minimum(z, 0))
    below *= alpha
    np.maximum(z, 0, out=out)
    out += below
    if scale != 1:
        out *= scale


def _elu_derivative(
    a: Floats, delta: Floats, scratch: Floats, scale: float = 1.0, alpha: float = 1.0
) -> None:
    # Below 0 the derivative is scale * alpha * exp(z) = a + scale * alpha.
    np.minimum(a, 0, out=scratch)
    scratch += scale * alpha
    scratch[a > 0] = scale
    delta *= scratch


GELU_END = 64.0
"""Far beyond where tanh is 1 in any precision, and its cube far from any overflow."""


def _gelu_tanh(z: Floats) -> Floats:
    inner = z * z
    inner *= GELU_CUBE
    inner += 1
    inner *= z
    inner *= GELU_SLOPE
    return np.asarray(np.tanh(inner, out=inner))


def _gelu(z: Floats, out: Floats) -> None:
    curve = _gelu_tanh(z)
    curve += 1
    curve *= 0.5
    np.multiply(z, curve, out=out)


def _gelu_derivative(z: Floats, delta: Floats, scratch: Floats) -> None:
    z = np.clip(z, -GELU_END, GELU_END)
    curve = _gelu_tanh(z)
    np.multiply(z, z, out=scratch)
    scratch *= 3 * GELU_CUBE
    scratch += 1
    scratch *= GELU_SLOPE / 2
    scratch *= z
    scratch *= 1 - curve * curve
    curve += 1
    curve *= 0.5
    scratch += curve
    delta *= scratch


def _silu(z: Floats, out: Floats) -> None:
    _sigmoid(z, out)
    out *= z


def _silu_derivative(z: Floats, delta: Floats, scratch: Floats) -> None:
    """``s(z) * (1 + z * (1 - s(z)))`` (Elfwing et al. 2018, equation 12)."""
    gate = np.empty_like(z)
    _sigmoid(z, gate)
    np.subtract(1, gate, out=scratch)
    scratch *= z
    scratch += 1
    scratch *= gate
    delta *= scratch


def _softplus(z: Floats, out: Floats) -> None:
    """``log(1 + exp(z))`` in a form that cannot overflow."""
    tail = np.abs(z)
    np.negative(tail, out=tail)
    np.exp(tail, out=tail)
    np.log1p(tail, out=tail)
    np.maximum(z, 0, out=out)
    out += tail


def _softplus_derivative(z: Floats, delta: Floats, scratch: Floats) -> None:
    _sigmoid(z, scratch)
    delta *= scratch


def _mish(z: Floats, out: Floats) -> None:
    """``z * tanh(softplus(z))`` (Misra 2019)."""
    _softplus(z, out)
    np.tanh(out, out=out)
    out *= z


def _mish_derivative(z: Floats, delta: Floats, scratch: Floats) -> None:
    gate = np.empty_like(z)
    _softplus(z, gate)
    np.tanh(gate, out=gate)
    _sigmoid(z, scratch)
    scratch *= z
    scratch *= 1 - gate * gate
    scratch += gate
    delta *= scratch


def _identity_derivative(_a: Floats, _delta: Floats, _scratch: Floats) -> None:
    """The derivative is 1."""


ACTIVATIONS: dict[str, Activation] = {
    "step": Activation(step, _identity_derivative, trainable=False),
    "identity": Activation(identity, _identity_derivative),
    "sigmoid": Activation(_sigmoid, _sigmoid_derivative),
    "tanh": Activation(_tanh, _tanh_derivative),
    "relu": Activation(_relu, _relu_derivative),
    "leaky_relu": Activation(_leaky_relu, _leaky_relu_derivative),
    "elu": Activation(_elu, _elu_derivative),
    "selu": Activation(
        partial(_elu, scale=SELU_SCALE, alpha=SELU_ALPHA),
        partial(_elu_derivative, scale=SELU_SCALE, alpha=SELU_ALPHA),
    ),
    "gelu": Activation(_gelu, _gelu_derivative, from_input=True),
    "silu": Activation(_silu, _silu_derivative, from_input=True),
    "softplus": Activation(_softplus, _softplus_derivative, from_input=True),
    "mish": Activation(_mish, _mish_derivative, from_input=True),
}
