"""Scores of predictions, of which greater is better: scikit-learn's scorers of the same name.

Some are functions of the mean loss of the rows, which makes a bootstrap over rows one matrix
product: `row_loss @ weights`. The others are scikit-learn's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hpo.data.scorer_names import find_scorer, refuse_positive
from hpo.data.scorers import REPLICATES, ScorerMetric

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from hpo.data.schema import Task

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RowMetric:
    """A loss of each row, and the score that the mean of the losses amounts to.

    Attributes
    ----------
    name : as in scikit-learn
    task : what it scores
    least_rows : fewer rows than these have no score
    loss_of_rows : (members, rows, outputs) predictions and (rows,) target to (members, rows)
    score_of_mean : mean loss, target and weights to the score
    """

    name: str
    task: Task
    loss_of_rows: Callable[[NDArray[Any], NDArray[Any]], Floats]
    score_of_mean: Callable[[Floats, NDArray[Any], NDArray[Any] | None], Floats]
    least_rows: int = 1

    def row_loss(self, prediction: NDArray[Any], target: NDArray[Any]) -> Floats:
        """Return the loss of each row.

        Parameters
        ----------
        prediction : (members, rows, classes) probabilities, or (members, rows, 1) in the target's
            units
        target : (rows,) class indices, or values

        Returns
        -------
        (members, rows) float64; NaN where a prediction is not finite or its loss overflows
        """
        with np.errstate(over="ignore", invalid="ignore"):
            loss = self.loss_of_rows(prediction, target)
        usable = np.isfinite(loss) & np.isfinite(prediction).all(axis=-1)
        return np.where(usable, loss, np.nan)

    def score(
        self, mean_loss: Floats, target: NDArray[Any], weights: NDArray[Any] | None = None
    ) -> Floats:
        """Return the score, of the shape of `mean_loss`; NaN where that is NaN.

        Parameters
        ----------
        mean_loss : (members,), or (members, replicates): the mean of the row losses, weighted by
            `weights`
        target : (rows,) class indices, or values
        weights : (rows,), or (replicates, rows): how often each row counts; None: each once
        """
        return self.score_of_mean(np.asarray(mean_loss, dtype=np.float64), target, weights)

    def __call__(self, prediction: NDArray[Any], target: NDArray[Any]) -> Floats:
        """Return the score of each member, (members,); NaN if any prediction is not finite."""
        with np.errstate(over="ignore"):
            mean_loss = self.row_loss(prediction, target).mean(axis=-1)
        return self.score(mean_loss, target)

    def complaint(self, _prediction: NDArray[Any], _target: NDArray[Any]) -> str:
        """Why there is no finite score: of that nothing is known here."""
        return ""

    def shortcoming(self, target: NDArray[Any], _n_outputs: int) -> str:
        """What it is, if it cannot score these rows, whatever is predicted; empty if it can."""
        few = len(target) < self.least_rows
        return f"needs at least {self.least_rows}" if few else ""

    def evidence(self, prediction: NDArray[Any], target: NDArray[Any]) -> Floats:
        """Return what scores of any choice of rows follow from: here the loss of each row."""
        return self.row_loss(prediction, target)

    def resampled(
        self,
        evidence: Floats,
        counts: Floats,
        target: NDArray[Any],
        chosen: NDArray[np.int64] | None = None,
    ) -> Floats:
        """Return the scores of the rows that are drawn; NaN where none is.

        Parameters
        ----------
        evidence : (members, rows) losses
        counts : (replicates, rows): how often each row is drawn
        target : (rows,) class indices, or values
        chosen : (replicates,): the only member that is asked for; None for all

        Returns
        -------
        (members, replicates), or (replicates,) of those chosen
        """
        drawn = counts.sum(axis=1)
        mean_loss = evidence @ counts.T / np.where(drawn > 0, drawn, np.nan)
        scores = self.score(mean_loss, target, counts)
        return scores if chosen is None else scores[chosen, np.arange(len(counts))]

    def replicates(self, _evidence: Floats) -> int:
        """How many replicates of a bootstrap these members are worth."""
        return REPLICATES

    def most_trials(self, n_rows: int, _n_outputs: int, n_bytes: int) -> int:
        """Of how many trials the evidence is to be held in so much memory, two at least."""
        return max(2, n_bytes // (8 * n_rows))


Metric = RowMetric | ScorerMetric


def default_metric(task: Task) -> str:
    """Return the name of the metric that a search maximises unless told otherwise."""
    return "accuracy" if task == "classification" else "r2"


def find_metric(
    name: str, task: Task, classes: Sequence[str] = (), positive: str | None = None
) -> Metric:
    """Return the metric of that name.

    Parameters
    ----------
    name : of a scorer of scikit-learn
    task : what it must score
    classes : the labels in their order; only metrics that are means over rows need none
    positive : of two classes the one that a metric such as f1 looks for; None for what
        scikit-learn does

    Raises
    ------
    ValueError
        There is no such metric, or it cannot score this target; the message is one line.
    """
    metric = METRICS.get(name)
    if metric is None or metric.task != task:
        return find_scorer(name, task, classes, positive)
    if positive is not None:
        refuse_positive(name)
    return metric


def _variance(target: NDArray[Any], weights: NDArray[Any] | None) -> Floats:
    """Return the weighted variance of the target: (), or (replicates,); NaN below two rows.

    A row without weight is none.
    """
    counts = np.ones(len(target)) if weights is None else np.asarray(weights, dtype=np.float64)
    total = np.where((counts > 0).sum(axis=-1) < 2, np.nan, counts.sum(axis=-1))
    centred = target - target[0]  # so that the variance of a constant target is exactly 0
    mean = np.asarray(counts @ centred / total)
    return np.asarray((counts * (centred - mean[..., None]) ** 2).sum(axis=-1) / total)


def zero_one(prediction: NDArray[Any], target: NDArray[Any]) -> Floats:
    """1 where another class than ``target`` (rows,) is the most probable one, else 0.

    ``prediction`` (members, rows, classes); of classes that are equally probable the first counts,
    as with argmax, which takes several times longer over few classes.
    """
    by_class = np.ascontiguousarray(np.moveaxis(prediction, -1, 0))
    best = by_class.max(axis=0)
    wrong = best != by_class[target, :, np.arange(len(target))].T
    shared = (by_class == best).sum(axis=0, dtype=np.uint8 if len(by_class) < 256 else None) > 1
    if shared.any():
        _, rows = np.nonzero(shared)
        wrong[shared] = prediction[shared].argmax(axis=-1) != target[rows]
    return np.asarray(wrong, dtype=np.float64)


def _cross_entropy(prediction: NDArray[Any], target: NDArray[Any]) -> Floats:
    """Return -log p of the true class, clipped by the precision of p as in scikit-learn."""
    eps = np.finfo(prediction.dtype).eps
    true = np.clip(prediction[:, np.arange(len(target)), target], eps, 1 - eps)
    return np.asarray(-np.log(true.astype(np.float64)))


def _squared_error(prediction: NDArray[Any], target: NDArray[Any]) -> Floats:
    return np.square(_error(prediction, target))


def _absolute_error(prediction: NDArray[Any], target: NDArray[Any]) -> Floats:
    return np.abs(_error(prediction, target))


def _error(prediction: NDArray[Any], target: NDArray[Any]) -> Floats:
    return np.asarray(prediction[..., 0].astype(np.float64) - target)


def _r2(mean_loss: Floats, target: NDArray[Any], weights: NDArray[Any] | None) -> Floats:
    """Return 1 - loss / variance; for a constant target 1 if it is met, else 0."""
    variance = _variance(target, weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        score = 1 - mean_loss / variance
    if_constant = np.where(mean_loss > 0, 0.0, np.where(mean_loss == 0, 1.0, np.nan))
    return np.where(variance == 0, if_constant, score)


def _accuracy(mean_loss: Floats, *_: object) -> Floats:
    return 1 - mean_loss


def _negative(mean_loss: Floats, *_: object) -> Floats:
    return -mean_loss


def _negative_root(mean_loss: Floats, *_: object) -> Floats:
    return -np.sqrt(mean_loss)


def _table(*metrics: RowMetric) -> dict[str, RowMetric]:
    return {metric.name: metric for metric in metrics}


METRICS = _table(
    RowMetric("accuracy", "classification", zero_one, _accuracy),
    RowMetric("neg_log_loss", "classification", _cross_entropy, _negative),
    RowMetric("r2", "regression", _squared_error, _r2, least_rows=2),
    RowMetric("neg_mean_squared_error", "regression", _squared_error, _negative),
    RowMetric("neg_root_mean_squared_error", "regression", _squared_error, _negative_root),
    RowMetric("neg_mean_absolute_error", "regression", _absolute_error, _negative),
)
