"""Which revisions of Optuna's tables can be used."""

from __future__ import annotations

import functools
from pathlib import Path

from optuna.storages import _rdb

from storage.errors import StorageError

KNOWN = "v3.2.0.a"
"""The revision that our own statements are written for."""


@functools.cache
def installed() -> str:
    """The revision of the tables that the installed Optuna makes."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415  # slow, and seldom needed

    return str(ScriptDirectory(str(Path(_rdb.__path__[0]) / "alembic")).get_current_head())


def is_known(found: str) -> bool:
    """Whether our own statements may be used."""
    return found == KNOWN


def check(place: object, found: str) -> None:
    """Raise ``StorageError`` for a revision that neither we nor the installed Optuna know."""
    if not is_known(found) and found != installed():
        raise StorageError(
            f"{place} has Optuna's tables in version {found}, but {installed()} is needed: "
            "use the version of Optuna that made it, or choose another --storage"
        )
