"""From the predictions of several members to one: averages, selections and meta-models.

A combiner learns from predictions (members, rows, outputs) and the target how to combine them; what
it has learnt is a combination, a function of such predictions. The rows must be such that no member
was trained on its own: out-of-fold, or held out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils.validation import has_fit_parameter

from ensembles.greedy_selection import select, select_from_bags
from ensembles.losses import LogLoss, Loss, SquaredLoss, Values, loss_of
from ensembles.meta_features import MetaFeatures, meta_features
from ensembles.weights import simplex_weights


class Combination(Protocol):
    """How predictions are combined."""

    @property
    def weights(self) -> Values | None:
        """The share of each member, (members,), sum 1; None if it is no weighted mean."""

    def __call__(self, predictions: NDArray[Any]) -> Values:
        """One prediction (rows, outputs) of the members' (members, rows, outputs)."""


class Combiner(Protocol):
    """Something that learns a combination."""

    def fit(
        self, predictions: NDArray[Any], y: NDArray[Any], sample_weight: NDArray[Any] | None = None
    ) -> Combination:
        """What was learnt from predictions (members, rows, outputs) of rows with targets ``y``.

        ``y``: class indices (rows,) if ``classes``, else values (rows, outputs).
        """


@dataclass(frozen=True, eq=False)
class WeightedMean:
    """The mean of the members with ``weights`` (members,) that add up to 1."""

    weights: Values

    def __call__(self, predictions: NDArray[Any]) -> Values:
        """The weighted mean, without those of weight 0."""
        there = np.flatnonzero(self.weights)
        combined = np.zeros(predictions.shape[1:])
        for each in there:
            combined += self.weights[each] * predictions[each]
        return combined


@dataclass(frozen=True, eq=False)
class MetaModel:
    """What a fitted ``model`` makes of the members' predictions."""

    model: Any
    kind: MetaFeatures
    classes: bool

    @property
    def weights(self) -> None:
        """It is no weighted mean."""

    def __call__(self, predictions: NDArray[Any]) -> Values:
        """What the model predicts from them."""
        columns = meta_features(predictions, self.kind, classes=self.classes)
        if self.classes:
            return aligned_proba(self.model, columns, predictions.shape[-1])
        values: Values = np.asarray(self.model.predict(columns), np.float64)
        return values.reshape(len(values), -1)


@dataclass(frozen=True, eq=False)
class MeanOf:
    """The mean of what several ``combinations`` make of the same predictions."""

    combinations: tuple[Combination, ...]

    @property
    def weights(self) -> Values | None:
        """The mean of theirs, if all are weighted means."""
        found = [each.weights for each in self.combinations]
        known = [each for each in found if each is not None]
        return np.mean(known, axis=0) if len(known) == len(found) else None

    def __call__(self, predictions: NDArray[Any]) -> Values:
        """The mean of theirs."""
        mean: Values = np.mean([each(predictions) for each in self.combinations], axis=0)
        return mean


@dataclass(frozen=True)
class Mean:
    """All members count alike."""

    classes: bool

    def fit(
        self, predictions: NDArray[Any], y: NDArray[Any], sample_weight: NDArray[Any] | None = None
    ) -> WeightedMean:
        """There is nothing to learn."""
        del y, sample_weight
        return WeightedMean(np.full(len(predictions), 1 / len(predictions)))


@dataclass(frozen=True)
class Single:
    """The one best member."""

    classes: bool

    def fit(
        self, predictions: NDArray[Any], y: NDArray[Any], sample_weight: NDArray[Any] | None = None
    ) -> WeightedMean:
        """That with the least loss, the first of equal ones."""
        loss = loss_for(classes=self.classes)
        losses = [loss_of(loss, each, y, sample_weight) for each in predictions]
        weights = np.zeros(len(predictions))
        weights[int(np.argmin(losses))] = 1
        return WeightedMean(weights)


