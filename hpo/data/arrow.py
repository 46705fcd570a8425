"""Columns of an Arrow table, each of a declared type, as columns of numbers and of coded texts.

Integers, floats and decimals are numbers, NaN where null. So are dates, as seconds since 1970, in
UTC if they have a time zone. Texts, booleans (`True` and `False`) and categories are texts, as they
would be in a CSV file, and a text that stands for no value there does so here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hpo.data.cells import MISSING, numbers_of, written
from hpo.data.errors import DataError
from hpo.data.header import check_no_others, find_columns, find_target
from hpo.data.loaded import Loaded, row_place
from hpo.data.table import Table, Target
from hpo.data.targets import check_target
from hpo.data.wording import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_DAY = 86400.0


class _Texts(NamedTuple):
    codes: NDArray[np.int32]
    vocabulary: tuple[str, ...]


def load_arrow(table: Any, source: str, *, target: str | None, numeric: Sequence[str]) -> Loaded:
    """Return what a `pyarrow.Table` holds; columns named in `numeric` must hold numbers.

    Raises
    ------
    OptionError
        `target` is None.
    DataError
        A column is of a kind that is not read, a number is infinite, or the target cannot be used.
    """
    names = _names(table, source)
    name = names[find_target(target, names, header=None, source=source)]
    find_columns(numeric, names, source)
    numbers = [each for each in names if each in numeric or not _is_text(table, each, source)]
    texts = [each for each in names if each not in numbers]
    features, column = _table(table, source, numbers, texts).pop(name)
    label = Target(name, column.values, column.vocabulary)
    check_target(label, source, row_place)
    dates = frozenset(each for each in numbers if _is_date(table.schema.field(each).type))
    return Loaded(features, label, dates=dates)


def arrow_columns(
    table: Any, source: str, *, numeric: Sequence[str], text: Sequence[str], exact: bool = False
) -> Table:
    """Return the named columns in the order given, read as what the caller says that they are.

    Parameters
    ----------
    exact : whether other columns are an error; else they are passed over

    Raises
    ------
    DataError
        A column is not there, is of a kind that is not read, or should hold numbers and does not.
    """
    names = _names(table, source)
    find_columns([*numeric, *text], names, source)
    if exact:
        check_no_others(names, [*numeric, *text], source)
    return _table(table, source, numeric, text)


def _names(table: Any, source: str) -> list[str]:
    names: list[str] = table.column_names
    for i, name in enumerate(names):
        if not name.strip():
            raise DataError(f"{source}, column {i + 1}: the column has no name; give it one")
        if name in names[:i]:
            raise DataError(f"{source}: two columns are named {shown(name)}; rename one")
    if not names or not table.num_rows:
        raise DataError(f"{source} has no {'rows' if names else 'columns'}")
    return names


def _table(table: Any, source: str, numeric: Sequence[str], text: Sequence[str]) -> Table:
    texts = [_texts(table.column(name), f"{source}, column {shown(name)}") for name in text]
    numbers = np.empty((table.num_rows, len(numeric)))
    for i, name in enumerate(numeric):
        numbers[:, i] = _numbers(table.column(name), f"{source}, column {shown(name)}")
    wanted = {*numeric, *text}
    codes = [each.codes for each in texts]
    return Table(
        columns=tuple(name for name in table.column_names if name in wanted),
        numeric=numbers,
        numeric_names=tuple(numeric),
        codes=np.stack(codes, axis=1) if codes else np.empty((len(numbers), 0), dtype=np.int32),
        text_names=tuple(text),
        vocabularies=tuple(each.vocabulary for each in texts),
    )


def _is_text(table: Any, name: str, source: str) -> bool:
    """Tell whether a column holds texts; DataError when it holds neither texts nor numbers."""
    from pyarrow import types  # noqa: PLC0415  # an optional library

    kind = table.schema.field(name).type
    if types.is_dictionary(kind):
        kind = kind.value_type
        return _is_string(kind) or not _refuse(kind, f"{source}, column {shown(name)}")
    if types.is_boolean(kind) or _is_string(kind):
        return True
    return _refuse(kind, f"{source}, column {shown(name)}")


def _refuse(kind: Any, what: str) -> bool:
    """Raise DataError unless values of this Arrow type can be taken for numbers; return False."""
    from pyarrow import types  # noqa: PLC0415

    known = (
        types.is_integer, types.is_floating, types.is_decimal, types.is_null, types.is_boolean,
        _is_date,
    )  # fmt: skip
    if not any(is_known(kind) for is_known in known):
        raise DataError(
            f"{what} is of the type {kind}, which is neither numbers, dates nor texts; leave it "
            "out, or save its parts as columns of their own"
        )
    return False


def _is_string(kind: Any) -> bool:
    from pyarrow import types  # noqa: PLC0415

    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _is_date(kind: Any) -> bool:
    from pyarrow import types  # noqa: PLC0415

    return bool(types.is_date(kind) or types.is_timestamp(kind))


def _numbers(column: Any, what: str) -> NDArray[np.float64]:
    """Return the numbers of a column, (rows,); of texts, if each can be read as one."""
    import pyarrow as pa  # noqa: PLC0415

    kind = column.type
    if pa.types.is_dictionary(kind) or _is_string(kind):
        values = _parsed(_texts(column, what), what)
    else:
        _refuse(kind, what)
        unit = 1.0
        if pa.types.is_date32(kind):
            column, unit = column.cast(pa.int32()), _DAY
        elif pa.types.is_date64(kind):
            column, unit = column.cast(pa.int64()), _SECONDS["ms"]
        elif pa.types.is_timestamp(kind):
            column, unit = column.cast(pa.int64()), _SECONDS[kind.unit]
        values = unit * column.cast(pa.float64(), safe=False).to_numpy()
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        raise DataError(
            f"{what}, {row_place(int(infinite[0]))}: {values[infinite[0]]} is no finite number; "
            "correct or empty the cell"
        )
    return np.asarray(values, dtype=np.float64)


def _parsed(texts: _Texts, what: str) -> NDArray[np.float64]:
    numbers = np.full(len(texts.vocabulary) + 1, np.nan)  # the last is a missing cell's
    for code, text in enumerate(texts.vocabulary):
        try:
            numbers[code] = numbers_of([text])[0]
        except ValueError:
            row = int(np.argmax(texts.codes == code))
            raise DataError(
                f"{what}, {row_place(row)}: {shown(text)} is a text where a number must be; "
                "correct or empty the cell"
            ) from None
    return numbers[texts.codes]


def _texts(column: Any, what: str) -> _Texts:
    """Return the texts of a column; numbers as the user would write them."""
    import pyarrow as pa  # noqa: PLC0415

    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        # Python knows no nanoseconds.
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    kind = column.type.value_type
    if not _is_string(kind):
        _refuse(kind, what)
    array = column.unify_dictionaries().combine_chunks()
    chunks = array.chunks if isinstance(array, pa.ChunkedArray) else [array]
    try:
        distinct = [written(value) for value in chunks[0].dictionary.to_pylist()]
    except UnicodeDecodeError:
        raise DataError(f"{what} has bytes that are not UTF-8; save texts") from None
    indices = np.concatenate(
        [chunk.indices.fill_null(len(distinct)).to_numpy(zero_copy_only=False) for chunk in chunks]
    )
    used = {distinct[i] for i in np.unique(indices) if i < len(distinct)}
    vocabulary = tuple(sorted(used - MISSING))
    place = {text: i for i, text in enumerate(vocabulary)}
    codes = np.array([*(place.get(text, -1) for text in distinct), -1], dtype=np.int32)
    return _Texts(codes[indices], vocabulary)
