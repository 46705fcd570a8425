"""What an error says to who calls a function, where it would name options of a command."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from hpo.data.errors import DataError
from hpo.errors import NoFiniteTrialError, UsageError
from storage.errors import StorageError

_ARGUMENTS = {
    "artifacts": "artifacts=",
    "data": "data=",
    "folds": "folds=",
    "labels": "labels=",
    "no-refit": "refit=False",
    "storage": "storage=",
    "study": "study=",
    "with": "with_=",
}
"""Name of an option -> how it is given to a function."""

_OPTION = re.compile(rf"(?<![\w-])--({'|'.join(_ARGUMENTS)})(?![\w-])(?: (?=\S+:))?")
"""An option, and the space before its value, after which a colon stands in our messages."""


@contextmanager
def in_python_words() -> Iterator[None]:
    """Errors for the user that leave this block name arguments instead of options."""
    try:
        yield
    except (DataError, NoFiniteTrialError, StorageError, UsageError) as error:
        error.args = (translated(str(error)),)
        raise


def translated(line: str) -> str:
    """``--folds 5: why; use --no-refit`` as ``folds=5: why; use refit=False``."""
    return _OPTION.sub(lambda found: _ARGUMENTS[found[1]], line)
