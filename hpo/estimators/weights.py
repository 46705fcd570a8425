"""Weights of rows and of classes, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.class_weight import compute_sample_weight

from hpo.estimators.moments import Values, powers_of_two
from hpo.estimators.targets import Classes, TargetCoder

Weights = NDArray[np.float32]

LARGEST = 1e100
"""Weights up to here can be multiplied and added up."""


def row_weights(sample_weight: ArrayLike | None, n_rows: int) -> Values | None:
    """Weights (rows,) or (members, rows); ``ValueError`` for what cannot be weights."""
    if sample_weight is None:
        return None
    weights = _numbers("sample_weight", sample_weight)
    if weights.ndim == 0:
        weights = np.full(n_rows, float(weights))
    if weights.ndim > 2:
        raise ValueError("Sample weights must be 1D or 2D array or scalar")
    if weights.shape[-1] != n_rows:
        raise ValueError(
            f"sample_weight.shape == {weights.shape}, expected ({n_rows},) or (members, {n_rows})"
        )
    return _sound("sample_weight", weights)


def validation_weights(sample_weight: ArrayLike | None, n_rows: int) -> Values | None:
    """Weights (rows,) of validation rows, which all members share; only the ratios are kept."""
    if sample_weight is None:
        return None
    weights = _numbers("sample_weight_val", sample_weight)
    if weights.shape != (n_rows,):
        raise ValueError(f"sample_weight_val.shape == {weights.shape}, expected ({n_rows},)")
    return _in_units(_sound("sample_weight_val", weights))


def _numbers(name: str, given: ArrayLike) -> Values:
    try:
        return np.asarray(given, dtype=np.float64, order="C")
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numbers: {error}") from None


def _sound(name: str, weights: Values) -> Values:
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError(f"{name} must be finite and not negative")
    if weights.max() > LARGEST:
        raise ValueError(
            f"{name} holds {weights.max():g}, more than {LARGEST:g}: only ratios of weights "
            "matter, so divide all by the greatest one"
        )
    if not weights.any(axis=-1).all():
        raise ValueError(f"{name}: every weight is zero")
    return weights


def of_members(sample_weight: ArrayLike | None, group: list[int], n_members: int) -> Any:
    """The rows of a (members, rows) matrix of weights that belong to the group."""
    matrix = np.asarray(sample_weight)
    if matrix.ndim < 2:
        return sample_weight
    if len(matrix) != n_members:
        raise ValueError(f"sample_weight has {len(matrix)} rows for {n_members} members")
    return matrix[group]


def class_weights(
    class_weight: Mapping[Any, float] | str | None, coder: TargetCoder, y: NDArray[Any]
) -> Values | None:
    """Weights (rows,) that the classes of ``y`` give their rows, None if they give none."""
    if class_weight is None:
        return None
    if isinstance(class_weight, str) and class_weight == "balanced":
        balanced: Values = compute_sample_weight("balanced", y)
        return balanced
    if not isinstance(class_weight, Mapping):
        raise ValueError(  # noqa: TRY004
            f"class_weight is a mapping of classes to weights, 'balanced' or None, not "
            f"{class_weight!r}"
        )
    if not isinstance(coder, Classes):
        raise ValueError(  # noqa: TRY004
            "class_weight of several labels is 'balanced' or None; a mapping tells no columns apart"
        )
    return _by_class(class_weight, coder)[coder.encode(y)]


def _by_class(class_weight: Mapping[Any, float], coder: Classes) -> Values:
    """The weight of each class, 1 where none is given."""
    classes = coder.classes.tolist()
    unknown = [key for key in class_weight if key not in classes]
    missing = [each for each in classes if each not in class_weight]
    # A mapping for all classes may name more of them than there are in a part of the rows.
    if unknown and missing:
        raise ValueError(
            f"class_weight names {unknown[0]!r}, which is not one of the classes, and "
            f"{', '.join(map(repr, missing[:10]))} are not in class_weight"
        )
    for key, weight in class_weight.items():
        if not _is_weight(weight):
            raise ValueError(
                f"class_weight of {key!r} must be a number from 0 to {LARGEST:g}, got {weight!r}"
            )
    return np.array([float(class_weight.get(each, 1)) for each in classes])


def _is_weight(weight: Any) -> bool:
    try:
        return bool(0 <= float(weight) <= LARGEST)
    except (TypeError, ValueError, OverflowError):
        return False


def for_training(weights: Values | None, factors: Sequence[Values | None]) -> Weights | None:
    """Weights (rows,) or (members, rows) that training takes, of which only the ratios are kept.

    ``factors`` are what each member multiplies the weights by, (rows,) or None.
    """
    if any(each is not None for each in factors):
        rows = next(len(each) for each in factors if each is not None)
        own = np.stack([np.ones(rows) if each is None else each for each in factors])
        weights = own if weights is None else _in_units(weights) * _in_units(own)
        if not weights.any(axis=1).all():
            raise ValueError("class_weight leaves no row with a weight above 0")
    return None if weights is None else _in_units(weights).astype(np.float32)


def _in_units(weights: Values) -> Values:
    """Weights of which each member's greatest is about 1; dividing by a power of two is exact."""
    unit: Values = weights / powers_of_two(weights.max(axis=-1, keepdims=True))
    return unit
