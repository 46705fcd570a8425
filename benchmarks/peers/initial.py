"""Initial weights for the contestants that bring no initialiser of their own."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


def he_normal(
    rng: np.random.Generator, sizes: tuple[int, ...], members: int
) -> list[NDArray[np.float32]]:
    """Weights (members, inputs, outputs) of each layer with variance 2 / inputs."""
    return [
        rng.standard_normal((members, inputs, outputs), dtype=np.float32)
        * np.float32(np.sqrt(2.0 / inputs))
        for inputs, outputs in pairwise(sizes)
    ]
