"""How far a search is, as its storage says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from optuna.distributions import BaseDistribution

from hpo.joined_study import JoinedStudy
from hpo.known_trials import FINISHED
from hpo.ranking import rank
from hpo.search.evaluation import Outcome
from hpo.search.space import Ranges
from storage.records import RoundRecord, SelectionRecord, TrialRecord


class Best(NamedTuple):
    """The trial that is the first of the ranking."""

    number: int
    value: float
    costs: tuple[float, ...]
    params: Mapping[str, Any]


@dataclass(frozen=True)
class Standing:
    """How far a search is: what a display of it is drawn from.

    ``total`` are the trials that were asked for, or those that there are if these are more.
    ``index`` and ``ranges`` are of the latest round, ``space`` are the full ranges. ``finished``
    counts trials whatever became of them. ``chosen`` tells of the winner once it is chosen.
    """

    study: str
    metric: str
    cv: int | None
    space: Mapping[str, BaseDistribution]
    trials_per_round: int
    total: int
    index: int = 0
    ranges: Ranges = field(default_factory=dict)
    finished: int = 0
    pruned: int = 0
    failed: int = 0
    best: Best | None = None
    chosen: SelectionRecord | None = None

    @property
    def rounds(self) -> int:
        """How many rounds there will be."""
        return max(self.index + 1, -(-self.total // self.trials_per_round))

    def at_round(self, index: int, ranges: Ranges) -> Standing:
        """Likewise when this round is trained, unless a later one is."""
        return self if index < self.index else replace(self, index=index, ranges=ranges)

    def recorded(
        self, outcomes: Sequence[Outcome], params: Mapping[int, Mapping[str, Any]]
    ) -> Standing:
        """Likewise when these outcomes stand in the storage, too; ``params`` by their numbers."""
        found = (
            Best(each.number, each.value, each.costs, params.get(each.number, {}))
            for each in outcomes
            if each.value is not None
        )
        return replace(
            self,
            finished=self.finished + len(outcomes),
            pruned=self.pruned + sum(each.pruned for each in outcomes),
            failed=self.failed + sum(each.failed for each in outcomes),
            best=_best([*([self.best] if self.best else []), *found]),
        )

    def with_trials(self, trials: Sequence[TrialRecord]) -> Standing:
        """Likewise when the storage holds these trials."""
        states = [each.state for each in trials]
        finished = sum(state in FINISHED for state in states)
        ranked = rank(trials)[:1]
        return replace(
            self,
            total=max(self.total, finished),
            finished=finished,
            pruned=states.count("PRUNED"),
            failed=states.count("FAIL"),
            best=_best(
                Best(each.number, each.value, each.costs, each.params)
                for each in ranked
                if each.value is not None
            ),
        )

    def with_rounds(self, rounds: Sequence[RoundRecord]) -> Standing:
        """Likewise when the storage holds these rounds."""
        return self.at_round(rounds[-1].round, rounds[-1].ranges) if rounds else self


def read(experiment: JoinedStudy, total: int, chosen: SelectionRecord | None = None) -> Standing:
    """How far the study is by what its storage holds; ``chosen`` is what it holds of the winner."""
    begun = Standing(
        study=experiment.study,
        metric=experiment.settings.metric,
        cv=experiment.settings.cv,
        space=experiment.store.space.distributions,
        trials_per_round=experiment.narrowing.trials_per_round,
        total=total,
        chosen=chosen,
    )
    return begun.with_rounds(experiment.rounds()).with_trials(experiment.store.trials())


def _best(found: Iterable[Best]) -> Best | None:
    """The first of the ranking: the best score, of equal ones the cheaper, then the older."""
    return min(found, key=lambda each: (-each.value, each.costs, each.number), default=None)
