"""From what the user names to a data set in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from hpo.data.delimited import load_columns, load_delimited
from hpo.data.errors import DataError, OptionError
from hpo.data.files import beginning, find_file, name_of
from hpo.data.header import find_columns
from hpo.data.idx import load_idx, load_images
from hpo.data.matrices import load_matrices, load_matrix
from hpo.data.remarks import remarks
from hpo.data.shipped import SHIPPED, load_shipped
from hpo.data.table import Dataset
from hpo.data.wording import shown

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hpo.data.table import Table, Target

_Format = Literal["npz", "idx", "text"]

_UNREAD = frozenset(
    (".npy", ".parquet", ".feather", ".arrow", ".xlsx", ".xls", ".ods", ".zip", ".bz2", ".xz",
     ".json", ".pkl", ".pickle", ".joblib", ".mat", ".h5", ".arff")
)  # fmt: skip


def load(
    source: str,
    *,
    target: str | None = None,
    header: bool = True,
    labels: str | None = None,
    numeric: Sequence[str] = (),
) -> Dataset:
    """Return the data set that `source` names.

    Parameters
    ----------
    source : a set of scikit-learn (`digits`, `breast_cancer`, `wine`, `iris`, `diabetes`), or a
        file: CSV, TSV (any other text is taken for CSV), NPZ with arrays X and y, or IDX images
    target : the column to predict, or the array; in a file without a header also its position
    header : whether the first row of a CSV or TSV file holds the names
    labels : the file of an IDX file's labels, when it is not beside the images
    numeric : columns of a CSV or TSV file in which a text is an error

    Raises
    ------
    OptionError
        The file does not say which of its columns is the target, or an option has no use.
    DataError
        The file is not there or unsound, or its target cannot be learned.
    """
    if source in SHIPPED:
        _refuse_options(source, target=target, labels=labels)
        return _dataset(source, source, *load_shipped(source), numeric=numeric)
    path = find_file(source, SHIPPED)
    kind = _format(path, source)
    warnings: tuple[str, ...] = ()
    if kind == "idx":
        _refuse_options(source, target=target)
        features, label = load_idx(path, source, labels)
    elif kind == "npz":
        _refuse_options(source, labels=labels)
        features, label = load_matrices(path, source, target)
    else:
        _refuse_options(source, labels=labels)
        features, label, warnings = load_delimited(
            path, source, target=target, header=header, numeric=numeric
        )
    return _dataset(name_of(path), str(path), features, label, warnings, numeric=numeric)


def load_features(
    source: str, *, numeric: Sequence[str], text: Sequence[str], header: bool = True
) -> Table:
    """Return rows without a target, to predict it.

    Parameters
    ----------
    source : as in `load`
    numeric, text : the columns wanted of a CSV or TSV file, in order, and what each holds: the
        new rows alone might suggest something else. Its other columns are passed over
    header : whether the first row of a CSV or TSV file holds the names

    Raises
    ------
    DataError
        The file is not there or unsound, lacks a column, or has a text where numbers must be.
    """
    if source in SHIPPED:
        return load_shipped(source)[0]
    path = find_file(source, SHIPPED)
    kind = _format(path, source)
    if kind == "idx":
        return load_images(path, source)
    if kind == "npz":
        return load_matrix(path, source)
    return load_columns(path, source, numeric=numeric, text=text, header=header)


def _dataset(
    name: str,
    source: str,
    features: Table,
    target: Target,
    warnings: tuple[str, ...] = (),
    *,
    numeric: Sequence[str],
) -> Dataset:
    find_columns(numeric, [*features.columns, target.name], name)
    return Dataset(name, source, features, target, (*warnings, *remarks(features)))


def _format(path: Path, source: str) -> _Format:
    """Tell by the name, and where that says nothing by the first bytes."""
    name, start = path.name.lower(), beginning(path)
    if path.suffix.lower() in _UNREAD or start.startswith((b"\x93NUMPY", b"PAR1")):
        raise DataError(f"{source}: files of this kind are not read; save it as CSV or NPZ")
    if name.endswith((".csv.gz", ".tsv.gz", ".txt.gz", ".npz.gz")):
        raise DataError(f"{source} is packed; unpack it with gunzip")
    if name.endswith(".npz") or start.startswith(b"PK\x03\x04"):
        return "npz"
    if "-ubyte" in name or name.endswith(".gz") or start.startswith((b"\0\0\x08", b"\x1f\x8b")):
        return "idx"
    return "text"


def _refuse_options(source: str, *, target: str | None = None, labels: str | None = None) -> None:
    """Raise OptionError for an option that would have no effect."""
    if target is not None:
        raise OptionError(f"{source} has its own target; leave --target {shown(target)} out")
    if labels is not None:
        raise OptionError(f"{source} is no IDX file of images; leave --labels {shown(labels)} out")
