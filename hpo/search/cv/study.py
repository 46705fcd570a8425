"""The trials of a search over candidates, in a study of Optuna's."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from hpo.search.cv.fingerprint import Fingerprint, describe, differences
from hpo.search.cv.rounds import Candidate, FoldResult, Params, Trial

FINGERPRINT = "hpo:search_cv"
"""User attribute of a study: what its search is fixed by."""

NUMBER = "hpo:number"
"""User attribute of a trial: its number in the search.

It is the trial's number in the study too, unless two processes evaluated it at the same time.
"""

SEED = "random_state"
"""The entry of the fingerprint that a search without a seed of its own takes over."""

_COLUMNS = (
    "fit_error",
    "test_scores",
    "train_scores",
    "n_test_samples",
    "fit_time",
    "score_time",
)
"""What is kept of each fold: user attributes of a trial, each a list with an entry per fold."""

_FINISHED = (TrialState.COMPLETE, TrialState.FAIL)
_PLAIN = (bool, int, float, str)

_LONGEST_ERROR = 2000
"""Characters of a fit's traceback that are kept, its end: MySQL bounds attributes to 65,535."""


class StudyRecords:
    """The records of a search, one trial of the study for each of its own.

    A trial is entered in one step when all its folds are finished, so whatever the study holds is
    whole. One with a fold that failed has no mean score and counts as FAIL, with what its other
    folds gave.

    Parameters
    ----------
    study
        Its direction is to maximise.
    distributions
        The full ranges, which every trial records.

    Raises
    ------
    ValueError
        While reading: if the study holds another point than the search has under that number.
    """

    def __init__(self, study: optuna.Study, distributions: Mapping[str, BaseDistribution]) -> None:
        self.study = study
        self.distributions = distributions
        # The earlier one stays where two processes evaluated the same trial.
        self._known = {trial.user_attrs[NUMBER]: trial for trial in reversed(_finished(study))}

    def folds(self, candidate: Candidate) -> list[FoldResult] | None:
        """The results of a trial that finished before; None if it did not."""
        trial = self._known.get(candidate.number)
        if trial is None:
            return None
        if trial.params != self._stored(candidate.params)[0]:
            raise ValueError(
                f"study {self.study.study_name!r}: trial {candidate.number} has other parameters "
                "than this version of the search would try; take another study_name"
            )
        columns = {name: trial.user_attrs[name] for name in _COLUMNS if name in trial.user_attrs}
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def add(self, trial: Trial, score: float) -> None:
        """Keep a trial, and its mean score: NaN if a fit failed."""
        params, distributions = self._stored(trial.params)
        names = [name for name in _COLUMNS if name in trial.folds[0]]
        columns = {name: [_plain(fold[name]) for fold in trial.folds] for name in names}
        failed = math.isnan(score)
        record = optuna.create_trial(
            state=TrialState.FAIL if failed else TrialState.COMPLETE,
            value=None if failed else score,
            params=params,
            distributions=distributions,
            user_attrs={NUMBER: trial.number, **columns},
        )
        self.study.add_trial(record)

    def _stored(self, params: Params) -> tuple[Params, dict[str, BaseDistribution]]:
        """Parameters and distributions as a database can hold them: choices may be anything."""
        stored, kinds = dict(params), dict(self.distributions)
        for name, distribution in self.distributions.items():
            if isinstance(distribution, CategoricalDistribution):
                kinds[name] = CategoricalDistribution(tuple(map(_label, distribution.choices)))
                stored[name] = _label(params[name])
        return stored, kinds


@contextmanager
def opened(storage: str | BaseStorage) -> Iterator[BaseStorage]:
    """The storage at a URL, which the context closes at its end, or the one that is given."""
    if not isinstance(storage, str):
        yield storage
        return
    database = RDBStorage(storage)
    try:
        yield database
    finally:
        database.remove_session()
        database.engine.dispose()


def stored_seed(storage: BaseStorage, name: str) -> int | None:
    """The seed of the search that a study holds; None if there is no such study, or no search."""
    if name not in optuna.get_all_study_names(storage):
        return None
    study = optuna.load_study(study_name=name, storage=storage)
    seed = study.user_attrs.get(FINGERPRINT, {}).get(SEED)
    return None if seed is None else int(seed)


def enter(storage: BaseStorage, name: str, fingerprint: Fingerprint) -> optuna.Study:
    """Return the study of a search, a new one if there is none.

    A study in which nothing is finished yet may begin anew with other settings.

    Raises
    ------
    ValueError
        In one line: if the study was begun with others, or is about something else.
    """
    study = optuna.create_study(
        storage=storage, study_name=name, direction="maximize", load_if_exists=True
    )
    stored = study.user_attrs.get(FINGERPRINT)
    trials = study.get_trials(deepcopy=False)
    if study.directions != [StudyDirection.MAXIMIZE] or (stored is None and trials):
        raise ValueError(f"study {name!r} is not one of NarrowingSearchCV; take another study_name")
    if stored is not None and _finished(study) and (found := differences(stored, fingerprint)):
        raise ValueError(
            f"study {name!r} was begun with a different {found}: "
            "give the search what it was begun with, or take another study_name"
        )
    if stored != fingerprint:
        study.set_user_attr(FINGERPRINT, fingerprint)
    return study


def _finished(study: optuna.Study) -> list[FrozenTrial]:
    trials = study.get_trials(deepcopy=False, states=_FINISHED)
    return [trial for trial in trials if NUMBER in trial.user_attrs]


def _label(choice: Any) -> Any:
    """A choice as a database can hold it."""
    return choice if choice is None or isinstance(choice, _PLAIN) else describe(choice)


def _plain(value: Any) -> Any:
    """A score, or scores by name, a number of seconds or an error, as JSON can hold it."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, str):
        return value[-_LONGEST_ERROR:]
    return value.item() if isinstance(value, np.generic) else value
