"""How names and cells of a user's file are shown in messages."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_LONGEST = 40


def shown(text: str) -> str:
    """Return `text` in quotes, on one line and at most 40 characters long."""
    return repr(text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "...")


def listed(names: Sequence[str], limit: int = 8) -> str:
    """Return the names separated by commas; of a long list the first `limit` and a count."""
    text = ", ".join(shown(name)[1:-1] for name in names[:limit])
    return text if len(names) <= limit else f"{text} and {len(names) - limit:,} more"


def counted(n: int, noun: str) -> str:
    """Return `1 row`, `2 rows`, `53,940 rows`."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a question to append to a message, empty when nothing known is like `name`."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {shown(close[0])}?" if close else ""