@dataclass(frozen=True)
class Simplex:
    """The weighted mean with the least loss; see `simplex_weights`."""

    classes: bool

    def fit(
        self, predictions: NDArray[Any], y: NDArray[Any], sample_weight: NDArray[Any] | None = None
    ) -> WeightedMean:
        """Find the weights."""
        loss = loss_for(classes=self.classes)
        return WeightedMean(simplex_weights(predictions, y, loss, sample_weight))


@dataclass(frozen=True)
class Greedy:
    """Greedy selection with replacement; see `select` and `select_from_bags`.

    ``bags`` of 0 selects once, from all members, within the ``budget`` if there is one.
    """

    classes: bool
    steps: int = 50
    initial: int = 0
    bags: int = 0
    share: float = 0.5
    seed: int = 0
    costs: NDArray[Any] | None = None
    budget: NDArray[Any] | None = None

    def is_possible(self) -> bool:
        """Whether there is a member that fits the budget."""
        if self.costs is None or self.budget is None:
            return True
        return bool((np.asarray(self.costs) <= self.budget).all(axis=1).any())

    def fit(
        self, predictions: NDArray[Any], y: NDArray[Any], sample_weight: NDArray[Any] | None = None
    ) -> WeightedMean:
        """Select; ``ValueError`` if a budget is to be kept that cannot be."""
        loss = loss_for(classes=self.classes)
        if (self.costs is None) != (self.budget is None):
            raise ValueError("costs and budget belong together; one of them is missing")
        if self.bags and self.budget is not None:
            raise ValueError(
                "a budget is kept by one selection only, as bags add up what they take: bags=0"
            )
        if self.bags:
            found = select_from_bags(
                predictions,
                y,
                loss,
                bags=self.bags,
                share=self.share,
                random_state=np.random.RandomState(self.seed),
                steps=self.steps,
                initial=self.initial,
                sample_weight=sample_weight,
            )
        else:
            found = select(
                predictions,
                y,
                loss,
                steps=self.steps,
                initial=self.initial,
                sample_weight=sample_weight,
                costs=self.costs,
                budget=self.budget,
            )
        return WeightedMean(found.weights)


@dataclass(frozen=True)
class Stack:
    """A meta-model over the members' predictions (Wolpert 1992), a clone of ``model``."""

    classes: bool
    model: Any
    kind: MetaFeatures = "proba"

    def fit(
        self, predictions: NDArray[Any], y: NDArray[Any], sample_weight: NDArray[Any] | None = None
    ) -> MetaModel:
        """Train the meta-model; ``ValueError`` if there are weights that it cannot take."""
        if sample_weight is not None and not has_fit_parameter(self.model, "sample_weight"):
            raise ValueError(
                f"{type(self.model).__name__} takes no sample_weight: give none, or another "
                "meta-model"
            )
        columns = meta_features(predictions, self.kind, classes=self.classes)
        target = y if self.classes or y.ndim == 1 or y.shape[1] > 1 else y[:, 0]
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        return MetaModel(clone(self.model).fit(columns, target, **weights), self.kind, self.classes)


@dataclass(frozen=True)
class Blend:
    """The mean of what several ``combiners`` learn."""

    combiners: tuple[Combiner, ...]

    def fit(
        self, predictions: NDArray[Any], y: NDArray[Any], sample_weight: NDArray[Any] | None = None
    ) -> MeanOf:
        """Let each of them learn."""
        return MeanOf(tuple(each.fit(predictions, y, sample_weight) for each in self.combiners))


def loss_for(*, classes: bool) -> Loss:
    """Log loss of classes, squared error of values."""
    return LogLoss() if classes else SquaredLoss()


def aligned_proba(model: Any, X: Any, n_classes: int) -> Values:
    """Probabilities (rows, n_classes) of a model whose classes are some of 0 … n_classes - 1.

    One without ``predict_proba`` is as sure as can be of what it predicts.
    """
    if hasattr(model, "predict_proba"):
        proba = np.asarray(model.predict_proba(X), np.float64)
        if len(model.classes_) == n_classes:
            return proba
        aligned = np.zeros((len(proba), n_classes))
        aligned[:, np.asarray(model.classes_, np.int64)] = proba
        return aligned
    return votes(model, X, n_classes)


