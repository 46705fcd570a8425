"""Checks of parameters that are numbers."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any


def check_count(name: str, given: Any) -> None:
    """Raise ``ValueError`` for what is no whole number of at least 1."""
    if isinstance(given, bool) or not isinstance(given, Integral) or int(given) < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {given!r}")


def check_above_zero(name: str, given: Any, *, largest: float = math.inf) -> None:
    """Raise ``ValueError`` for what is no number above 0, or is above ``largest``; NaN is none."""
    if isinstance(given, bool) or not isinstance(given, Real) or not 0 < float(given) <= largest:
        bound = "" if largest == math.inf else f" and at most {largest:g}"
        raise ValueError(f"{name} must be a number above 0{bound}, got {given!r}")
