"""`NarrowingSearchCV`."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from contextlib import ExitStack
from numbers import Integral
from typing import Any, NoReturn, Self

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval

from hpo.search.cv import study
from hpo.search.cv.base import RecordedSearchCV
from hpo.search.cv.rounds import Evaluation, NoRecords, Records, Trial, in_rounds, parallel
from hpo.search.cv.task import Task, check_space
from hpo.search.narrowing import NarrowingSettings

# Of a URL: the user, then the password.
_PASSWORD = re.compile(r"(://[^:/@]*):[^@]*@")


class NarrowingSearchCV(RecordedSearchCV):
    """Random search with cross-validation, in rounds whose ranges narrow around the best trials.

    The words are those of `sklearn.model_selection.RandomizedSearchCV`, and so are scoring,
    refitting, routing of metadata and results. What differs: distributions are Optuna's, each
    round after the first is drawn mostly from a box around the best trials so far (see
    `hpo.search.narrowing`), and a search with a ``storage`` that was killed goes on where it was.

    Parameters
    ----------
    estimator : what is searched for; it needs a ``score`` method, or ``scoring`` is given
    param_distributions : name -> `optuna.distributions.FloatDistribution`, ``IntDistribution`` or
        ``CategoricalDistribution``. Numbers are narrowed; of a category all choices stay.
    n_trials : candidates in all
    n_rounds : rounds that they are divided into, ``ceil(n_trials / n_rounds)`` in each. The
        candidates of a round are evaluated in parallel.
    scoring : a scorer's name, a callable, or several: a list or tuple of names, a dictionary of
        names and callables, a callable that returns a dictionary; None is the estimator's own
    n_jobs : fits that run at the same time; None is 1, -1 one for each core. Results do not depend
        on it.
    refit : fit the best candidate on all rows. With several scorers the name of the one that says
        which is best, or False. A callable is given ``cv_results_`` and returns ``best_index_``.
        The ranges narrow by the metric that ``refit`` names. Where it names none, because it is
        a callable or False, they narrow by the first of the scorers.
    cv : number of folds, a splitter, or pairs of indices. The rows are split once for all
        candidates.
    verbose : 1 tells about each round, more about each fit
    pre_dispatch : fits that are handed to workers ahead
    random_state : same state, same candidates. None and a `numpy.random.RandomState` draw a seed;
        with a study that has begun they take that of the study.
    error_score : score of a fit that failed, or ``"raise"``. With NaN a candidate that failed on
        any fold has no result, and does not narrow the ranges.
    return_train_score : score the rows that were fitted too
    storage : URL or storage of Optuna's in which trials are kept, each as soon as its folds are
        all finished. What is there is not evaluated again, and the end is that of a search that
        was never interrupted. More trials in proportionally more rounds continue a search too.
        The folds and the estimator have to be the same each time, so ``cv`` and the estimator
        need a fixed ``random_state`` where they have one.
    study_name : of the study in ``storage``; None makes a name of whatever fixes the search

    Attributes
    ----------
    cv_results_ : name -> (n_trials,), with the names that `RandomizedSearchCV` has, in the order of
        trials
    best_estimator_ : fitted on all rows; not there if ``refit`` is False
    best_score_ : mean score over the folds; not there if ``refit`` is a callable
    best_params_, best_index_ : of the best candidate; with several scorers not there if ``refit``
        is False
    rounds_ : list with a dictionary for each round: ``round`` (from 0), ``trials`` (how many) and
        ``ranges``, name -> ``[low, high]`` in the parameter's own units, or ``{"choices": [...]}``.
        About a tenth of the trials of a later round search the full ranges.
    random_state_ : the seed; as ``random_state`` it gives the same search again
    study_name_ : where the trials are; None without a storage
    scorer_, n_splits_, refit_time_, multimetric_, classes_, n_features_in_, feature_names_in_ : as
        in scikit-learn

    Examples
    --------
    >>> from optuna.distributions import FloatDistribution
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.linear_model import Ridge
    >>> from hpo import NarrowingSearchCV
    >>> ranges = {"alpha": FloatDistribution(1e-6, 1, log=True)}
    >>> search = NarrowingSearchCV(Ridge(), ranges, n_trials=20, cv=5, random_state=0)
    >>> search.fit(*load_diabetes(return_X_y=True)).best_params_
    """

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012  # named by scikit-learn
        **RecordedSearchCV._parameter_constraints,  # noqa: SLF001
        "param_distributions": [dict],
        "n_trials": [Interval(Integral, 1, None, closed="left")],
        "n_rounds": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "storage": [str, BaseStorage, None],
        "study_name": [str, None],
    }

    def __init__(
        self,
        estimator: Any,
        param_distributions: Mapping[str, BaseDistribution],
        *,
        n_trials: int = 60,
        n_rounds: int = 5,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: int | str = "2*n_jobs",
        random_state: Any = None,
        error_score: Any = np.nan,
        return_train_score: bool = False,
        storage: str | BaseStorage | None = None,
        study_name: str | None = None,
    ) -> None:
        super().__init__(
            estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.param_distributions = param_distributions
        self.n_trials = n_trials
        self.n_rounds = n_rounds
        self.random_state = random_state
        self.storage = storage
        self.study_name = study_name

    def __sklearn_clone__(self) -> Self:
        # A copy of a storage may be another one, so clones share it.
        bare = copy.copy(self)
        bare.storage = None
        clone_: Self = super(NarrowingSearchCV, bare).__sklearn_clone__()
        clone_.storage = self.storage
        return clone_

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        text: str = super().__repr__(N_CHAR_MAX)
        return _PASSWORD.sub(r"\1:***@", text)

    @property
    def set_callbacks(self) -> NoReturn:
        """Callbacks of scikit-learn 1.9, which this search does not call, so it takes none."""
        raise AttributeError("NarrowingSearchCV takes no callbacks; use verbose, or a storage")

    def _trials(self, task: Task) -> list[Trial]:
        """All trials of the search, in the order of their numbers."""
        check_space(self.estimator, self.param_distributions)
        with ExitStack() as stack:
            return self._search(task, self._records(task, stack))

    def _records(self, task: Task, stack: ExitStack) -> Records:
        """Where the trials are kept until the stack ends; decides on the seed."""
        drawn = not isinstance(self.random_state, Integral)
        seed = self.random_state
        if drawn:
            seed = check_random_state(seed).randint(np.iinfo(np.int32).max)
        self.random_state_ = int(seed)
        self.study_name_ = None
        if self.storage is None:
            return NoRecords()
        fingerprint = task.fingerprint(self, self._settings.trials_per_round)
        if not drawn:
            fingerprint[study.SEED] = str(seed)
        self.study_name_ = self.study_name or task.name(self, fingerprint)
        storage = stack.enter_context(study.opened(self.storage))
        if drawn and (stored := study.stored_seed(storage, self.study_name_)) is not None:
            self.random_state_ = stored
        fingerprint[study.SEED] = str(self.random_state_)
        entered = study.enter(storage, self.study_name_, fingerprint)
        return study.StudyRecords(entered, self.param_distributions)

    @property
    def _settings(self) -> NarrowingSettings:
        size = -(-self.n_trials // self.n_rounds)
        return NarrowingSettings(self.random_state_, size, self.n_rounds)

    def _search(self, task: Task, records: Records) -> list[Trial]:
        """All trials, in the order of their numbers."""
        options = {
            "scorer": task.scorers,
            "fit_params": task.fit_params,
            "score_params": task.score_params,
            "return_train_score": self.return_train_score,
            "return_n_test_samples": True,
            "return_times": True,
            "error_score": self.error_score,
            "verbose": self.verbose,
        }
        one_by_one = not isinstance(records, NoRecords)
        with parallel(self.n_jobs, self.pre_dispatch, one_by_one=one_by_one) as workers:
            evaluate = Evaluation(
                clone(self.estimator), task.X, task.y, task.splits, workers, options, self.n_trials
            )
            trials, self.rounds_ = in_rounds(
                self.param_distributions,
                self._settings,
                self.n_trials,
                evaluate,
                self._score,
                records,
                self._announce,
            )
        return trials

    def _announce(self, found: Mapping[str, Any]) -> None:
        if self.verbose > 0:
            n_rounds = -(-self.n_trials // self._settings.trials_per_round)
            ranges = [f"{name} {_searched(left)}" for name, left in found["ranges"].items()]
            words = [
                f"Round {found['round'] + 1} of {n_rounds}",
                f"{self.n_splits_} folds for each of {found['trials']} candidates",
                *([", ".join(ranges)] if ranges else []),
            ]
            print("; ".join(words))  # noqa: T201  # as scikit-learn does when it is asked to


def _searched(left: Any) -> str:
    if isinstance(left, dict):
        return "|".join(map(str, left["choices"]))
    low, high = left
    return f"{low:g}..{high:g}"
