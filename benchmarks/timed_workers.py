"""Workers that tell how long they took."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from hpo.search.evaluation import Outcome, Slot, Workers
from hpo.search.pruning import Judge


class TimedWorkers:
    """Trains, and adds up the ``seconds`` of ``clock`` that the search waits for it."""

    def __init__(self, workers: Workers, clock: Callable[[], float]) -> None:
        self.workers = workers
        self.clock = clock
        self.seconds = 0.0

    def evaluate(self, slots: Sequence[Slot], judge: Judge | None) -> Iterator[list[Outcome]]:
        """What the workers give."""
        results = self.workers.evaluate(slots, judge)
        while True:
            began = self.clock()
            outcomes = next(results, None)
            self.seconds += self.clock() - began
            if outcomes is None:
                return
            yield outcomes
