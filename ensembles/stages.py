"""One stage of gradient boosting: what learns the gradient, and how far it is followed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils import get_tags

from ensembles.boosting_losses import BoostingLoss
from ensembles.line_search import line_search
from ensembles.losses import Values
from ensembles.members import own_seeds
from ensembles.out_of_fold import fit_on


@dataclass(frozen=True, eq=False)
class Rows:
    """Training rows: ``X`` (rows, features), ``y`` (rows,), ``weights`` (rows,) or None."""

    X: NDArray[Any]
    y: NDArray[Any]
    weights: Values | None

    def some(self, places: NDArray[np.int64]) -> Rows:
        """Those at ``places`` only."""
        weights = None if self.weights is None else self.weights[places]
        return Rows(self.X[places], self.y[places], weights)

    def counts(self) -> Values:
        """What each row counts, (rows,)."""
        return np.ones(len(self.y)) if self.weights is None else self.weights


@dataclass(frozen=True, eq=False)
class Stage:
    """Fitted ``learners``, one for all outputs or one for each, and the ``factor`` of the stage."""

    learners: tuple[Any, ...]
    factor: float


def fit_stage(
    learner: Any,
    loss: BoostingLoss,
    rows: Rows,
    scores: Values,
    *,
    drawn: NDArray[np.int64] | None,
    max_step: float,
    generator: np.random.RandomState,
) -> tuple[Stage, Values]:
    """Learn the negative gradient at ``scores``, and search along it; and what was learnt.

    Friedman 2001, algorithm 1, lines 3 to 5.

    Parameters
    ----------
    scores : (rows, outputs)
    drawn : places of the rows that take part; None for all
    max_step : see `line_search`
    generator : seeds the learners

    Returns
    -------
    The stage, and what its learners predict for all rows, (rows, outputs).
    """
    own, at = (rows, scores) if drawn is None else (rows.some(drawn), scores[drawn])
    gradient = loss.negative_gradient(own.y, at)
    learners = _fit_learners(learner, own, gradient, generator)
    learnt = stage_outputs(learners, rows.X)
    direction = learnt if drawn is None else learnt[drawn]
    factor = line_search(loss, own.y, at, direction, own.counts(), max_step)
    return Stage(learners, factor), learnt


def _fit_learners(
    learner: Any, rows: Rows, gradient: Values, generator: np.random.RandomState
) -> tuple[Any, ...]:
    several = gradient.shape[1] > 1
    targets = [gradient] if several and learns_several(learner) else list(gradient.T)
    fitted = []
    for target in targets:
        fresh = clone(learner)
        fresh.set_params(**own_seeds(fresh, generator))
        fitted.append(fit_on(fresh, rows.X, target, rows.weights))
    return tuple(fitted)


def learns_several(learner: Any) -> bool:
    """Whether a learner takes targets (rows, outputs)."""
    return bool(get_tags(learner).target_tags.multi_output)


def stage_outputs(learners: tuple[Any, ...], X: Any) -> Values:
    """What the learners of a stage predict, (rows, outputs); ``ValueError`` if it is not finite."""
    found = [np.asarray(each.predict(X), np.float64) for each in learners]
    joined: Values = np.hstack([each.reshape(len(each), -1) for each in found])
    if not np.isfinite(joined).all():
        raise ValueError(f"{type(learners[0]).__name__} predicts values that are not finite")
    return joined
