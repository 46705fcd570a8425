"""How numbers, parameters and metrics are written for people, on a terminal or on a page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

Listed = list[float] | dict[str, list[Any]]
"""What a round searched of a parameter: an interval, or ``{"choices": […]}``."""

_METRICS = {"accuracy": "acc", "r2": "R2"}
_PARAMETERS = {"learning_rate": "lr"}


def metric_word(name: str) -> str:
    """``acc`` for accuracy, ``R2`` for r2; other names as they are."""
    return _METRICS.get(name, name)


def scored_word(cv: int | None) -> str:
    """What a trial's score is of: ``cv`` over folds, ``val`` on validation rows."""
    return "val" if cv is None else "cv"


def parameters(params: Mapping[str, Any], most: int | None = None) -> str:
    """``lr: 9.21e-03, weight decay: 4.59e-04``; no more of them than ``most``."""
    texts = [f"{parameter_word(name)}: {parameter(value)}" for name, value in params.items()]
    more = [] if most is None or len(texts) <= most else [f"{len(texts) - most} more"]
    return ", ".join(texts[:most] + more)


def parameter(value: Any) -> str:
    """A parameter's value: three digits of a number with a fraction, else as it is."""
    return f"{value:.2e}" if isinstance(value, float) else str(value)


def parameter_word(name: str) -> str:
    """``lr`` for learning_rate; other names with blanks."""
    return _PARAMETERS.get(name, name.replace("_", " "))


def interval(low: float, high: float) -> str:
    """``1.0e-05..1.0e-01``, as ``--space`` writes ranges; whole numbers and shares as they are."""
    if isinstance(low, int) and isinstance(high, int):
        return f"{low}..{high}"
    if low == 0 or low >= 0.5:
        return f"{low:.3g}..{high:.3g}"
    return f"{low:.1e}..{high:.1e}"


def searched(left: Listed) -> str:
    """What a round searched of a parameter: an interval, or choices as ``--space`` writes them."""
    if isinstance(left, dict):
        return "|".join(map(str, left["choices"]))
    return interval(*left)


def score(value: float) -> str:
    """Three decimals, or four significant digits where these would say little."""
    if value == 0 or 0.01 <= abs(value) < 100:
        return f"{value + 0.0:.3f}"  # no minus before a zero
    return f"{value:.4g}"


def plus_minus(value: float, standard_error: float) -> str:
    """A score and its standard error, with as many decimals as both need."""
    if score(value) == f"{value:.3f}" and standard_error >= 0.0005:
        return f"{value:.3f} ± {standard_error:.3f}"
    return f"{score(value)} ± {float(f'{standard_error:.2g}'):g}"


def duration(seconds: float) -> str:
    """``12 s``, ``3 min`` or ``2.5 h``."""
    if seconds < 90:
        return f"{max(1, math.ceil(seconds))} s"
    return f"{math.ceil(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def size(n_bytes: float) -> str:
    """``1.2 MB``: a thousand bytes are a kB."""
    power = min(4, (len(str(int(n_bytes))) - 1) // 3)
    number = n_bytes / 1000**power
    return f"{number:.1f} {'kMGT'[power - 1]}B" if power else f"{number:.0f} B"
