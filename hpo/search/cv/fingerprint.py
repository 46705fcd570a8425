"""Texts that tell one search from another, the same in every process.

Python's own `hash` and `repr` will not do: the one is salted, the other shows addresses.
"""

import hashlib
import pickle
import re
from collections.abc import Mapping
from functools import singledispatch
from typing import Any

import joblib
import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from scipy import sparse
from sklearn.base import BaseEstimator

Fingerprint = dict[str, str]
"""What a search is fixed by -> what it is, in a line of text."""

_LONGEST = 120
"""Characters that are kept as they are; of a longer text the beginning and a digest are."""

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


@singledispatch
def describe(value: Any) -> str:
    """Return a text that is equal for equal values, and practically only for those.

    Estimators are their class and parameters, classes and functions their names (a change inside
    of a function goes unseen), arrays, frames and whatever else can be pickled a hash of their
    contents.
    """
    if hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    if sparse.issparse(value):
        # Whether its indices are known to be sorted is found out, and kept, while it is used.
        found = value.tocoo()
        value_hash = _hash((value.format, value.shape, found.row, found.col, found.data))
    else:
        value_hash = _hash(value)
    # Without a hash it holds something like a lambda or a lock.
    return f"{type(value).__name__} {value_hash}" if value_hash else _ADDRESS.sub("", repr(value))


@describe.register
def _(value: bool | int | float | str | bytes | None) -> str:
    return repr(value)


@describe.register
def _(value: np.generic) -> str:
    return describe(value.item())


@describe.register
def _(value: np.ndarray) -> str:
    # How an array lies in memory, and whether it is mapped from a file, is no matter.
    return f"ndarray {value.shape} {_hash(np.asarray(value).ravel())}"


@describe.register
def _(value: BaseEstimator) -> str:
    return f"{describe(type(value))}({_items(value.get_params(deep=False))})"


@describe.register
def _(value: CategoricalDistribution) -> str:
    return f"CategoricalDistribution({describe(value.choices)})"


@describe.register
def _(value: FloatDistribution | IntDistribution) -> str:
    return repr(value)


@describe.register
def _(value: Mapping) -> str:  # type: ignore[type-arg]  # read while running
    return f"{{{_items(value)}}}"


@describe.register
def _(value: list | tuple) -> str:  # type: ignore[type-arg]
    inner = ", ".join(map(describe, value))
    return f"[{inner}]" if isinstance(value, list) else f"({inner})"


def shortened(text: str) -> str:
    """Return a line that stands for the text: the text, or its beginning and a digest."""
    if len(text) <= _LONGEST:
        return text
    return f"{text[: _LONGEST // 2]}… {digest(text)}"


def sealed(value: Any) -> str:
    """Return a line that stands for the value and shows nothing of it but its type."""
    return f"{type(value).__name__} {hashlib.sha256(describe(value).encode()).hexdigest()}"


def digest(text: str) -> str:
    """Return twelve hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def differences(stored: Mapping[str, str], given: Mapping[str, str]) -> str:
    """Return in one line what differs: ``random_state (0, not 1) and data``, or nothing.

    Where both are plain numbers or words they are shown, the stored one first.
    """
    found = []
    for name in dict.fromkeys([*given, *stored]):
        before, now = stored.get(name), given.get(name)
        if before == now:
            continue
        plain = before and now and max(len(before), len(now)) <= _LONGEST // 4
        found.append(f"{name} ({before}, not {now})" if plain else name)
    return " and ".join(filter(None, (", ".join(found[:-1]), *found[-1:])))


def _items(mapping: Mapping[Any, Any]) -> str:
    return ", ".join(f"{key}={describe(value)}" for key, value in mapping.items())


def _hash(value: Any) -> str | None:
    """A hash of the contents, None if they cannot be pickled."""
    try:
        found: str = joblib.hash(value)
    except (pickle.PicklingError, AttributeError, TypeError):
        return None
    return found
