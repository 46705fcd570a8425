"""From the rows that a user gives to those that a stack is trained on and measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import is_regressor
from sklearn.utils.validation import validate_data

from hpo.estimators import options, starting
from hpo.estimators.inputs import InputScaling
from hpo.estimators.moments import Values
from hpo.estimators.scores import Score
from hpo.estimators.tasks import Coders, SeveralTasks, Task
from hpo.estimators.weights import (
    class_weights,
    for_training,
    row_weights,
    validation_weights,
)
from hpo.nn.architecture import Floats
from hpo.nn.measuring import Targets
from hpo.nn.members import Rows

if TYPE_CHECKING:
    from hpo.estimators.base import BaseMLP


class HeldOut(NamedTuple):
    """Validation rows, their target and their weights, as they were given."""

    X: ArrayLike | None = None
    y: ArrayLike | None = None
    weights: ArrayLike | None = None


@dataclass(frozen=True, eq=False)
class Encoded:
    """Rows as the networks see them, and what made them so.

    ``weights`` (rows,) or (members, rows), None where all rows count alike; ``y`` as it was given.
    Rows that count for nobody are gone. ``score`` is that of the first target.
    """

    scaling: InputScaling
    coders: Coders
    X: NDArray[np.float32]
    targets: Targets
    weights: Values | None
    y: NDArray[Any]
    validation: Rows | None
    score: Score

    def training(self, estimators: Sequence[Any]) -> Rows:
        """The training rows of a stack, with the weights that its members give to classes."""
        given = [getattr(each, "class_weight", None) for each in estimators]
        factors = [class_weights(each, self.coders[0], self.y) for each in given]
        return Rows(self.X, self.targets, for_training(self.weights, factors))

    def row_loss(self, prediction: Floats, targets: Targets) -> Floats:
        """The first target's row loss; its score is 1 - mean / baseline."""
        stop = self.coders[0].head.n_outputs
        return self.score.row_loss(prediction[..., :stop], targets[0])


def encode(
    estimator: BaseMLP,
    X: ArrayLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None,
    held_out: HeldOut,
    *,
    reuse: bool,
    classes: NDArray[Any] | None = None,
) -> Encoded:
    """Check the data and encode it; with ``reuse`` as the estimator did before.

    ``classes``: what to learn the target's coding from, if not from ``y``.
    """
    task = options.task(estimator)
    features, target = _checked(estimator, task, X, y, reset=not reuse)
    weights = row_weights(sample_weight, len(features))
    if weights is not None:
        there = (weights > 0).reshape(-1, len(features)).any(axis=0)
        features, target = features[there], target[there]
        weights = np.ascontiguousarray(weights[..., there])
    shared = weights.mean(axis=0) if weights is not None and weights.ndim == 2 else weights
    scaling = _scaling(estimator, features, shared, reuse=reuse)
    if reuse:
        coders = estimator.coders_
        task.check(coders)
    else:
        coders = task.coders(target if classes is None else classes, shared)
    targets = _targets(task, coders, target)
    validation = _validation(estimator, task, coders, scaling, held_out)
    inputs = scaling.transform(features)
    measured = Rows(inputs, targets, shared) if validation is None else validation
    score = coders[0].score(measured.targets[0], measured.weights)
    return Encoded(scaling, coders, inputs, targets, weights, target, validation, score)


def _scaling(
    estimator: BaseMLP, X: NDArray[Any], weights: Values | None, *, reuse: bool
) -> InputScaling:
    """How inputs are seen: as before, as the network saw them that is started from, or anew."""
    if reuse:
        return estimator.scaling_
    source = starting.source_of(estimator)
    if source is None:
        # Pixels on scales of their own would be no image any more.
        jointly = options.augmentation(estimator) is not None
        return InputScaling.fit(X, weights, options.scaling_of(estimator), jointly=jointly)
    scaling: InputScaling = source.scaling_
    if len(scaling.centre) != X.shape[1]:
        raise ValueError(
            f"X has {X.shape[1]} features, but the network of init_from saw "
            f"{len(scaling.centre)} features"
        )
    return scaling


def _validation(
    estimator: BaseMLP, task: Task, coders: Coders, scaling: InputScaling, held_out: HeldOut
) -> Rows | None:
    X, y, weights = held_out
    if (X is None) != (y is None):
        raise ValueError("X_val and y_val belong together; one of them is missing")
    if X is None or y is None:
        if weights is not None:
            raise ValueError("sample_weight_val belongs to X_val and y_val, which are missing")
        return None
    features, target = _checked(estimator, task, X, y, reset=False)
    checked = validation_weights(weights, len(features))
    return Rows(scaling.transform(features), _targets(task, coders, target), checked)


def _targets(task: Task, coders: Coders, y: NDArray[Any]) -> Targets:
    columns = task.columns(y)
    if len(columns) != len(coders):
        raise ValueError(f"the target has {len(columns)} columns, not {len(coders)}")
    return tuple(coder.encode(column) for coder, column in zip(coders, columns, strict=True))


def _checked(
    estimator: BaseMLP, task: Task, X: ArrayLike, y: ArrayLike, *, reset: bool
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Contiguous arrays of finite numbers, and the target as scikit-learn checks it."""
    if isinstance(task, SeveralTasks) and isinstance(y, list | tuple):
        y = np.array(y, dtype=object)  # of words and numbers NumPy would make words
    # A sum tells scikit-learn whether all is finite, and it need not be finite for that.
    with np.errstate(over="ignore", invalid="ignore"):
        features, target = validate_data(
            estimator,
            X,
            y,
            dtype=[np.float64, np.float32],
            multi_output=True,
            y_numeric=is_regressor(estimator),
            reset=reset,
        )
    # NumPy adds up in an order that depends on the layout.
    return np.ascontiguousarray(features), task.shaped(dense(target))


def dense(y: Any, dtype: Any = None) -> NDArray[Any]:
    """``y`` as a contiguous array, refused if it is sparse."""
    if hasattr(y, "toarray"):
        raise TypeError("Sparse data was passed for y, but dense data is required: use y.toarray()")
    return np.ascontiguousarray(y, dtype=dtype)
