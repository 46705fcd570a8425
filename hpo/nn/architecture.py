"""The shape of a network, and where each layer stands in the flat parameter buffer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
BatchNorm = Literal["none", "before", "after"]


class Layer(NamedTuple):
    """Views of one layer in a flat buffer.

    Shapes: ``matrix`` (members, inputs + 1, outputs). Its last row holds the biases: inputs that
    end with a 1 meet both in one product. ``scale`` and ``shift`` (members, 1, outputs) belong to
    batch normalisation and are empty without it.
    """

    matrix: Floats
    scale: Floats
    shift: Floats

    @property
    def weights(self) -> Floats:
        """What decay and penalties touch, (members, inputs, outputs)."""
        return self.matrix[:, :-1]

    @property
    def biases(self) -> Floats:
        """Shape (members, 1, outputs)."""
        return self.matrix[:, -1:]


class Moving(NamedTuple):
    """Views of a layer's moving mean and variance, (members, 1, outputs) each."""

    mean: Floats
    variance: Floats


@dataclass(frozen=True)
class Head:
    """One target of a network: its outputs, its loss, and the loss's weight in the sum."""

    n_outputs: int
    loss: str = "cross_entropy"
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.n_outputs < 1:
            raise ValueError(f"a head needs at least one output, got {self.n_outputs}")
        if not (math.isfinite(self.weight) and self.weight > 0):
            raise ValueError(f"a head's weight must be a number above 0, got {self.weight}")


@dataclass(frozen=True)
class Architecture:
    """What all members of a stack share: layer sizes, hidden activation, normalisation, heads.

    A stack keeps its numbers in one buffer of shape (members, n_params): layer by layer the
    weights, the biases and what batch normalisation learns, so that frozen layers are a prefix;
    then, untouched by the optimiser, the moving statistics of batch normalisation.
    """

    n_inputs: int
    hidden: tuple[int, ...]
    heads: tuple[Head, ...]
    activation: str = "relu"
    batch_norm: BatchNorm = "none"

    def __post_init__(self) -> None:
        if not self.heads:
            raise ValueError("a network needs at least one head")
        if min(self.sizes) < 1:
            raise ValueError(f"every layer needs at least one unit, got sizes {self.sizes}")
        if self.batch_norm not in ("none", "before", "after"):
            raise ValueError(f"batch_norm is none, before or after, not {self.batch_norm!r}")

    @property
    def n_outputs(self) -> int:
        """Outputs of all heads together."""
        return sum(head.n_outputs for head in self.heads)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of each layer, from the inputs to the outputs."""
        return (self.n_inputs, *self.hidden, self.n_outputs)

    @cached_property
    def head_slices(self) -> tuple[slice, ...]:
        """Where each head stands among the outputs."""
        ends = accumulate((head.n_outputs for head in self.heads), initial=0)
        return tuple(slice(start, stop) for start, stop in pairwise(ends))

    @cached_property
    def layer_starts(self) -> tuple[int, ...]:
        """Where each layer begins in the flat buffer, and where the last one ends."""
        normalised = [*(self.batch_norm != "none" for _ in self.hidden), False]
        lengths = [
            (inputs + 1 + 2 * norm) * outputs
            for (inputs, outputs), norm in zip(pairwise(self.sizes), normalised, strict=True)
        ]
        return tuple(accumulate(lengths, initial=0))

    @property
    def n_trainable(self) -> int:
        """Numbers of one member that the optimiser changes."""
        return self.layer_starts[-1]

    @property
    def n_params(self) -> int:
        """All numbers of one member."""
        moving = 0 if self.batch_norm == "none" else 2 * sum(self.hidden)
        return self.n_trainable + moving

    def layers(self, flat: Floats) -> list[Layer]:
        """Views of every layer in ``flat``, whose rows have n_params or n_trainable numbers."""
        members = flat.shape[0]
        layers = []
        for (start, stop), (inputs, outputs) in zip(
            pairwise(self.layer_starts), pairwise(self.sizes), strict=True
        ):
            split = start + (inputs + 1) * outputs
            matrix = flat[:, start:split].reshape(members, inputs + 1, outputs)
            norm = flat[:, None, split:stop]
            middle = (stop - split) // 2
            layers.append(Layer(matrix, norm[..., :middle], norm[..., middle:]))
        return layers

    def moving(self, flat: Floats) -> list[Moving]:
        """Views of the moving statistics of every hidden layer; none without normalisation."""
        if self.batch_norm == "none":
            return []
        ends = accumulate((2 * units for units in self.hidden), initial=self.n_trainable)
        return [
            Moving(*np.split(flat[:, None, start:stop], 2, axis=2))
            for start, stop in pairwise(ends)
        ]

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``from_json`` reads back."""
        return asdict(self) | {
            "hidden": list(self.hidden),
            "heads": [asdict(head) for head in self.heads],
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Architecture:
        """The architecture that ``to_json`` described."""
        heads = tuple(Head(**head) for head in record["heads"])
        return cls(**(dict(record) | {"hidden": tuple(record["hidden"]), "heads": heads}))
