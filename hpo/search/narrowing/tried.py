"""The points that a study has tried, as a tree.

An objective may ask for other parameters after other values, so no list of all points exists
beforehand. In the tree, each node is a parameter that trials were asked for after the same values,
and below it stands a node for each value that came. A branch in which nothing is left to try is
full: a trial ended there, or every value of its parameter leads to a full branch. A range without a
grid is never full.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Hashable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState

from .box import Choices
from .scale import Numerical, Range
from .untried import MOST_LISTED, size_of, values_of


def has_few_values(distribution: BaseDistribution) -> bool:
    """Return whether a parameter has so few values that chance repeats them."""
    return size_of(distribution) <= MOST_LISTED


def open_values(
    distribution: BaseDistribution, left: Range | Choices | None, full: AbstractSet[Hashable]
) -> list[Any]:
    """Return the values that are left of a parameter and not `full`, as `key_of`, in order."""
    if isinstance(distribution, CategoricalDistribution):
        pairs = _pairs(distribution, left)
    else:
        pairs = _pairs_of_numbers(distribution, left)
    return [value for key, value in pairs if key not in full]


def _pairs(
    distribution: BaseDistribution, left: Range | Choices | None
) -> list[tuple[Hashable, Any]]:
    return [(key_of(distribution, each), each) for each in values_of(distribution, left)]


# Thousands of numbers are not written out for each trial. Choices are few, and no key: 1 is True.
_pairs_of_numbers = lru_cache(maxsize=64)(_pairs)


def key_of(distribution: BaseDistribution, value: Any) -> Hashable:
    """Return what tells the values of a parameter apart that has few."""
    if isinstance(distribution, CategoricalDistribution):
        return int(distribution.to_internal_repr(value))
    assert isinstance(distribution, Numerical)
    # The same value of a grid may come with another last digit.
    return float(value if distribution.step is None else round(value / distribution.step, 6))


_ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(slots=True)
class _Node:
    """The trials that share some values, by the parameter ``name`` that they were asked for next.

    ``size`` is how many values that has, ``full`` those with nothing left to try; ``ended`` says
    whether one was asked for nothing more.
    """

    trials: list[FrozenTrial] = field(default_factory=list)
    name: str | None = None
    size: float = math.inf
    branches: dict[Hashable, _Node] = field(default_factory=dict)
    full: set[Hashable] = field(default_factory=set)
    ended: bool = False

    def is_full(self) -> bool:
        return self.ended or 0 < self.size <= len(self.full)


class Tried:
    """The tree of one study. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._root = _Node()
        self._finished: set[int] = set()
        self._since = 0
        self._shapes: set[frozenset[str]] = set()
        # Those that run, with the number of parameters that they had when they were entered.
        self._running: dict[int, int] = {}

    def full(
        self, trials: Sequence[FrozenTrial], trial: FrozenTrial, name: str
    ) -> AbstractSet[Hashable]:
        """Return the values of the parameter `name`, as `key_of`, with nothing left to try.

        Parameters
        ----------
        trials
            All of the study. What still runs, or failed, counts if it has the parameters of a
            finished one and so, it seems, its whole point.
        trial
            The one that is asked for the parameter, with the values that it has got already.
        """
        with self._lock:
            news = [each for each in self._news(trials) if each.number != trial.number]
            if any(
                self._running.get(each.number, len(each.params)) < len(each.params) for each in news
            ):
                # One was asked for more after it had been taken for whole.
                self._forget()
                news = [each for each in trials if each.number != trial.number]
            for each in news:
                self._learn(each)
            node = self._find(trial, name)
            return frozenset() if node is None else frozenset(node.full)

    def _news(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Return the trials that were not known to have finished."""
        while self._since in self._finished:
            self._since += 1
        # Trials come in the order of their numbers, and none is missing.
        in_order = 0 < self._since < len(trials) and trials[self._since].number == self._since
        later = trials[self._since :] if in_order else trials
        return [each for each in later if each.number not in self._finished]

    def _learn(self, trial: FrozenTrial) -> None:
        """Enter a trial that has its whole point."""
        shape = frozenset(trial.params)
        if trial.state in _ENDED:
            self._finished.add(trial.number)
            self._shapes.add(shape)
        elif trial.state == TrialState.WAITING or shape not in self._shapes:
            # What failed early would have been asked for more.
            return
        elif trial.state == TrialState.FAIL:
            self._finished.add(trial.number)
        if self._running.setdefault(trial.number, -1) < 0 and trial.params:
            _add(self._root, trial, trial.params)
        self._running[trial.number] = len(trial.params)
        if trial.number in self._finished:
            del self._running[trial.number]

    def _find(self, trial: FrozenTrial, name: str) -> _Node | None:
        """Return the node of a parameter after a trial's values; None if nobody was there."""
        node: _Node | None = self._root
        left = dict(trial.params)
        while node is not None and node.name is not None:
            if node.name not in left and node.name != (wanted := next(iter(left), name)):
                # A trial that was added by hand had its parameters in another order.
                _rearrange(node, wanted, trial.params.keys() - left.keys())
            if node.name == name and not left:
                return node
            value = left.pop(node.name)
            node = node.branches.get(key_of(trial.distributions[node.name], value))
        return None


def _add(node: _Node, trial: FrozenTrial, params: Mapping[str, Any]) -> None:
    """Enter a trial below a node, where it has these parameters."""
    left = dict(params)
    path: list[tuple[_Node, Hashable]] = []
    node.trials.append(trial)
    while left:
        if node.name is None:
            node.name, node.size = next(iter(left)), 0
        if node.name not in left:
            break  # another objective's, which says nothing of this one
        distribution = trial.distributions[node.name]
        if not has_few_values(distribution):
            node.size = math.inf
            break
        node.size = max(node.size, size_of(distribution))
        key = key_of(distribution, left.pop(node.name))
        path.append((node, key))
        node = node.branches.setdefault(key, _Node())
        node.trials.append(trial)
    else:
        node.ended = True
    for above, key in reversed(path):
        if not above.branches[key].is_full():
            break
        above.full.add(key)


def _rearrange(node: _Node, name: str, above: Iterable[str]) -> None:
    """Let a node be that of another parameter of its trials; ``above`` stand those before it."""
    trials, done = node.trials, set(above)
    node.trials, node.branches, node.full, node.ended = [], {}, set(), False
    node.name, node.size = name, 0
    for trial in trials:
        rest = {each: value for each, value in trial.params.items() if each not in done}
        _add(node, trial, rest)
