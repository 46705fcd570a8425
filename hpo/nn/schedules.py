"""Learning-rate schedules: progress of the training -> factor of the learning rate.

Progress runs from 0 (the first step) to 1 (after the last), so that a schedule fits any number of
epochs. Every function is pure; `Schedule` names one and is plain data.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from numbers import Real
from typing import Any

from hpo.nn.names import find

ROUNDING = 1e-9
"""What a quotient may miss a whole number by and still count as that number."""


@dataclass(frozen=True)
class Schedule:
    """A schedule by name, and what it may be told.

    ``warmup``: share of the training in which the factor rises linearly to 1 before ``name``
    begins. ``decay``: what a drop of ``step`` leaves, or what all of ``exponential`` leaves.
    ``every``: share of the training after the warm-up between two drops of ``step``.
    """

    name: str = "constant"
    warmup: float = 0.0
    decay: float = 0.1
    every: float = 1 / 3

    def __post_init__(self) -> None:
        find(SCHEDULES, self.name, "schedule")
        for name in ("warmup", "decay", "every"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Real):
                raise ValueError(f"{name} must be a number, got {value!r}")  # noqa: TRY004
        if not 0 <= self.warmup < 1:
            raise ValueError(f"warmup is a share of the training, 0 <= warmup < 1: {self.warmup}")
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay is a factor, 0 < decay <= 1: {self.decay}")
        if not 0 < self.every <= 1:
            raise ValueError(f"every is a share of the training, 0 < every <= 1: {self.every}")

    def factor(self, step: int, steps: int) -> float:
        """Factor of the learning rate at step number ``step`` (from 1) of ``steps``."""
        # A product that is a whole number up to rounding is that number.
        warm = self.warmup * steps
        whole = int(warm + ROUNDING)
        if step <= whole:
            return min(step / warm, 1.0)
        progress = (step - 1 - whole) / max(1, steps - whole)
        return SCHEDULES[self.name](self, min(progress, 1.0))

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def constant(_schedule: Schedule, _progress: float) -> float:
    """1 throughout."""
    return 1.0


def step(schedule: Schedule, progress: float) -> float:
    """Multiplied by ``decay`` after each ``every``."""
    # A step that falls on the boundary up to rounding belongs behind it.
    drops = progress / schedule.every + ROUNDING
    return float(schedule.decay ** int(min(drops, 1e9)))


def exponential(schedule: Schedule, progress: float) -> float:
    """Falls evenly in the logarithm, to ``decay`` at the end."""
    return float(schedule.decay**progress)


def cosine(_schedule: Schedule, progress: float) -> float:
    """``(1 + cos(pi * progress)) / 2``, to 0 (Loshchilov & Hutter 2017, equation 5)."""
    return 0.5 * (1 + math.cos(math.pi * progress))


ONE_CYCLE_RISE, ONE_CYCLE_START, ONE_CYCLE_END = 0.3, 1 / 25, 1 / 250_000


def one_cycle(_schedule: Schedule, progress: float) -> float:
    """From 1/25 up to 1 in the first 30 %, then down to almost 0 (Smith & Topin 2018)."""
    if progress < ONE_CYCLE_RISE:
        share = 0.5 * (1 - math.cos(math.pi * progress / ONE_CYCLE_RISE))
        return ONE_CYCLE_START + (1 - ONE_CYCLE_START) * share
    share = 0.5 * (1 + math.cos(math.pi * (progress - ONE_CYCLE_RISE) / (1 - ONE_CYCLE_RISE)))
    return ONE_CYCLE_END + (1 - ONE_CYCLE_END) * share


SCHEDULES: dict[str, Callable[[Schedule, float], float]] = {
    "constant": constant,
    "step": step,
    "exponential": exponential,
    "cosine": cosine,
    "one_cycle": one_cycle,
}
