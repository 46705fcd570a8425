"""How numbers, parameters and metrics are written for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_METRICS = {"accuracy": "acc", "r2": "R2"}
_PARAMETERS = {"learning_rate": "lr"}


def metric_word(name: str) -> str:
    """``acc`` for accuracy, ``R2`` for r2; other names as they are."""
    return _METRICS.get(name, name)


def parameters(params: Mapping[str, Any]) -> str:
    """``lr: 9.21e-03, weight decay: 4.59e-04``."""
    return ", ".join(f"{_word(name)}: {value:.2e}" for name, value in params.items())


def interval(low: float, high: float) -> str:
    """``1.0e-05..1.0e-01``, as ``--space`` writes ranges."""
    return f"{low:.1e}..{high:.1e}"


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


def _word(name: str) -> str:
    return _PARAMETERS.get(name, name.replace("_", " "))
