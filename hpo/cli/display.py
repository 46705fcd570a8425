"""What stderr shows while a search runs: a live block on a terminal, plain lines without one."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console

from hpo.cli.block import line
from hpo.cli.frame import is_quiet, say
from hpo.cli.progress import Progress
from hpo.joined_study import JoinedStudy
from hpo.search.loop import Event
from hpo.search.repeats import Retrained
from storage.records import SelectionRecord

LINE_SECONDS = 1.0
"""There is one plain line in this time at most."""


class Display(Protocol):
    """Shows a search from its first trial until the winner is chosen."""

    def follow(self, events: Iterable[Event]) -> None:
        """Let the search run to its end."""

    def hear(self, retrained: Retrained) -> None:
        """Show how many networks are trained of those that follow the search."""

    def end(self, chosen: SelectionRecord | None) -> None:
        """Show what there is in the end."""


@contextmanager
def display(experiment: JoinedStudy, total: int, deadline: float = math.inf) -> Iterator[Display]:
    """What shows this search, which ends at ``deadline`` at the latest, by ``time.time``."""
    console = Console(stderr=True, emoji=False, highlight=False)
    progress = Progress(experiment, total, deadline)
    if console.is_terminal and not console.is_dumb_terminal and not is_quiet():
        from hpo.cli.live_block import LiveBlock

        with LiveBlock(console, progress) as block:
            yield block
    else:
        yield Lines(progress)


class Lines:
    """Plain lines, of which the last one is never left out."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self._said = -math.inf
        self._heard: Retrained | None = None

    def follow(self, events: Iterable[Event]) -> None:
        """Let the search run to its end, and say how it goes."""
        progress = self.progress
        for event in events:
            before = progress.standing.finished
            progress.take(event)
            now = progress.standing
            if now.finished > before:
                self._say(last=now.finished == now.total)
        if progress.shared:  # the last trials may be another's
            progress.look()
            self._say(last=True)

    def hear(self, retrained: Retrained) -> None:
        """Say how many networks are trained of those that follow the search."""
        self.progress.hear(retrained)
        if retrained.done and retrained != self._heard:
            self._heard = retrained
            self._say(last=retrained.done == retrained.total)

    def end(self, chosen: SelectionRecord | None) -> None:
        """All is said."""

    def _say(self, *, last: bool) -> None:
        if last or time.monotonic() - self._said >= LINE_SECONDS:
            self._said = time.monotonic()
            say(line(self.progress.standing, self.progress.passing()))
