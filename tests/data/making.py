"""Small files to load, and what is said of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hpo.data.errors import DataError
from hpo.data.loading import load

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def write_rows(path: Path, header: str, rows: Sequence[str]) -> str:
    """Write a text file and return its name."""
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path.name


def refusal(source: str, **options: Any) -> str:
    """The one line that loading is refused with."""
    with pytest.raises(DataError) as caught:
        load(source, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)
