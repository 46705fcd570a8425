"""The shape of a network, and where each layer stands in the flat parameter buffer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


class Layer(NamedTuple):
    """Views of one layer in a flat buffer.

    Shapes: ``weights`` (members, inputs, outputs), ``biases`` (members, 1, outputs).
    """

    weights: Floats
    biases: Floats


@dataclass(frozen=True)
class Architecture:
    """What all members of a stack share: layer sizes, hidden activation, loss.

    A stack keeps its parameters in one buffer of shape (members, n_params): the weights of every
    layer first, then the biases of every layer, so that weight decay touches one slice.
    """

    n_inputs: int
    hidden: tuple[int, ...]
    n_outputs: int
    activation: str = "relu"
    loss: str = "cross_entropy"

    def __post_init__(self) -> None:
        if min((self.n_inputs, *self.hidden, self.n_outputs)) < 1:
            raise ValueError(f"every layer needs at least one unit, got sizes {self.sizes}")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of each layer, from the inputs to the outputs."""
        return (self.n_inputs, *self.hidden, self.n_outputs)

    @property
    def n_weights(self) -> int:
        """Parameters of one member that weight decay touches."""
        return sum(inputs * outputs for inputs, outputs in pairwise(self.sizes))

    @property
    def n_params(self) -> int:
        """All parameters of one member."""
        return self.n_weights + sum(self.sizes[1:])

    def layers(self, flat: Floats) -> list[Layer]:
        """Views of every layer in ``flat``, a buffer of shape (members, n_params)."""
        members = flat.shape[0]
        layers, weight, bias = [], 0, self.n_weights
        for inputs, outputs in pairwise(self.sizes):
            matrix = flat[:, weight : weight + inputs * outputs].reshape(members, inputs, outputs)
            vector = flat[:, bias : bias + outputs].reshape(members, 1, outputs)
            layers.append(Layer(matrix, vector))
            weight += inputs * outputs
            bias += outputs
        return layers

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``from_json`` reads back."""
        return asdict(self) | {"hidden": list(self.hidden)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Architecture:
        """The architecture that ``to_json`` described."""
        return cls(**(dict(record) | {"hidden": tuple(record["hidden"])}))
