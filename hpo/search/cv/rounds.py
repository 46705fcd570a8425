"""The rounds of a search over candidates: propose, evaluate, record, narrow, repeat."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Any, NamedTuple, Protocol

from joblib import Parallel as JoblibParallel
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection._validation import _fit_and_score
from sklearn.utils.parallel import Parallel, delayed

from hpo.search.narrowing import (
    FinishedTrial,
    NarrowingSettings,
    countable,
    narrow,
    place,
    without_repeats,
)
from hpo.search.space import SearchSpace

Params = dict[str, Any]

FoldResult = dict[str, Any]
"""What scikit-learn returns for a candidate on one fold: scores, seconds, the error if any."""

Split = tuple[NDArray[Any], NDArray[Any]]
"""Indices of the rows to fit on, and of those to score on."""


class Candidate(NamedTuple):
    """A point to be evaluated: its trial's number, and the parameters."""

    number: int
    params: Params


class Trial(NamedTuple):
    """A candidate that was evaluated: one result for each fold."""

    number: int
    params: Params
    folds: list[FoldResult]


class Records(Protocol):
    """Where finished trials are kept."""

    def folds(self, candidate: Candidate) -> list[FoldResult] | None:
        """The results of a trial that finished before; None if it did not."""

    def add(self, trial: Trial, score: float) -> None:
        """Keep a trial, and its mean score: NaN if a fit failed."""


class NoRecords:
    """Nothing is kept, and nothing was."""

    def folds(self, candidate: Candidate) -> list[FoldResult] | None:
        """None."""

    def add(self, trial: Trial, score: float) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Evaluation:
    """Fits and scores candidates on all folds, as scikit-learn's searches do.

    Parameters
    ----------
    estimator : not fitted
    X, y : rows and targets; y may be None
    splits : the same for all candidates
    parallel : runs the fits, each candidate and fold a task of its own; results come in order
    options : what else ``_fit_and_score`` takes
    n_trials : of the whole search, for what ``verbose`` shows
    """

    estimator: BaseEstimator
    X: Any
    y: Any
    splits: Sequence[Split]
    parallel: JoblibParallel
    options: Mapping[str, Any]
    n_trials: int

    def __call__(self, candidates: Sequence[Candidate]) -> Iterator[Trial]:
        """Yield the trials in the order of the candidates, each as soon as all its folds are."""
        n_splits = len(self.splits)
        results = iter(
            self.parallel(
                delayed(_fit_and_score)(
                    clone(self.estimator),
                    self.X,
                    self.y,
                    train=train,
                    test=test,
                    parameters=candidate.params,
                    split_progress=(fold, n_splits),
                    candidate_progress=(candidate.number, self.n_trials),
                    **self.options,
                )
                for candidate, (fold, (train, test)) in product(candidates, enumerate(self.splits))
            )
        )
        for number, params in candidates:
            yield Trial(number, params, list(islice(results, n_splits)))


def in_rounds(
    distributions: Mapping[str, BaseDistribution],
    settings: NarrowingSettings,
    n_trials: int,
    evaluate: Callable[[Sequence[Candidate]], Iterable[Trial]],
    score: Callable[[Trial], float],
    records: Records,
    announce: Callable[[dict[str, Any]], None],
) -> tuple[list[Trial], list[dict[str, Any]]]:
    """Run the search to its end; what is recorded already is not evaluated again.

    Parameters
    ----------
    score : the greater the better; what is not finite does not narrow
    announce : called with each round that is about to be evaluated

    Returns
    -------
    trials
        All, in the order of their numbers.
    rounds
        For each ``round`` (from 0) the number of its ``trials`` and their ``ranges``, a
        ``[low, high]`` for each number and ``{"choices": [...]}`` for any other parameter. There
        are fewer than were asked for if every point of the space was tried.
    """
    space = SearchSpace(distributions)
    size = settings.trials_per_round
    trials: list[Trial] = []
    rounds: list[dict[str, Any]] = []
    finished: list[FinishedTrial] = []
    for first in range(0, n_trials, size):
        numbers = range(first, min(first + size, n_trials))
        box = narrow(distributions, finished, settings, first // size)
        points = place(distributions, box, settings, numbers)
        if countable(distributions):
            tried = [trial.params for trial in trials]
            points = without_repeats(points, numbers, tried, distributions, box, settings)
        if not points:
            break
        rounds.append({"round": first // size, "trials": len(points), "ranges": space.ranges(box)})
        announce(rounds[-1])
        candidates = [Candidate(*pair) for pair in zip(numbers, points, strict=False)]
        for trial in _round(candidates, evaluate, score, records):
            trials.append(trial)
            finished.append(FinishedTrial(trial.number, -score(trial), trial.params))
    return trials, rounds


def _round(
    candidates: Sequence[Candidate],
    evaluate: Callable[[Sequence[Candidate]], Iterable[Trial]],
    score: Callable[[Trial], float],
    records: Records,
) -> list[Trial]:
    """The trials of a round in their order; new ones are recorded one by one as they finish."""
    found: dict[int, Trial] = {}
    missing = []
    for candidate in candidates:
        folds = records.folds(candidate)
        if folds is None:
            missing.append(candidate)
        else:
            found[candidate.number] = Trial(*candidate, folds)
    if missing:
        for trial in evaluate(missing):
            records.add(trial, score(trial))
            found[trial.number] = trial
    return [found[each.number] for each in candidates]


def parallel(n_jobs: int | None, pre_dispatch: int | str, *, one_by_one: bool) -> JoblibParallel:
    """What runs the fits; if they are wanted ``one_by_one``, each is there once those before are.

    Backends that can only return all at once (Dask's is one) do so anyhow.
    """
    given = {"n_jobs": n_jobs, "pre_dispatch": pre_dispatch}
    if one_by_one:
        try:
            return Parallel(**given, return_as="generator")
        except ValueError:
            pass
    return Parallel(**given)
