"""scikit-learn's search over candidates, with a loop of its own."""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import _fit_context, clone
from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._validation import (
    _insert_error_scores,
    _warn_or_raise_about_fit_failures,
)

from hpo.search.cv.rounds import Trial
from hpo.search.cv.task import Task


class RecordedSearchCV(BaseSearchCV):  # type: ignore[misc]
    """A search whose trials may come from a record.

    scikit-learn's own ``fit`` hands candidates to be evaluated to `_run_search`, and keeps what
    came of them to itself: nothing can be recorded before a whole round is done, a round in which
    all fits fail ends the search, and one that has nothing left to evaluate cannot end. So the
    order of things is ours, and the things are scikit-learn's: routing, scorers, fitting and
    scoring a fold, the table of results, which candidate is the best.
    """

    @_fit_context(prefer_skip_nested_validation=False)  # type: ignore[untyped-decorator]
    def fit(self, X: ArrayLike, y: ArrayLike | None = None, **params: Any) -> Self:
        """Search, or go on searching, and fit the best candidate on all rows.

        Parameters
        ----------
        X : (rows, features), or whatever else the estimator takes
        y : (rows,) or (rows, outputs); None without a target
        **params : of the estimator's ``fit``, of the splitter (``groups``) and of the scorers, as
            `RandomizedSearchCV` routes them. What has an entry for each row is split like the rows.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If all fits failed, if the study was begun with something else (the line says with
            what), or for parameters that cannot be used.
        """
        task = Task.of(self, X, y, params)
        self.n_splits_ = len(task.splits)
        self._select(task, self._trials(task))
        if self.refit:
            self._refit(task)
        return self

    @abstractmethod
    def _trials(self, task: Task) -> list[Trial]:
        """All trials of the search, in the order of their numbers."""

    def _score(self, trial: Trial) -> float:
        """The mean over the folds of the metric by which the ranges narrow."""
        scores = [fold["test_scores"] for fold in trial.folds]
        if callable(self.scoring):
            # Only now it is known which metrics it has. A fold that failed has none by name.
            for each in scores:
                if isinstance(each, dict):
                    self._check_refit_for_multimetric(each)
        return float(np.mean([self._of_metric(each) for each in scores]))

    def _of_metric(self, scores: Any) -> float:
        if not isinstance(scores, dict):
            return float(scores)
        named = isinstance(self.refit, str)
        return float(scores[self.refit] if named else next(iter(scores.values())))

    def _select(self, task: Task, trials: list[Trial]) -> None:
        """Set the results, and which candidate is the best, by scikit-learn's own rules."""
        folds = [fold for trial in trials for fold in trial.folds]
        _warn_or_raise_about_fit_failures(folds, self.error_score)
        if callable(self.scoring):
            _insert_error_scores(folds, self.error_score)
        self.multimetric_ = isinstance(folds[0]["test_scores"], dict)
        params = [trial.params for trial in trials]
        results = self._format_results(params, self.n_splits_, folds)
        if self.refit or not self.multimetric_:
            metric = self.refit if self.multimetric_ else "score"
            self.best_index_ = self._select_best_index(self.refit, metric, results)
            if not callable(self.refit):
                self.best_score_ = results[f"mean_test_{metric}"][self.best_index_]
            self.best_params_ = params[self.best_index_]
        self.scorer_ = getattr(task.scorers, "_scorers", task.scorers)
        self.cv_results_ = results

    def _refit(self, task: Task) -> None:
        """Fit the best candidate on all rows."""
        best = clone(self.estimator).set_params(**clone(self.best_params_, safe=False))
        target = () if task.y is None else (task.y,)
        began = time.time()
        self.best_estimator_ = best.fit(task.X, *target, **task.fit_params)
        self.refit_time_ = time.time() - began
        if hasattr(best, "feature_names_in_"):
            self.feature_names_in_ = best.feature_names_in_
