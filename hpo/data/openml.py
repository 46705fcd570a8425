"""Data sets of openml.org, by way of scikit-learn's `fetch_openml`, which keeps what it loads."""

from __future__ import annotations

import os
import re
import socket
import warnings
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import quote

from hpo.data.errors import DataError, OptionError
from hpo.data.wording import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "openml:"
"""What a source begins with that is a set of OpenML's: `openml:61` or `openml:iris`."""

_PATIENCE = 60.0  # seconds without a byte, after which the network is given up


class OpenmlSet(NamedTuple):
    """A data set as it was loaded.

    Attributes
    ----------
    name : as OpenML calls it
    source : `openml:` and its number
    target : the column that is its default target; None if it has none, or several
    table : a `pyarrow.Table` of all columns but row numbers and those that are to be ignored
    warnings : a line each for what OpenML has to say
    """

    name: str
    source: str
    target: str | None
    table: Any
    warnings: tuple[str, ...]


def load_openml(source: str, target: str | None = None) -> OpenmlSet:
    """Return the set that `openml:ID` or `openml:NAME` names; of a name the oldest active version.

    Parameters
    ----------
    target : the column that will be predicted, if it is not the default one

    Raises
    ------
    OptionError
        pandas or pyarrow is not installed.
    DataError
        There is no such set or no network, the set is damaged, or is a sparse one.
    """
    asked = source.removeprefix(PREFIX).strip()
    if not asked:
        raise DataError(f"{source}: name a set by its number or name, as openml:61 or openml:iris")
    _check_libraries(source)
    import pyarrow as pa  # noqa: PLC0415  # an optional library

    bunch, said = _fetch(source, asked, target)
    details = bunch.details
    number = f"{PREFIX}{details['id']}"
    try:
        table = pa.Table.from_pandas(bunch.frame, preserve_index=False)
    except pa.ArrowException as error:
        raise DataError(f"{source}: a column has cells of several kinds ({error})") from None
    default = bunch.target_names[0] if len(bunch.target_names) == 1 else None
    notes = tuple(_note(line, source, number, details) for line in said)
    return OpenmlSet(str(details["name"]), number, default, table, tuple(filter(None, notes)))


def cache_folder() -> Path:
    """Return the folder in which loaded sets are kept: in `XDG_CACHE_HOME`, else `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "hpo"


def _check_libraries(source: str) -> None:
    try:
        import pandas  # noqa: F401, ICN001, PLC0415
        import pyarrow  # noqa: F401, ICN001, PLC0415
    except ImportError:
        raise OptionError(
            f"{source}: OpenML's sets need pandas and pyarrow: pip install 'hpo-stacks[openml]'"
        ) from None


def _fetch(source: str, asked: str, target: str | None) -> tuple[Any, list[str]]:
    """Return scikit-learn's bunch and what it warned of."""
    from sklearn.datasets import fetch_openml  # noqa: PLC0415  # it takes a second

    which: dict[str, Any] = (
        {"data_id": int(asked)}
        if re.fullmatch("[0-9]{1,9}", asked)
        else {"name": quote(asked, safe=""), "version": "active"}
    )
    if target is not None:
        which["target_column"] = None  # the default one may have missing cells, which it refuses
    with warnings.catch_warnings(record=True) as caught, _patience(), _named(source):
        warnings.simplefilter("always")
        bunch = fetch_openml(
            **which, data_home=cache_folder(), as_frame=True, parser="pandas", n_retries=2
        )
    return bunch, [str(each.message) for each in caught if issubclass(each.category, UserWarning)]


@contextmanager
def _patience() -> Iterator[None]:
    """End a connection that is silent, which scikit-learn would wait for without end."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


@contextmanager
def _named(source: str) -> Iterator[None]:
    """Say in one line what went wrong."""
    try:
        yield
    except HTTPError as error:
        error.close()
        if error.code == 404:
            raise DataError(_unknown(source)) from None
        raise DataError(
            f"{source}: openml.org answers {error.code} ({error.reason}); try again later"
        ) from None
    except (URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or error
        raise DataError(
            f"{source}: openml.org cannot be reached ({reason}); check the network, or save the "
            "data to a file"
        ) from None
    except OSError as error:
        raise DataError(
            f"{source}: {cache_folder()}, where sets are kept, cannot be used ({error.strerror}); "
            "set XDG_CACHE_HOME to another folder"
        ) from None
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise DataError(_fault(source, " ".join(str(error).split()))) from None


def _unknown(source: str) -> str:
    return f"{source}: openml.org has no active set of this {_by(source)}; look it up there"


def _by(source: str) -> str:
    return "number" if source.removeprefix(PREFIX).strip().isdigit() else "name"


def _fault(source: str, reason: str) -> str:
    """Return the line for what scikit-learn says of a set."""
    if "not found" in reason or reason.startswith("No active dataset"):
        return _unknown(source)
    if "Sparse ARFF" in reason:
        return f"{source} is a sparse set, and these are not read; save it as a dense table"
    if "missing values are not supported" in reason.lower():
        return f"{source}: {reason.partition('. ')[0]}; predict another with --target"
    if "md5 checksum" in reason:
        return f"{source} came damaged: its checksum is not the one announced; try again later"
    return f"{source}: cannot be used ({shown(reason)[1:-1]})"


def _note(line: str, source: str, number: str, details: Any) -> str:
    """Return a warning of scikit-learn's in one line, empty where the user need not know."""
    if line.startswith("Multiple active versions"):
        return f"{source}: of several versions, {details['version']} was taken; it is {number}"
    if line.startswith("A network error"):
        return ""
    return f"{source}: {shorten(line, 200)}"
