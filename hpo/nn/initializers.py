"""Initial values of the parameters, each member's from its own random state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hpo.nn.architecture import Architecture

RandomState = int | Sequence[int]
"""Seeds one member: whatever ``numpy.random.SeedSequence`` takes as entropy."""


def he_normal(rng: np.random.Generator, inputs: int, outputs: int) -> NDArray[np.float32]:
    """Weights (inputs, outputs) with variance 2 / inputs, for ReLU (He et al. 2015, eq. 10)."""
    weights = rng.standard_normal((inputs, outputs), dtype=np.float32)
    weights *= np.float32(np.sqrt(2.0 / inputs))
    return weights


def initial_params(
    architecture: Architecture, random_states: Sequence[RandomState]
) -> NDArray[np.float32]:
    """He-normal weights and zero biases, shape (members, n_params).

    A member's values depend on its own entry of ``random_states`` alone, never on its place.
    """
    flat = np.zeros((len(random_states), architecture.n_params), dtype=np.float32)
    for member, state in enumerate(random_states):
        rng = np.random.default_rng(np.random.SeedSequence(state))
        for layer in architecture.layers(flat[member : member + 1]):
            layer.weights[0] = he_normal(rng, *layer.weights.shape[1:])
    return flat
