"""Columns that carry nothing, or nothing of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hpo.data.table import column_hashes
from hpo.data.wording import listed

if TYPE_CHECKING:
    from hpo.data.table import Table


LARGE = 1e12
"""Columns without a value beyond are not looked at for such values."""

ALIKE = 1e-6
"""Nine tenths of a column look alike if they lie within this share of its range."""


def remarks(table: Table) -> tuple[str, ...]:
    """Return a line each for columns that are empty, constant, equal to an earlier one, or dwarfed.

    Pixels are passed over: the corners of an image are blank, and that is no fault.
    """
    if table.image_shape is not None:
        return ()
    empty, constant = empty_and_constant(table)
    found = {
        "columns without any value, left out": empty,
        "columns with one value in every row, left out": constant,
        "columns that repeat another, kept": repeated(table, {*empty, *constant}),
        "columns in which a few values are so large that all others look alike": dwarfed(table),
    }
    return tuple(f"{title}: {listed(names)}" for title, names in found.items() if names)


def dwarfed(table: Table) -> list[str]:
    """Return `a (up to 1e+308)` for each column of which a few values leave the others no room."""
    found = []
    numeric = table.numeric
    largest = np.maximum(
        np.fmax.reduce(numeric, axis=0, initial=0.0), -np.fmin.reduce(numeric, axis=0, initial=0.0)
    )
    for place in np.flatnonzero(largest > LARGE):
        values = numeric[:, place]
        halves = values[~np.isnan(values)] / 2  # whose differences cannot overflow
        low, high = np.quantile(halves, [0.05, 0.95], method="nearest")
        if 0 < high - low < ALIKE * (halves.max() - halves.min()):
            found.append(f"{table.numeric_names[place]} (up to {largest[place]:.0e})")
    return found


def empty_and_constant(table: Table) -> tuple[list[str], list[str]]:
    """Return the names of the columns that are empty, and of those that are constant."""
    numeric, codes = table.numeric, table.codes
    names = np.array([*table.numeric_names, *table.text_names], dtype=object)
    empty = np.concatenate([np.isnan(numeric).all(axis=0), (codes < 0).all(axis=0)])
    constant = np.concatenate(
        [(numeric == numeric[0]).all(axis=0), (codes == codes[0]).all(axis=0)]
    )
    return names[empty].tolist(), names[constant & ~empty].tolist()


def repeated(table: Table, passed_over: set[str]) -> list[str]:
    """Return `b = a` for each column that is equal to an earlier one, but those passed over."""
    first: dict[str, str] = {}
    names = {
        name: first.setdefault(digest, name)
        for name, digest in column_hashes(table).items()
        if name not in passed_over
    }
    return [f"{name} = {earlier}" for name, earlier in names.items() if name != earlier]
