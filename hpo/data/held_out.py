"""Test rows that come in a file of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hpo.data.arrow import arrow_columns
from hpo.data.delimited import load_columns
from hpo.data.errors import DataError, OptionError
from hpo.data.files import find_file, name_of
from hpo.data.formats import format_of
from hpo.data.idx import load_idx
from hpo.data.loaded import Loaded, row_place
from hpo.data.matrices import load_matrices
from hpo.data.parquet import read_parquet
from hpo.data.steering import check_apart, take_out
from hpo.data.table import Dataset, Target
from hpo.data.targets import check_cells
from hpo.data.wording import counted

if TYPE_CHECKING:
    from pathlib import Path

    from hpo.data.loaded import Place
    from hpo.data.table import Table


def load_test(source: str, data: Dataset, target: str | None, *, header: bool) -> Dataset:
    """Return the data set with the rows of the file `source` as its test rows.

    The file has the same columns, in any order, and may be of another format. Each column is read
    as what it is in the data, whatever the test rows alone would suggest: they decide nothing.

    Parameters
    ----------
    data : the data set that will be trained on
    target : as the user named it; of arrays its name tells which one it is
    header : whether the first row of a CSV or TSV file holds the names

    Raises
    ------
    DataError
        The file is not there or unsound, its columns are others, a cell of the target is missing,
        or rows have a group or an earlier time than rows of the data.
    """
    path = find_file(source)
    if str(path) == data.source:
        raise OptionError(f"--test-file {source} is the data file itself; leave it out")
    if format_of(path, source) in {"npz", "idx"}:
        loaded = _arrays(path, source, data, target)
    else:
        loaded = _columns(path, source, data, header=header)
    check_cells(loaded.target, source, loaded.place)
    features, ours, theirs = loaded.features, data.steering, None
    if ours is not None:
        name, place, is_date = ours.column.name, loaded.place, ours.is_date
        features, theirs = take_out(
            features, ours.kind, name, source, place, is_date=is_date, like=ours
        )
        check_apart(ours, theirs, source)
    test = Dataset(name_of(path), str(path), features, loaded.target, (), theirs)
    return replace(data, test=test)


def _arrays(path: Path, source: str, data: Dataset, target: str | None) -> Loaded:
    """Return images or a matrix, of the shape and kinds of the data."""
    if format_of(path, source) == "idx":
        loaded = load_idx(path, source, None, check=check_cells)
    else:
        loaded = load_matrices(path, source, target, check=check_cells)
    shapes = [_shape(data.features, one_more=data.steering is not None), _shape(loaded.features)]
    if shapes[0] != shapes[1]:
        raise DataError(f"{source} has rows of {shapes[1]}, and the data have rows of {shapes[0]}")
    names = [name for name in loaded.features.columns if not _is_steering(name, data)]
    if tuple(names) != data.features.columns:
        raise DataError(f"{source} has no names of columns, and the data have; save it as CSV")
    if (loaded.target.vocabulary is None) != (data.target.vocabulary is None):
        kinds = [
            "numbers" if each.vocabulary is None else "texts"
            for each in (loaded.target, data.target)
        ]
        raise DataError(f"{source}: its target is {kinds[0]}, and that of the data is {kinds[1]}")
    return loaded


def _is_steering(name: str, data: Dataset) -> bool:
    return data.steering is not None and data.steering.column.name == name


def _shape(features: Table, *, one_more: bool = False) -> str:
    """Say what rows are like; with `one_more`, a column was taken out of them."""
    if features.image_shape is not None:
        return f"{' x '.join(map(str, features.image_shape))} pixels"
    if features.text_names:
        return "columns with texts"
    return counted(len(features.columns) + one_more, "number")


def _columns(path: Path, source: str, data: Dataset, *, header: bool) -> Loaded:
    """Return the columns of the data, each read as what it is there."""
    if data.features.image_shape is not None:
        raise DataError(f"{source} holds no images, and the data do; give a file of the same kind")
    numeric, text = list(data.features.numeric_names), list(data.features.text_names)
    steering = () if data.steering is None else (data.steering.column,)
    for column in (*steering, data.target):
        (numeric if column.vocabulary is None else text).append(column.name)
    if format_of(path, source) == "parquet":
        found = read_parquet(path, source)
        table = arrow_columns(found, source, numeric=numeric, text=text, exact=True)
        place: Place = row_place
    else:
        table, place = load_columns(
            path, source, numeric=numeric, text=text, header=header, exact=True
        )
    features, column = table.pop(data.target.name)
    return Loaded(features, Target(column.name, column.values, column.vocabulary), place)
