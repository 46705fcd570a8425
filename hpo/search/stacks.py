"""What is to be trained, as stacks: the networks of one recipe, as many as are quick together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

from hpo.search.problem import Problem
from hpo.search.recipe import Recipe

STACK_BYTES = 1 << 28
"""Bounds the memory of one stack."""

MOST_MEMBERS = 64
"""More members than this do not make a stack quicker."""


class HasParams(Protocol):
    """A network to be trained with these hyperparameters."""

    @property
    def params(self) -> Mapping[str, Any]:
        """Name to value."""


ToTrain = TypeVar("ToTrain", bound=HasParams)


def stacks(
    problem: Problem, wanted: Sequence[ToTrain], n_workers: int, n_networks: int = 1
) -> list[list[ToTrain]]:
    """What is to be trained as stacks of one recipe each, for so many processes.

    Each is ``n_networks`` networks, which share a stack. What takes longest comes first, so that no
    process waits long for another at the end.
    """
    groups: dict[Recipe, list[ToTrain]] = {}
    for each in wanted:
        groups.setdefault(problem.recipe.of(each.params), []).append(each)
    found: list[tuple[int, list[ToTrain]]] = []
    for recipe, group in groups.items():
        share = -(-n_workers // len(groups))
        size = stack_size(problem, recipe, len(group), share, n_networks)
        work = recipe.settings.epochs * recipe.architecture.n_params
        for start in range(0, len(group), size):
            stack = group[start : start + size]
            found.append((work * len(stack), stack))
    return [stack for _, stack in sorted(found, key=lambda each: -each[0])]


def stack_size(
    problem: Problem, recipe: Recipe, n_slots: int, n_workers: int, n_networks: int = 1
) -> int:
    """How many slots train as one stack, if so many are spread over so many processes.

    Each is ``n_networks`` networks.
    """
    fitting = min(MOST_MEMBERS, STACK_BYTES // problem.member_bytes(recipe))
    largest = max(1, fitting // n_networks)
    # As many for every process, so that none waits long for another.
    each = math.ceil(n_slots / n_workers)
    return math.ceil(each / math.ceil(each / largest))
