"""Reading Parquet files, by way of pyarrow."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from hpo.data.errors import DataError, OptionError
from hpo.data.wording import counted

if TYPE_CHECKING:
    from pathlib import Path

_MOST_BYTES = 2**32
_INDEX = re.compile(r"__index_level_\d+__")  # how pandas stores an index that has no name


def read_parquet(path: Path, source: str) -> Any:
    """Return the content of a file as a `pyarrow.Table`; an index of pandas without a name is none.

    Raises
    ------
    OptionError
        pyarrow is not installed.
    DataError
        The file is damaged, encrypted or no Parquet file, or would take over 4 GiB.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError:
        raise OptionError(
            f"{source}: reading Parquet needs pyarrow: pip install 'hpo-stacks[parquet]'"
        ) from None
    try:
        with parquet.ParquetFile(path) as file:
            _check_size(file.metadata, source)
            names = [name for name in file.schema_arrow.names if not _INDEX.fullmatch(name)]
            # Of all columns when there is nothing to leave out: a name may hold what is a path to
            # the reader.
            table = file.read(columns=names if len(names) < len(file.schema_arrow.names) else None)
            return _with_categories(table)
    except (
        pa.ArrowException,
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
    ) as error:
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise DataError(
            f"{source}: a damaged Parquet file, or none ({reason}); save it again"
        ) from None


def _with_categories(table: Any) -> Any:
    """Return the table with the categories of pandas as such; those of numbers come as numbers."""
    described = (table.schema.pandas_metadata or {}).get("columns", [])
    categorical = {each["name"] for each in described if each["pandas_type"] == "categorical"}
    for i, name in enumerate(table.column_names):
        if name in categorical:
            table = table.set_column(i, name, table.column(i).dictionary_encode())
    return table


def _check_size(metadata: Any, source: str) -> None:
    """Refuse what claims to become huge: packed well, a small file may hold any number of rows."""
    unpacked = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    size = max(unpacked, 8 * metadata.num_rows * metadata.num_columns)
    if size > _MOST_BYTES:
        raise DataError(
            f"{source} has {counted(metadata.num_rows, 'row')} of "
            f"{counted(metadata.num_columns, 'column')}, which take {size:,} bytes, more than the "
            f"{_MOST_BYTES:,} allowed; leave columns or rows out"
        )
