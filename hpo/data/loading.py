"""From what the user names to a data set in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpo.data.arrow import arrow_columns, load_arrow
from hpo.data.delimited import load_columns, load_delimited, stream_columns
from hpo.data.errors import OptionError
from hpo.data.files import find_file, name_of
from hpo.data.formats import format_of
from hpo.data.header import find_columns, find_position
from hpo.data.held_out import load_test
from hpo.data.idx import load_idx, load_images
from hpo.data.loaded import Loaded
from hpo.data.matrices import load_matrices, load_matrix
from hpo.data.openml import PREFIX, load_openml
from hpo.data.parquet import read_parquet
from hpo.data.remarks import remarks
from hpo.data.shipped import SHIPPED, load_shipped
from hpo.data.steering import take_out
from hpo.data.table import Dataset
from hpo.data.wording import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hpo.data.steering import Kind, SplitColumn
    from hpo.data.table import Table


def load(
    source: str,
    *,
    target: str | None = None,
    header: bool = True,
    labels: str | None = None,
    numeric: Sequence[str] = (),
    group: str | None = None,
    time: str | None = None,
    test_file: str | None = None,
) -> Dataset:
    """Return the data set that `source` names.

    Parameters
    ----------
    source : a set of scikit-learn (`digits`, `breast_cancer`, `wine`, `iris`, `diabetes`), one of
        OpenML's (`openml:61`, `openml:iris`), or a file: CSV, TSV (any other text is taken for
        CSV), Parquet, NPZ with arrays X and y, or IDX images
    target : the column to predict, or the array; in a file without a header also its position
    header : whether the first row of a CSV or TSV file holds the names
    labels : the file of an IDX file's labels, when it is not beside the images
    numeric : columns of a table in which a text is an error
    group, time : the column that says how rows are split; not both. It becomes no feature
    test_file : a file with the test rows, of the same columns

    Raises
    ------
    OptionError
        The file does not say which of its columns is the target, an option has no use, or a
        library is not installed.
    DataError
        A file is not there or unsound, or the target cannot be learned.
    """
    kind: Kind = "group" if group is not None else "time"
    by = group if time is None else time
    if group is not None and time is not None:
        raise OptionError("rows are split by --group or by --time, not by both; leave one out")
    name, place, loaded = _load(source, target, labels, numeric, header=header, aside=by)
    features = loaded.features
    find_columns(numeric, [*features.columns, loaded.target.name], name)
    steering: SplitColumn | None = None
    if by is not None:
        by = _column(by, loaded, kind, header=header)
        features, steering = take_out(
            features, kind, by, source, loaded.place, is_date=by in loaded.dates
        )
    warnings = (*loaded.warnings, *remarks(features))
    dataset = Dataset(name, place, features, loaded.target, warnings, steering)
    return dataset if test_file is None else load_test(test_file, dataset, target, header=header)


def load_features(
    source: str, *, numeric: Sequence[str], text: Sequence[str], header: bool = True
) -> Table:
    """Return rows without a target, to predict it.

    Parameters
    ----------
    source : as in `load`
    numeric, text : the columns wanted of a table, in order, and what each holds: the new rows
        alone might suggest something else. Its other columns are passed over, so it needs neither
        a target nor the column by which rows were split
    header : whether the first row of a CSV or TSV file holds the names

    Raises
    ------
    DataError
        The file is not there or unsound, lacks a column, or has a text where numbers must be.
    """
    if source in SHIPPED:
        return load_shipped(source).features
    if source.startswith(PREFIX):
        return arrow_columns(load_openml(source).table, source, numeric=numeric, text=text)
    path = find_file(source, SHIPPED)
    kind = format_of(path, source)
    if kind == "idx":
        return load_images(path, source)
    if kind == "npz":
        return load_matrix(path, source)
    if kind == "parquet":
        return arrow_columns(read_parquet(path, source), source, numeric=numeric, text=text)
    return load_columns(path, source, numeric=numeric, text=text, header=header)[0]


def stream_features(
    source: str, *, numeric: Sequence[str], text: Sequence[str], header: bool = True, height: int
) -> Iterator[Table]:
    """Yield the rows of `load_features`: of a text file `height` at once, else all of them.

    Raises
    ------
    DataError
        As `load_features`, before the first rows; or when a text file changes meanwhile.
    """
    if is_text(source):
        path = find_file(source, SHIPPED)
        yield from stream_columns(
            path, source, numeric=numeric, text=text, header=header, height=height
        )
    else:
        yield load_features(source, numeric=numeric, text=text, header=header)


def is_text(source: str) -> bool:
    """Whether what the user names is a file of comma- or tab-separated text.

    Raises
    ------
    DataError
        There is no such file.
    """
    if source in SHIPPED or source.startswith(PREFIX):
        return False
    return format_of(find_file(source, SHIPPED), source) not in {"idx", "npz", "parquet"}


def _load(
    source: str,
    target: str | None,
    labels: str | None,
    numeric: Sequence[str],
    *,
    header: bool,
    aside: str | None,
) -> tuple[str, str, Loaded]:
    """Return the name of the data set, where it comes from, and what it holds."""
    if source in SHIPPED:
        _refuse_options(source, target=target, labels=labels)
        return source, source, load_shipped(source)
    if source.startswith(PREFIX):
        _refuse_options(source, labels=labels, header=header)
        return _load_openml(source, target, numeric)
    path = find_file(source, SHIPPED)
    kind = format_of(path, source)
    if kind == "idx":
        _refuse_options(source, target=target)
        loaded = load_idx(path, source, labels)
    elif kind == "npz":
        _refuse_options(source, labels=labels)
        loaded = load_matrices(path, source, target)
    elif kind == "parquet":
        _refuse_options(source, labels=labels, header=header)
        table = read_parquet(path, source)
        loaded = load_arrow(table, source, target=target, numeric=numeric)
    else:
        _refuse_options(source, labels=labels)
        loaded = load_delimited(
            path, source, target=target, header=header, numeric=numeric, aside=aside
        )
    return name_of(path), str(path), loaded


def _load_openml(
    source: str, target: str | None, numeric: Sequence[str]
) -> tuple[str, str, Loaded]:
    found = load_openml(source, target)
    wanted = found.target if target is None else target
    loaded = load_arrow(found.table, source, target=wanted, numeric=numeric)
    notes = (*found.warnings, *loaded.warnings)
    return (
        found.name,
        found.source,
        Loaded(loaded.features, loaded.target, loaded.place, notes, loaded.dates),
    )


def _column(by: str, loaded: Loaded, kind: Kind, *, header: bool) -> str:
    """Return the name of the column by which rows are split, which may be given by its place."""
    columns, target = loaded.features.columns, loaded.target.name
    names = [*columns, target] if header else [f"c{i}" for i in range(len(columns) + 1)]
    place = find_position(by, names, header=header)
    name = by if place is None else names[place]
    if name == target:
        raise OptionError(f"--{kind} {shown(by)} is the target; name another column")
    return name


def _refuse_options(
    source: str, *, target: str | None = None, labels: str | None = None, header: bool = True
) -> None:
    """Raise OptionError for an option that would have no effect."""
    if target is not None:
        raise OptionError(f"{source} has its own target; leave --target {shown(target)} out")
    if labels is not None:
        raise OptionError(f"{source} is no IDX file of images; leave --labels {shown(labels)} out")
    if not header:
        raise OptionError(f"{source} holds the names of its columns; leave --no-header out")
