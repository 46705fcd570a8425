"""From values to places in a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple


class Scale(NamedTuple):
    """Values from ``low`` to ``high``, laid out from ``start`` to ``end``, in pixels."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Where a value is; one beyond the ends is at the end, as lines that are cut off."""
        low, high, value = map(self._even, (self.low, self.high, value))
        if high <= low:
            return (self.start + self.end) / 2
        share = min(1.0, max(0.0, (value - low) / (high - low)))
        return self.start + share * (self.end - self.start)

    def ticks(self, most: int = 5) -> list[float]:
        """Round values inside, at most so many: powers of ten, or steps of 1, 2 or 5 of them."""
        if self.high <= self.low:
            return [self.low]
        powers = self._powers(most) if self.log else []
        return powers if len(powers) > 1 else self._steps(most)

    def _even(self, value: float) -> float:
        if not self.log:
            return value
        return math.log10(max(value, 1e-300))

    def _powers(self, most: int) -> list[float]:
        first = math.ceil(math.log10(self.low) - 1e-9)
        last = math.floor(math.log10(self.high) + 1e-9)
        step = max(1, math.ceil((last - first + 1) / most))
        return [10.0**power for power in range(first, last + 1, step)]

    def _steps(self, most: int) -> list[float]:
        power = 10.0 ** math.floor(math.log10((self.high - self.low) / most))
        for step in (power, 2 * power, 5 * power, 10 * power, 20 * power):
            first = math.ceil(self.low / step - 1e-9)
            last = math.floor(self.high / step + 1e-9)
            if last - first + 1 <= most:
                break
        # Multiples, because a sum of steps is not 0.3 but 0.30000000000000004.
        return [float(f"{place * step:.12g}") for place in range(first, last + 1)]


class Choices(NamedTuple):
    """Choices one above the other, the first at the top, between ``start`` and ``end``."""

    choices: Sequence[Any]
    start: float
    end: float

    @property
    def height(self) -> float:
        """Of each of them."""
        return abs(self.end - self.start) / max(1, len(self.choices))

    def at(self, value: Any) -> float | None:
        """The middle of a choice; None of what is no choice."""
        if value not in self.choices:
            return None
        top = min(self.start, self.end)
        return top + (list(self.choices).index(value) + 0.5) * self.height


def tick_text(value: float) -> str:
    """A tick's value: ``1e-05``, ``0.25``, ``5,000``."""
    if value and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.0e}" if float(f"{value:.0e}") == value else f"{value:.3g}"
    return f"{value:,.6g}"


def thinned(values: Sequence[Any], most: int) -> list[Any]:
    """At most so many of the values, evenly, the first and the last always."""
    if len(values) <= most:
        return list(values)
    return [values[round(place * (len(values) - 1) / (most - 1))] for place in range(most)]
