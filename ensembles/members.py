"""To train the members of an ensemble, as one stack where they can, and to ask them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils.validation import has_fit_parameter

from ensembles.combining import aligned_proba, votes
from ensembles.losses import Values
from ensembles.protocols import BatchLearner

STACK = 16
"""Members that are trained as one stack. What they share is learnt from the rows of all of them, so
this must not depend on how many processes there are."""

LARGEST_SEED = np.iinfo(np.int32).max


def draw_seeds(random_state: np.random.RandomState, n_seeds: int) -> list[int]:
    """Seeds of so many learners."""
    return [int(each) for each in random_state.randint(LARGEST_SEED, size=n_seeds)]


def seeded(estimator: Any, seed: int) -> dict[str, int]:
    """The parameters that seed a learner and the learners inside of it, each in its own way."""
    return own_seeds(estimator, np.random.RandomState(seed))


def own_seeds(estimator: Any, generator: np.random.RandomState) -> dict[str, int]:
    """Likewise, drawn from ``generator`` in the order of scikit-learn: by names."""
    names = sorted(
        name
        for name in estimator.get_params(deep=True)
        if name == "random_state" or name.endswith("__random_state")
    )
    return dict(zip(names, draw_seeds(generator, len(names)), strict=True))


def takes_weights(estimator: Any) -> bool:
    """Whether the learner can weigh rows."""
    return bool(has_fit_parameter(estimator, "sample_weight"))


def fit_members(
    estimator: Any,
    X: Any,
    y: NDArray[Any],
    params: Sequence[Mapping[str, Any]],
    weights: NDArray[Any],
    *,
    n_jobs: int | None = None,
) -> list[Any]:
    """Fitted copies of ``estimator``, for each of ``params`` one, with its own weights of rows.

    Parameters
    ----------
    params : what is different in each copy
    weights : (members, rows), not negative; a row of weight 0 is not there. For a learner that
        takes no weights they must be whole numbers: rows are repeated so often.
    n_jobs : processes; networks are trained in stacks of `STACK`, whatever it is

    Raises
    ------
    ValueError
        If the training of a member diverged, or weights cannot be used.
    """
    if isinstance(estimator, BatchLearner):
        # The first one's seed is also that of what all of them share, such as the order of rows.
        leader = clone(estimator).set_params(**params[0])
        starts = range(0, len(params), STACK)
        stacks = (
            joblib.delayed(_fit_stack)(leader, X, y, params[each : each + STACK], part)
            for each in starts
            for part in [weights[each : each + STACK]]
        )
        parts = joblib.Parallel(n_jobs=n_jobs if len(starts) > 1 else 1)(stacks)
        members = [member for part in parts for member in part]
        lost = sum(getattr(each, "diverged_", False) for each in members)
        if lost:
            raise ValueError(
                f"the training of {lost} of {len(members)} networks diverged: lower their "
                "learning_rate"
            )
        return members
    work = (
        joblib.delayed(fit_one)(clone(estimator).set_params(**each), X, y, row)
        for each, row in zip(params, weights, strict=True)
    )
    fitted: list[Any] = joblib.Parallel(n_jobs=n_jobs)(work)
    return fitted


def _fit_stack(
    leader: Any,
    X: Any,
    y: NDArray[Any],
    params: Sequence[Mapping[str, Any]],
    weights: NDArray[Any],
) -> list[Any]:
    return list(leader.fit_many(X, y, params, weights))


def fit_one(estimator: Any, X: Any, y: NDArray[Any], weights: NDArray[Any]) -> Any:
    """Fit ``estimator`` itself on the rows whose weight is not 0; ``weights`` (rows,)."""
    if takes_weights(estimator):
        # Rows of weight 0 stay: some learners would otherwise not hear of their classes.
        return estimator.fit(X, y, sample_weight=weights)
    counts = np.asarray(weights)
    if (counts != np.round(counts)).any():
        raise ValueError(
            f"{type(estimator).__name__} takes no sample_weight, so rows cannot weigh "
            f"{counts[counts != np.round(counts)][0]:g}"
        )
    chosen = np.repeat(np.arange(len(counts)), counts.astype(np.int64))
    return estimator.fit(X[chosen], y[chosen])


def outputs(member: Any, X: Any, n_classes: int | None, *, hard: bool = False) -> Values:
    """What a member predicts: probabilities (rows, n_classes), or values (rows, outputs).

    ``hard``: 1 for the class that it predicts, 0 for the others.
    """
    if n_classes is not None:
        return votes(member, X, n_classes) if hard else aligned_proba(member, X, n_classes)
    values: Values = np.asarray(member.predict(X), np.float64)
    return values.reshape(len(values), -1)


def stacked_outputs(
    members: Sequence[Any], X: Any, n_classes: int | None, *, n_jobs: int | None = None
) -> Values:
    """Predictions of all members, (members, rows, outputs)."""
    work = (joblib.delayed(outputs)(each, X, n_classes) for each in members)
    # Threads: the members are large, and most of them compute outside of Python.
    found = joblib.Parallel(n_jobs=n_jobs, prefer="threads")(work)
    return np.stack(found)
