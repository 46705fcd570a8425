"""What stderr shows while a search runs: a live block on a terminal, plain lines without one."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import click
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from hpo.cli.words import metric_word, parameters, score, scored_word, searched
from hpo.joined_study import JoinedStudy
from hpo.known_trials import FINISHED
from hpo.ranking import rank
from hpo.search.evaluation import Outcome
from hpo.search.loop import Event, OthersTrain, RoundClaimed
from hpo.search.space import Listed, Ranges
from storage.records import TrialRecord

BAR_CELLS = 24
MOST_PARAMETERS = 3
"""Of the best trial's parameters the line has room for so many."""


def say(line: str) -> None:
    """Print one plain line on stderr."""
    with contextlib.suppress(BrokenPipeError):  # nobody reads it, and the search goes on
        click.echo(line, err=True)


def follow(experiment: JoinedStudy, total: int, n_workers: int, deadline: float = math.inf) -> None:
    """Run the search to its end, or to ``deadline`` by ``time.time``, and show how it goes."""
    console = Console(stderr=True, emoji=False)
    progress = _Progress.of(experiment, total)
    events = experiment.search(total, n_workers, deadline)
    if console.is_terminal and not console.is_dumb_terminal:
        with Live(progress, console=console, refresh_per_second=4, transient=True):
            for event in events:
                progress.take(event)
    else:
        _follow_plainly(progress, events)


def _follow_plainly(progress: _Progress, events: Iterable[Event]) -> None:
    last = -math.inf
    for event in events:
        before = progress.finished
        progress.take(event)
        if progress.finished > before and (
            time.monotonic() - last >= 1 or progress.finished == progress.total
        ):
            last = time.monotonic()
            say(progress.line())
    if progress.shared:  # the last trials may be another's
        progress.look()
        say(progress.line())


@dataclass
class _Progress:
    """The state of a search, from what the storage holds; draws itself."""

    experiment: JoinedStudy
    total: int
    finished: int
    failed: int
    pruned: int
    best: TrialRecord | Outcome | None
    index: int = 0
    ranges: Ranges = field(default_factory=dict)
    params: dict[int, dict[str, float]] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    before: int = 0
    shared: bool = False
    looked: float = -math.inf

    @classmethod
    def of(cls, experiment: JoinedStudy, total: int) -> _Progress:
        """What is there before this search trains anything."""
        trials = experiment.store.trials()
        done = [each for each in trials if each.state in FINISHED]
        ranked = rank(trials)
        return cls(
            experiment=experiment,
            total=max(total, len(done)),
            finished=len(done),
            failed=sum(each.state == "FAIL" for each in done),
            pruned=sum(each.state == "PRUNED" for each in done),
            best=ranked[0] if ranked else None,
            before=len(done),
            params={each.number: each.params for each in ranked[:1]},
        )

    def take(self, event: Event) -> None:
        """Move on by one event."""
        if isinstance(event, OthersTrain):
            self._look_now_and_then()
            return
        if isinstance(event, RoundClaimed):
            self.index, self.ranges = event.index, event.ranges
            self.params |= {slot.number: dict(slot.params) for slot in event.slots}
            if self.shared:
                self._look_now_and_then()
            return
        self.finished += len(event.outcomes)
        for outcome in event.outcomes:
            self.failed += outcome.failed
            self.pruned += outcome.pruned
            if outcome.value is not None and self._beats(
                outcome.value, outcome.costs, outcome.number
            ):
                self.best = outcome

    def _look_now_and_then(self) -> None:
        """See, once a second, what other searches have done."""
        self.shared = True
        if time.monotonic() - self.looked >= 1:
            self.look()

    def look(self) -> None:
        """See what the storage holds."""
        self.looked = time.monotonic()
        trials = self.experiment.store.trials()
        self.finished = sum(each.state in FINISHED for each in trials)
        self.failed = sum(each.state == "FAIL" for each in trials)
        self.pruned = sum(each.state == "PRUNED" for each in trials)
        ranked = rank(trials)
        if ranked:
            self.best = ranked[0]
            self.params[ranked[0].number] = ranked[0].params

    def _beats(self, value: float, costs: tuple[float, ...], number: int) -> bool:
        if self.best is None or self.best.value is None:
            return True
        return (-value, costs, number) < (-self.best.value, self.best.costs, self.best.number)

    def line(self) -> str:
        """The state in one line."""
        return ", ".join([self._head(), *self._best_words(), self._time_left()])

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(f"{self._head()}, {self._time_left()}", style="bold")
        texts = {name: searched(bounds) for name, bounds in self.ranges.items()}
        # The bar takes what names and numbers leave; two blanks stand between them.
        taken = max(map(len, texts), default=0) + max(map(len, texts.values()), default=0) + 2
        cells = max(0, min(BAR_CELLS, options.max_width - taken))
        table = Table.grid(padding=(0, 1))
        for name, text in texts.items():
            distribution = self.experiment.store.space.distributions[name]
            table.add_row(name, _bar(distribution, self.ranges[name], cells), text)
        yield table
        yield Text(", ".join(self._best_words()))

    def _head(self) -> str:
        planned = -(-self.total // self.experiment.narrowing.trials_per_round)
        counts = {"pruned": self.pruned, "failed": self.failed}
        others = "".join(f", {count} {name}" for name, count in counts.items() if count)
        where = f"round {self.index + 1}/{planned}"
        return f"{self.experiment.study}: {where}, {self.finished}/{self.total} trials{others}"

    def _best_words(self) -> list[str]:
        if self.best is None or self.best.value is None:
            return ["no score yet"]
        metric = metric_word(self.experiment.settings.metric)
        of = scored_word(self.experiment.settings.cv)
        found = f"best {of} {metric} {score(self.best.value)} (trial {self.best.number})"
        return [found, parameters(self.params.get(self.best.number, {}), MOST_PARAMETERS)]

    def _time_left(self) -> str:
        trained = self.finished - self.before
        spent = time.monotonic() - self.started
        if not trained:
            return f"{spent:.0f} s"
        left = spent / trained * (self.total - self.finished)
        return f"{left:.0f} s left"


def _bar(distribution: BaseDistribution, left: Listed, cells: int) -> Text:
    """The range of a round inside the full range, ``cells`` wide; none for choices."""
    if isinstance(left, dict):
        return Text()
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = left
    scale = math.log if distribution.log else float
    start, end = scale(distribution.low), scale(distribution.high)
    width = end - start or 1.0  # neighbouring numbers may have one logarithm
    first = min(round((scale(low) - start) / width * cells), max(0, cells - 1))
    last = max(first + 1, round((scale(high) - start) / width * cells))
    bar = Text("─" * first, style="dim")
    bar.append("█" * (last - first), style="cyan")
    bar.append("─" * (cells - last), style="dim")
    return bar[:cells]
