"""Ways of making one model of many candidates, each scored on rows that had no part in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from sklearn.linear_model import LogisticRegression, RidgeCV

from ensembles.combining import (
    Blend,
    Combination,
    Combiner,
    Greedy,
    Mean,
    Simplex,
    Single,
    Stack,
    WeightedMean,
    held_out_predictions,
    loss_for,
)
from ensembles.losses import Values, loss_of
from ensembles.value import Cost
from hpo.ensembling.candidates import Candidate
from hpo.ensembling.pools import Pool

BEST = "best"
"""The one best candidate, with which every ensemble is compared."""

SHRINKAGE = 0.1
"""C of the logistic regression that stacks: log-odds of good models hardly need to be changed."""

BLEND = "blend"
"""The mean of what greedy selection and stacking give."""

METHODS = ("greedy", "stacking", BLEND, "mean", "weights")
"""Those that combine the candidates."""

REWEIGHTED = ("bagging", "boosting")
"""Those that make one of the best trial alone."""


@dataclass(frozen=True, eq=False)
class Assembled:
    """What a method made of the candidates.

    ``prediction`` (rows, outputs) is that of rows of which neither the combination nor, of a
    selection, the choice knew; ``loss`` is its log loss, or mean squared error in standard
    deviations of the training target. ``combination`` is the one learnt from all rows, of
    ``members``.
    """

    method: str
    members: Sequence[Candidate]
    combination: Combination
    prediction: Values
    loss: float


@dataclass(frozen=True)
class Budget:
    """The most that an ensemble may take: to predict 1,000 rows, and to be stored."""

    milliseconds: float = math.inf
    n_bytes: float = math.inf

    @property
    def is_free(self) -> bool:
        """Whether anything fits."""
        return self == Budget()

    def holds(self, members: Sequence[Candidate]) -> bool:
        """Whether all of them fit together."""
        spent = _costs(members).sum(axis=0)
        return bool((spent <= [self.milliseconds, self.n_bytes]).all())


def combiner(
    method: str, candidates: Sequence[Candidate], budget: Budget, *, classes: bool
) -> Combiner:
    """How a method learns to combine; greedy selection keeps to the budget while it selects."""
    if method == "greedy":
        if budget.is_free:
            return Greedy(classes)
        limits = np.array([budget.milliseconds, budget.n_bytes])
        return Greedy(classes, costs=_costs(candidates), budget=limits)
    if method == "stacking":
        return _stack(classes=classes)
    if method == BLEND:
        return Blend((Greedy(classes), _stack(classes=classes)))
    simple: dict[str, Callable[[bool], Combiner]] = {BEST: Single, "mean": Mean, "weights": Simplex}
    return simple[method](classes)


def _stack(*, classes: bool) -> Stack:
    if classes:
        return Stack(classes, LogisticRegression(C=SHRINKAGE, max_iter=5000), "log_odds")
    return Stack(classes, RidgeCV(np.logspace(-3, 3, 13)))


FREE = Budget()


def _costs(candidates: Sequence[Candidate]) -> Values:
    """Milliseconds and bytes of each, (members, 2)."""
    known = [each.cost or Cost(0.0, 0) for each in candidates]
    return np.array([(each.milliseconds, each.n_bytes) for each in known], np.float64)


def assemble(
    method: str, candidates: Sequence[Candidate], pool: Pool, budget: Budget = FREE
) -> Assembled:
    """Learn a combination of the candidates' predictions, and score it on rows it did not see.

    Over folds: learnt from the rows of all folds but one, it predicts those of that one.
    """
    classes = pool.n_classes is not None
    predictions = np.stack([each.prediction for each in candidates])
    how = combiner(method, candidates, budget, classes=classes)
    prediction = held_out_predictions(how, predictions, pool.y, pool.folds)
    learnt = how.fit(predictions, pool.y)
    loss = loss_of(loss_for(classes=classes), prediction, pool.y)
    return Assembled(method, candidates, learnt, prediction, loss)


def alone(candidate: Candidate, pool: Pool) -> Assembled:
    """A candidate that is an ensemble by itself."""
    loss = loss_of(loss_for(classes=pool.n_classes is not None), candidate.prediction, pool.y)
    whole = WeightedMean(np.ones(1))
    return Assembled(candidate.name, [candidate], whole, candidate.prediction, loss)


def trimmed(assembled: Assembled) -> Assembled:
    """Likewise without the members that the combination does not need."""
    weights = assembled.combination.weights
    if weights is None:
        return assembled
    taken = np.flatnonzero(weights).tolist()
    members = [assembled.members[each] for each in taken]
    return replace(assembled, members=members, combination=WeightedMean(weights[taken]))
