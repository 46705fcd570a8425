"""What a member costs, and an ensemble: time to predict, and memory.

An ensemble that is fitted is a model like its members, so `cost` measures it likewise; of members
that are chosen from many, `cost_of_selection` adds up what is known of each.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import _num_samples

from ensembles.losses import Values

KINDS = ("milliseconds", "bytes")
"""The columns of `costs`."""

CALLS = 5

Ask = Callable[[Any, Any], Any]
"""A model and rows -> what it predicts for them."""

LEAVES = (
    str,
    bytes,
    bool,
    int,
    float,
    complex,
    np.generic,
    type,
    ModuleType,
    FunctionType,
    BuiltinFunctionType,
    MethodType,
)
"""What no model's numbers are looked for in: values, and code, which models share."""


@dataclass(frozen=True)
class Cost:
    """``milliseconds`` to predict 1,000 rows, and ``n_bytes`` of memory."""

    milliseconds: float
    n_bytes: int


def cost(
    model: Any,
    X: Any,
    *,
    ask: Ask | None = None,
    calls: int = CALLS,
    clock: Callable[[], float] = time.perf_counter,
    size: Callable[[Any], int] | None = None,
) -> Cost:
    """What a fitted model costs.

    Parameters
    ----------
    model : the fitted model
    X : rows that are predicted, as many as usually come at once: a call has a price of its own
    ask : how it is asked; None: by ``predict_proba`` if there is one, else by ``predict``
    calls : how often; the median counts, so that neither a first call that loads something nor a
        busy machine decides
    clock : seconds, of which only differences are used
    size : bytes of a model; None for `array_bytes`

    Raises
    ------
    ValueError
        If there are no rows or no calls.
    """
    rows = int(_num_samples(X))
    if not rows:
        raise ValueError("there are no rows to predict: give X as many as usually come at once")
    if calls < 1:
        raise ValueError(f"calls must be at least 1, got {calls}")
    asked = predicted if ask is None else ask
    seconds = []
    for _ in range(calls):
        start = clock()
        asked(model, X)
        seconds.append(clock() - start)
    # Milliseconds of a thousand rows.
    per_row = float(np.median(seconds)) / rows
    return Cost(per_row * 1e6, (array_bytes if size is None else size)(model))


def costs(
    models: Iterable[Any],
    X: Any,
    *,
    ask: Ask | None = None,
    calls: int = CALLS,
    clock: Callable[[], float] = time.perf_counter,
    size: Callable[[Any], int] | None = None,
) -> Values:
    """`cost` of each model, (members, 2) in the order of `KINDS`.

    As `ensembles.combining.Greedy` takes them together with a budget.
    """
    found = [cost(each, X, ask=ask, calls=calls, clock=clock, size=size) for each in models]
    return np.array([(each.milliseconds, each.n_bytes) for each in found]).reshape(-1, 2)


def cost_of_selection(known: NDArray[Any], weights: NDArray[Any]) -> Values:
    """The sum over members whose weight is not 0, (kinds,), each counted once.

    Parameters
    ----------
    known : (members, kinds) costs
    weights : (members,)

    An array that members share is counted for each of them; `array_bytes` of all of them does not.
    """
    total: Values = np.asarray(known, np.float64)[np.asarray(weights) != 0].sum(axis=0)
    return total


def predicted(model: Any, X: Any) -> Any:
    """Probabilities if the model has some, else what it predicts."""
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


def array_bytes(*models: Any) -> int:
    """The bytes of all arrays that can be reached from ``models``, each counted once.

    Looked for are the attributes of objects, what is inside of containers, and the state of objects
    that are compiled, such as scikit-learn's trees. A view counts as the whole array that it keeps
    alive. It is an estimate from below, as all else is left out: a few numbers, names, code, and
    what a compiled object does not tell.
    """
    sizes: dict[int, int] = {}
    waiting, seen = list(models), {}
    while waiting:
        thing = waiting.pop()
        if thing is None or isinstance(thing, LEAVES) or id(thing) in seen:
            continue
        seen[id(thing)] = thing  # Kept, so that no other object gets its id.
        if isinstance(thing, np.ndarray):
            owner = _owner(thing)
            place = int(owner.__array_interface__["data"][0])
            sizes[place] = max(sizes.get(place, 0), owner.nbytes)
        waiting.extend(_parts(thing))
    return sum(sizes.values())


def _owner(array: NDArray[Any]) -> NDArray[Any]:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _parts(thing: Any) -> Sequence[Any]:
    """The objects that ``thing`` is made of."""
    if isinstance(thing, np.ndarray):
        return list(thing.flat) if thing.dtype == object else []
    if isinstance(thing, Mapping):
        return list(thing.values())
    if isinstance(thing, list | tuple | set | frozenset | deque):
        return list(thing)
    # What Python itself knows of an object: attributes and slots, whatever it makes of them when
    # it is stored. Compiled ones have neither, but some tell their state.
    state = object.__getstate__(thing)
    if state is None:
        try:
            state = thing.__getstate__()
        except (TypeError, NotImplementedError):  # of what cannot be stored
            return []
    return [state]
