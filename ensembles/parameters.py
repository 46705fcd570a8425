"""Checks of parameters that are numbers."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any


def check_count(name: str, given: Any, *, least: int = 1) -> None:
    """Raise ``ValueError`` for what is no whole number of at least ``least``."""
    if isinstance(given, bool) or not isinstance(given, Integral) or int(given) < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {given!r}")


def check_above_zero(name: str, given: Any) -> None:
    """Raise ``ValueError`` for what is no finite number above 0."""
    if not _is_number(given) or not 0 < given < math.inf:
        raise ValueError(f"{name} must be a finite number above 0, got {given!r}")


def check_share(name: str, given: Any) -> None:
    """Raise ``ValueError`` for what is no number above 0 and up to 1."""
    if not _is_number(given) or not 0 < given <= 1:
        raise ValueError(f"{name} must be a number above 0 and up to 1, got {given!r}")


def _is_number(given: Any) -> bool:
    return isinstance(given, Real) and not isinstance(given, bool)
