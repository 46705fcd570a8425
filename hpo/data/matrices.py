"""Data sets in NPZ files: the features `X` and the target `y`."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from hpo.data.arrays import read_npz
from hpo.data.cells import MISSING
from hpo.data.errors import DataError, OptionError
from hpo.data.finite import check_finite
from hpo.data.loaded import Loaded, row_place
from hpo.data.table import Table, Target
from hpo.data.targets import check_target
from hpo.data.wording import counted, did_you_mean, listed, shown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from hpo.data.targets import Check

    Arrays = Mapping[str, NDArray[Any]]

_PAIRS = (("X", "y"), ("x", "y"), ("data", "target"))


def load_matrices(
    path: Path, source: str, target: str | None, *, check: Check = check_target
) -> Loaded:
    """Return features and target.

    They are the arrays `X` and `y` (or `x` and `y`, `data` and `target`), or the array named by
    `target` and the only other one. Features are (rows, columns), or (rows, height, width) or
    (rows, height, width, channels) for images. `check` is what the target must pass.

    Raises
    ------
    DataError
        The file is not sound, or the arrays are not such a pair.
    """
    arrays = read_npz(path)
    features_name, target_name = _names(arrays, target, source)
    features = _features(arrays[features_name], features_name, source)
    label = _target(arrays[target_name], target_name, source)
    if features.n_rows != len(label.values):
        raise DataError(
            f"{source}: {shown(features_name)} has {counted(features.n_rows, 'row')} and "
            f"{shown(target_name)} has {len(label.values):,}; they must be as many"
        )
    check(label, source, row_place)
    return Loaded(features, label)


def load_matrix(path: Path, source: str) -> Table:
    """Return the features of a file with or without a target: `X`, `x`, `data` or the only array.

    Raises
    ------
    DataError
        The file is not sound, or has no such array.
    """
    arrays = read_npz(path)
    names = [name for name, _ in _PAIRS if name in arrays] or list(arrays)
    if len(names) != 1:
        raise DataError(f"{source}: no array is named X; it has {listed(list(arrays)) or 'none'}")
    return _features(arrays[names[0]], names[0], source)


def _names(arrays: Arrays, target: str | None, source: str) -> tuple[str, str]:
    """Return the names of features and target."""
    for features, label in _PAIRS:
        if features in arrays and label in arrays and target in {None, label}:
            return features, label
    found = f"{source}: its arrays are: {listed(list(arrays)) or 'none'}"
    if target is None:
        raise OptionError(f"{found}; name them X and y, or say which is the --target")
    if target not in arrays:
        raise DataError(f"{found}; there is no {shown(target)}{did_you_mean(target, arrays)}")
    others = [name for name in arrays if name != target]
    if len(others) != 1:
        raise DataError(f"{found}; beside the target there must be one, with the features")
    return others[0], target


def _features(array: NDArray[Any], name: str, source: str) -> Table:
    what = f"{source}: {shown(name)}"
    if array.dtype.kind not in "biuf":
        raise DataError(f"{what} holds texts; features must be numbers, or use a CSV file")
    if array.ndim not in {2, 3, 4} or not array.size:
        raise DataError(
            f"{what} has the shape {array.shape}; features are (rows, columns) or images "
            "(rows, height, width), and neither is empty"
        )
    is_image = array.ndim > 2
    flat = array.reshape(len(array), -1)
    numeric = flat if is_image and array.dtype == np.uint8 else flat.astype(np.float64)
    check_finite(numeric, what, _place, missing_allowed=not is_image)
    if is_image:
        return Table.of_numbers(numeric, pixel_names(array.shape[1:]), array.shape[1:])
    return Table.of_numbers(numeric, tuple(f"x{i}" for i in range(numeric.shape[1])))


def pixel_names(shape: tuple[int, ...]) -> tuple[str, ...]:
    """Return `pixel_0_0`, `pixel_0_1` and so on, row by row."""
    indices = product(*(range(side) for side in shape))
    return tuple("pixel_" + "_".join(map(str, index)) for index in indices)


def _place(row: int, column: int) -> str:
    return f"row {row}, column {column} (counted from 0)"


def _target(array: NDArray[Any], name: str, source: str) -> Target:
    what = f"{source}: {shown(name)}"
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise DataError(f"{what} has the shape {array.shape}; a target is (rows,)")
    if array.dtype.kind in "biuf":
        return Target(name, array.astype(np.float64), None)
    return text_target(name, _decoded(array, what))


def _decoded(array: NDArray[Any], what: str) -> list[str]:
    try:
        return [text if isinstance(text, str) else text.decode() for text in array.tolist()]
    except UnicodeDecodeError:
        raise DataError(f"{what} has bytes that are not UTF-8; save texts") from None


def text_target(name: str, cells: list[str]) -> Target:
    """Return a target of classes; cells that stand for no value are missing."""
    texts = [cell.strip() for cell in cells]
    vocabulary = tuple(sorted(set(texts) - MISSING))
    code = {text: i for i, text in enumerate(vocabulary)}
    values = np.array([code.get(text, np.nan) for text in texts], dtype=np.float64)
    return Target(name, values, vocabulary)
