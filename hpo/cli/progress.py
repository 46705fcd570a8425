"""The state of a search while it runs: what its storage holds, and how long it takes."""

from __future__ import annotations

import math
import time

from hpo.cli.block import ENDED, Passing
from hpo.cli.standing import Standing, read
from hpo.cli.words import duration
from hpo.joined_study import JoinedStudy
from hpo.search.loop import Event, OthersTrain, RoundClaimed
from hpo.search.repeats import Retrained
from storage.records import SelectionRecord

LOOK_SECONDS = 1.0
"""How often it is seen at most what other searches have done."""


class Pace:
    """How long work still takes, if it goes on as it did; ``done`` of it was done before."""

    def __init__(self, done: int) -> None:
        self.before = self.done = done
        self.started = self.moved = time.monotonic()

    def move(self, done: int) -> None:
        """So much is done now."""
        if done > self.done:
            self.done, self.moved = done, time.monotonic()

    def left(self, total: int, deadline: float) -> str:
        """``12 s left``; as long as nothing is done, how long it has taken so far."""
        now, until = time.monotonic(), deadline - time.time()
        if self.done > self.before:
            each = (self.moved - self.started) / (self.done - self.before)
            until = min(until, each * (total - self.done) - (now - self.moved))
        if until == math.inf:
            return f"{duration(now - self.started)} so far"
        return f"{duration(max(0.0, until))} left"


class Progress:
    """What a search has come to, event by event.

    What an event tells stands in the storage, so that it is read anew only at the beginning, at the
    end, and where other searches enter trials too. A search may end at ``deadline``, by
    ``time.time``.
    """

    def __init__(self, experiment: JoinedStudy, total: int, deadline: float = math.inf) -> None:
        self.experiment = experiment
        self.total = total
        self.deadline = deadline
        self.standing: Standing = read(experiment, total)
        self.shared = False
        self._looked = -math.inf
        self._params: dict[int, dict[str, float]] = {}
        self._pace = Pace(self.standing.finished)
        self._retrained: Retrained | None = None
        self._ended = self.standing.finished >= self.standing.total

    def take(self, event: Event) -> None:
        """Move on by one event."""
        if isinstance(event, OthersTrain):
            self.shared = True
        elif isinstance(event, RoundClaimed):
            self.standing = self.standing.at_round(event.index, event.ranges)
            # Of earlier ones only the best is still of interest, which the state has.
            self._params = {slot.number: dict(slot.params) for slot in event.slots}
        else:
            self.standing = self.standing.recorded(event.outcomes, self._params)
            self._pace.move(self.standing.finished)
            return
        if self.shared and time.monotonic() - self._looked >= LOOK_SECONDS:
            self.look()

    def hear(self, retrained: Retrained) -> None:
        """Move on to so many networks of those that follow the search."""
        if self._retrained is None or self._retrained.rows != retrained.rows:
            self._pace = Pace(retrained.done)
        self._retrained = retrained
        self._pace.move(retrained.done)

    def look(self) -> None:
        """See what the storage holds."""
        self._looked = time.monotonic()
        self.standing = read(self.experiment, self.total)
        self._pace.move(self.standing.finished)

    def end(self, chosen: SelectionRecord | None = None) -> None:
        """See it for the last time; ``chosen`` is the winner that was entered."""
        self.standing = read(self.experiment, self.total, chosen)
        self._ended, self._retrained = True, None

    def passing(self) -> Passing:
        """What is done at the moment, and how long it takes."""
        again = self._retrained
        if again is not None:
            left = self._pace.left(again.total, self.deadline)
            return Passing(left if again.done < again.total else "", _words(again))
        now = self.standing
        if self._ended or now.finished >= now.total:
            return ENDED
        return Passing(self._pace.left(now.total, self.deadline))


def _words(again: Retrained) -> list[str]:
    count = f"{again.done}/{again.total} networks"
    if again.rows is not None:
        return [f"training the winner again on all {again.rows} rows", count]
    best = f"the best {again.trials}" if again.trials > 1 else "the best"
    return [f"training {best} again to choose the winner", count]