def votes(model: Any, X: Any, n_classes: int) -> Values:
    """1 for the class that the model predicts, 0 for the others; (rows, n_classes).

    Raises
    ------
    ValueError
        If it predicts no indices of classes, as a regressor does.
    """
    chosen = np.asarray(model.predict(X))
    index = chosen.astype(np.int64) if chosen.dtype.kind in "biuf" else np.full(chosen.shape, -1)
    if not (index == chosen).all() or not ((index >= 0) & (index < n_classes)).all():
        wrong = chosen[(index != chosen) | (index < 0) | (index >= n_classes)][0]
        raise ValueError(
            f"{type(model).__name__} predicts {wrong!r}, which is no index of one of {n_classes} "
            "classes: give a classifier that learnt such indices"
        )
    voted: Values = np.eye(n_classes)[index]
    return voted


def held_out_predictions(
    combiner: Combiner,
    predictions: NDArray[Any],
    y: NDArray[Any],
    folds: NDArray[np.int64],
    sample_weight: NDArray[Any] | None = None,
) -> Values:
    """What the combiner gives for each row, (rows, outputs), having learnt from other folds only.

    ``folds`` (rows,), whole numbers. A score of these is one of rows that the combiner did not see,
    so it does not profit from what was chosen by them.

    Raises
    ------
    ValueError
        If ``folds`` does not fit, or all rows are in one: there are no others to learn from.
    """
    dealt = np.unique(folds)
    if np.shape(folds) != predictions.shape[1:2] or len(dealt) < 2:
        raise ValueError(
            f"folds must be ({predictions.shape[1]},) numbers, at least two different ones, so "
            f"that others are left to learn from; got {len(dealt)} in shape {np.shape(folds)}"
        )
    combined = np.empty(predictions.shape[1:])
    for fold in dealt:
        own = folds == fold
        weights = None if sample_weight is None else sample_weight[~own]
        learnt = combiner.fit(predictions[:, ~own], y[~own], weights)
        combined[own] = learnt(predictions[:, own])
    return combined


def nested_loss(
    combiner: Combiner,
    predictions: NDArray[Any],
    y: NDArray[Any],
    folds: NDArray[np.int64],
    *,
    classes: bool,
    sample_weight: NDArray[Any] | None = None,
) -> float:
    """The mean loss of `held_out_predictions`."""
    combined = held_out_predictions(combiner, predictions, y, folds, sample_weight)
    return loss_of(loss_for(classes=classes), combined, y, sample_weight)


def contributions(
    combiner: Combiner,
    predictions: NDArray[Any],
    y: NDArray[Any],
    folds: NDArray[np.int64],
    *,
    classes: bool,
    places: Sequence[int] | None = None,
    sample_weight: NDArray[Any] | None = None,
) -> Values:
    """How much the mean loss of held-out rows rises without each member, (members,).

    ``places``: the members that are asked about, all if None. Below 0 the others do better
    without it. NaN for the only one, infinite if no other one fits the combiner's budget.
    """
    members = np.arange(len(predictions))
    asked = members if places is None else np.asarray(places, np.int64)
    if len(members) < 2:
        return np.full(len(asked), np.nan)

    def loss(kept: NDArray[np.int64]) -> float:
        left = of_members(combiner, kept)
        if isinstance(left, Greedy) and not left.is_possible():
            return np.inf
        return nested_loss(
            left,
            predictions[kept],
            y,
            folds,
            classes=classes,
            sample_weight=sample_weight,
        )

    whole = loss(members)
    return np.array([loss(np.delete(members, each)) - whole for each in asked])


def of_members(combiner: Combiner, kept: NDArray[np.int64]) -> Combiner:
    """The combiner for a part of the members, ``kept`` (parts,) being their places."""
    if isinstance(combiner, Greedy) and combiner.costs is not None:
        return replace(combiner, costs=np.asarray(combiner.costs)[kept])
    if isinstance(combiner, Blend):
        return Blend(tuple(of_members(each, kept) for each in combiner.combiners))
    return combiner
