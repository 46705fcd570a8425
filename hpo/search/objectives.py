"""What a network costs, for searches that want more than a good score.

A cost belongs to the shape of a network and not to its weights, so it is found once for each shape.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution

from hpo.nn.architecture import Architecture, Floats
from hpo.nn.initializers import initial_params
from hpo.nn.network import predict
from hpo.search.evaluation import Outcome, Slot
from hpo.search.pruning import Judge
from hpo.search.recipe import Recipe

LATENCY_ROWS = 1000
"""Rows of the block that a network is timed with."""

LATENCY_SECONDS = 0.2
"""How long a shape is timed, if that is enough for `LEAST_TIMES`."""

LEAST_TIMES = 5


def size(architecture: Architecture, _X: Floats) -> float:
    """How many numbers a network of this shape keeps: weights, biases, and batch normalisation."""
    return float(architecture.n_params)


def latency(architecture: Architecture, X: Floats) -> float:
    """Milliseconds in which one thread predicts `LATENCY_ROWS` rows like those of ``X``.

    The least of as many times as `LATENCY_SECONDS` have room for: what else runs on the machine can
    only make it longer. It is measured, so never quite the same. A block is timed because the time
    of one row is that of the calls, whatever the shape. The weights do not matter, and are drawn.
    """
    rows = np.resize(X, (LATENCY_ROWS, X.shape[1]))
    params = initial_params(architecture, [0])
    predict(architecture, params, rows)  # the first time is slower
    times: list[float] = []
    end = time.perf_counter() + LATENCY_SECONDS
    while len(times) < LEAST_TIMES or time.perf_counter() < end:
        start = time.perf_counter()
        predict(architecture, params, rows)
        times.append(time.perf_counter() - start)
    return round(1000 * min(times), 4)


COSTS: Mapping[str, Callable[[Architecture, Floats], float]] = {"size": size, "latency": latency}
"""What can be an objective besides the score, by name; the smaller the better."""

Known = Mapping[Architecture, tuple[float, ...]]


def nothing_known() -> Known:
    """Of a study without trials."""
    return {}


@dataclass
class Costs:
    """The costs ``names`` of network shapes, each found when it is first asked for.

    ``X`` (rows, features) are rows to be predicted; ``stored`` returns what a study holds already,
    which is never measured again.
    """

    names: Sequence[str]
    X: Floats
    stored: Callable[[], Known] = nothing_known
    _found: dict[Architecture, tuple[float, ...]] = field(default_factory=dict)

    def of(self, architecture: Architecture) -> tuple[float, ...]:
        """The costs of networks of this shape, in the order of the names."""
        if architecture not in self._found:
            self._found |= self.stored()
        if architecture not in self._found:
            found = (COSTS[name](architecture, self.X) for name in self.names)
            self._found[architecture] = tuple(found)
        return self._found[architecture]


def with_costs(
    evaluate: Callable[[Sequence[Slot], Judge | None], Iterable[list[Outcome]]],
    recipe: Recipe,
    costs: Costs,
) -> Callable[[Sequence[Slot], Judge | None], Iterable[list[Outcome]]]:
    """``evaluate``, with the costs of each network in its outcome."""

    def evaluate_and_add(
        slots: Sequence[Slot], judge: Judge | None = None
    ) -> Iterable[list[Outcome]]:
        # Before workers are started, which would slow down what is timed here.
        found = {slot.number: costs.of(recipe.of(slot.params).architecture) for slot in slots}
        for outcomes in evaluate(slots, judge):
            yield [replace(each, costs=found[each.number]) for each in outcomes]

    return evaluate_and_add


def check_costs_differ(
    names: Iterable[str], recipe: Recipe, space: Mapping[str, BaseDistribution]
) -> None:
    """Raise ``ValueError`` if a cost is the same for all networks of the space. One line."""
    shapes = _shapes(recipe, space)
    for name in names:
        alike = {each.n_params for each in shapes} if name == "size" else shapes
        if len(alike) == 1:
            raise ValueError(
                f"objective {name}: all networks of this space have the same shape; tune it, with "
                "--space 'hidden=16|32|64,64' say"
            )


def _shapes(recipe: Recipe, space: Mapping[str, BaseDistribution]) -> set[Architecture]:
    """The shape of every network of the space."""
    names = [name for name in ("hidden", "activation", "batch_norm") if name in space]
    choices: list[Sequence[Any]] = [getattr(space[name], "choices", ()) for name in names]
    combined = itertools.product(*choices)
    return {recipe.of(dict(zip(names, each, strict=True))).architecture for each in combined}
