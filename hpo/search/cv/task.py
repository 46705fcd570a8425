"""What a search over candidates is given, checked and divided as scikit-learn does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from sklearn.base import clone, is_classifier
from sklearn.model_selection import check_cv
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import indexable
from sklearn.utils.validation import _check_method_params

from hpo.search.cv.fingerprint import Fingerprint, describe, digest, sealed, shortened
from hpo.search.cv.rounds import Split

_KINDS = (FloatDistribution, IntDistribution, CategoricalDistribution)


@dataclass(frozen=True)
class Task:
    """The rows of a search, how they are scored, and how they are split.

    Parameters
    ----------
    scorers : a scorer, or several as one, as ``_fit_and_score`` takes them
    X, y : rows and targets; y may be None
    splits : the folds
    fit_params, score_params, split_params : what was given to ``fit``, by who is to get it
    """

    scorers: Any
    X: Any
    y: Any
    splits: list[Split]
    fit_params: dict[str, Any]
    score_params: dict[str, Any]
    split_params: dict[str, Any]

    @classmethod
    def of(cls, search: BaseSearchCV, X: Any, y: Any, params: dict[str, Any]) -> Self:
        """Route the parameters of a fit and split the rows.

        Raises
        ------
        ValueError
            For scorers, parameters or rows that do not fit together, in scikit-learn's words.
        """
        scorers, _ = search._get_scorers()  # noqa: SLF001  # what its subclasses build on
        X, y = indexable(X, y)
        params = _check_method_params(X, params=params)
        routed = search._get_routed_params_for_fit(params)  # noqa: SLF001
        cv = check_cv(search.cv, y, classifier=is_classifier(search.estimator))
        split_params = routed.splitter.split
        splits = list(cv.split(X, y, **split_params))
        if not splits:
            raise ValueError("cv has no folds: it must give at least one")
        return cls(scorers, X, y, splits, routed.estimator.fit, routed.scorer.score, split_params)

    def fingerprint(self, search: Any, trials_per_round: int) -> Fingerprint:
        """What fixes the results of a search, but for its seed.

        How many trials there are in all is no part of it: rounds do not depend on those after them.
        """
        parts = {
            "estimator": clone(search.estimator),
            "param_distributions": dict(sorted(search.param_distributions.items())),
            "number of trials per round": trials_per_round,
            "scoring": search.scoring,
            "error_score": search.error_score,
            "return_train_score": search.return_train_score,
            "metric to narrow by": self._metric(search),
        }
        rows = {
            "X": self.X,
            "y": self.y,
            "set of folds": self.splits,
            "set of fit parameters": [self.fit_params, self.score_params, self.split_params],
        }
        return {name: shortened(describe(part)) for name, part in parts.items()} | {
            name: sealed(part) for name, part in rows.items()
        }

    def _metric(self, search: Any) -> str | None:
        """The name of the metric by which the ranges narrow, as far as it is known beforehand."""
        several = getattr(self.scorers, "_scorers", {})
        if isinstance(search.refit, str) and (several or callable(search.scoring)):
            return search.refit
        return next(iter(several), None)

    @staticmethod
    def name(search: Any, fingerprint: Fingerprint) -> str:
        """A name for the study of this search and no other: ``Ridge-1f3a5c7e9b2d``."""
        return f"{type(search.estimator).__name__}-{digest(describe(fingerprint))}"


def check_space(estimator: Any, distributions: Mapping[str, BaseDistribution]) -> None:
    """Refuse what cannot be searched, before anything is fitted.

    Raises
    ------
    ValueError
        If there is nothing to search, or a parameter that the estimator does not have.
    TypeError
        If something is no distribution of Optuna's.
    """
    if not distributions:
        raise ValueError("param_distributions is empty: name a parameter and its distribution")
    for name, distribution in distributions.items():
        if not isinstance(distribution, _KINDS):
            raise TypeError(
                f"param_distributions: {name} is a {type(distribution).__name__}; give it a "
                "distribution of Optuna's, e.g. FloatDistribution(1e-6, 1, log=True)"
            )
    known = estimator.get_params()
    for name in distributions:
        if name not in known:
            raise ValueError(
                f"param_distributions: {type(estimator).__name__} has no parameter {name!r}; "
                f"it has {', '.join(known)}"
            )
