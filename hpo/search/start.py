"""What a search begins with that it has not found out itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from hpo.search.narrowing import Box, Point


@dataclass(frozen=True)
class Start:
    """What the user, and another study, know of good points.

    ``points`` are tried first, trial by trial; a parameter that one of them lacks is drawn. ``box``
    is that of the first round, empty if nothing narrows it.
    """

    points: tuple[Point, ...] = ()
    box: Box = field(default_factory=dict)


NOTHING = Start()
