"""Reading plain values (what JSON holds) that may have been damaged or forged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hpo.data.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


def field(record: object, key: str) -> Any:
    """Return `record[key]`; DataError when the record is no mapping or has no such key."""
    if not isinstance(record, dict) or key not in record:
        raise DataError(f"stored encoding: '{key}' is missing; it is damaged or of another version")
    return record[key]


def texts(record: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Return a list of texts."""
    return tuple(_list_of((str,), record, key))


def flags(record: Mapping[str, Any], key: str, n: int) -> NDArray[np.bool_]:
    """Return a list of `n` booleans, (n,)."""
    return np.array(_list_of((bool,), record, key, n), dtype=bool)


def numbers(record: Mapping[str, Any], key: str, n: int) -> NDArray[np.float64]:
    """Return a list of `n` finite numbers, (n,)."""
    values = np.array(_list_of((float, int), record, key, n), dtype=np.float64)
    if not np.isfinite(values).all():
        raise _wrong(key, "finite numbers")
    return values


def deviations(record: Mapping[str, Any], key: str, n: int) -> NDArray[np.float64]:
    """Return a list of `n` numbers above zero, (n,)."""
    values = numbers(record, key, n)
    if not (values > 0).all():
        raise _wrong(key, "numbers above zero")
    return values


def check_format(record: object, expected: str) -> None:
    """Raise DataError unless the record's format is the expected one."""
    if field(record, "format") != expected:
        raise DataError(
            f"stored encoding: its format is not '{expected}'; use the hpo that wrote it"
        )


def _list_of(
    kinds: tuple[type, ...], record: Mapping[str, Any], key: str, n: int | None = None
) -> list[Any]:
    values = field(record, key)
    if not isinstance(values, list) or any(type(value) not in kinds for value in values):
        raise _wrong(key, f"a list of {kinds[0].__name__} values")
    if n is not None and len(values) != n:
        raise _wrong(key, f"{n} values")
    return values


def _wrong(key: str, expected: str) -> DataError:
    return DataError(f"stored encoding: '{key}' does not hold {expected}; it is damaged")
