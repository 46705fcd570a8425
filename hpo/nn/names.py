"""Tables of named things, and one clear line for a name that is not in them."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

Entry = TypeVar("Entry")


def find(table: Mapping[str, Entry], name: Any, kind: str) -> Entry:
    """Return ``table[name]``; raise ``ValueError`` that names the ``kind`` and what there is."""
    if isinstance(name, str) and name in table:
        return table[name]
    close = get_close_matches(str(name), table, n=1)
    hint = f"did you mean {close[0]!r}?" if close else "there are " + ", ".join(table)
    raise ValueError(f"unknown {kind} {name!r}: {hint}")
