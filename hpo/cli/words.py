"""How numbers, parameters, metrics and arguments are written on a terminal."""

from __future__ import annotations

import re

from hpo.report.words import (
    duration,
    interval,
    metric_word,
    parameter,
    parameter_word,
    parameters,
    plus_minus,
    score,
    scored_word,
    searched,
    size,
)
from storage.urls import masked

__all__ = [
    "duration", "hidden", "interval", "metric_word", "parameter", "parameter_word", "parameters",
    "plus_minus", "score", "scored_word", "searched", "size",
]  # fmt: skip


def hidden(argument: str) -> str:
    """An argument as it may be shown: a URL in it without its password."""
    url = re.search(r"[\w+]*://", argument)
    return argument if url is None else argument[: url.start()] + masked(argument[url.start() :])
