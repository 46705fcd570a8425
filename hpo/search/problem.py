"""What is to be learnt, and what says how well it was: the same for every trial of a study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.data.metrics import Metric, RowMetric
from hpo.data.target_encoding import TargetEncoding
from hpo.nn.architecture import Architecture, Floats
from hpo.nn.measuring import PerMember, RowLoss, Targets, WholeLoss
from hpo.nn.members import Rows, TrainingSettings
from hpo.nn.network import PREDICTION_ROWS
from hpo.search.folds import Folds, count_folds
from hpo.search.pruning import is_rung
from hpo.search.recipe import Recipe
from hpo.search.views import Part


@dataclass(frozen=True)
class Problem:
    """All that a worker needs to train a slot, the same for every slot of a study.

    ``training`` and ``validation`` hold the encoded target; ``training_target`` and
    ``validation_target`` (rows,) hold class indices or values in the user's units, which metrics
    are measured in. With ``folds`` there are no validation rows: each trial is a network for each
    fold, trained on the rows of the others.
    """

    architecture: Architecture
    settings: TrainingSettings
    metric: Metric
    target: TargetEncoding
    training: Rows
    validation: Rows
    training_target: NDArray[Any]
    validation_target: NDArray[Any]
    seed: int
    folds: Folds | None = None

    @property
    def recipe(self) -> Recipe:
        """What a trial trains whose parameters say nothing else."""
        return Recipe(self.architecture, self.settings)

    @property
    def n_networks(self) -> int:
        """How many networks a trial trains."""
        return 1 if self.folds is None else count_folds(self.folds)

    @property
    def scored(self) -> Part:
        """The rows that score a trial, each by a network that does not see it."""
        if self.folds is None:
            return Part(np.asarray(self.validation.X), self.validation_target)
        return Part(np.asarray(self.training.X), self.training_target)

    def member_bytes(self, recipe: Recipe) -> int:
        """About what one member of a stack takes: state, activations and predictions, float32."""
        architecture, settings = recipe
        state = 5 * architecture.n_params
        rows = 2 * settings.batch_size + PREDICTION_ROWS
        outputs = 2 * len(self.scored.X) * architecture.n_outputs
        weights = 0 if self.folds is None else 2 * len(self.folds)
        return 4 * (state + rows * sum(architecture.sizes[1:]) + outputs + weights)

    def in_units(self, prediction: Floats) -> Floats:
        """Probabilities as they are, values in the user's units."""
        if self.target.task == "classification":
            return prediction
        return self.target.inverse(prediction)

    @property
    def row_loss(self) -> RowLoss | None:
        """The metric's loss of each row; None if the metric is no mean over rows."""
        metric = self.metric
        if not isinstance(metric, RowMetric):
            return None

        def row_loss(prediction: Floats, targets: Targets) -> Floats:
            (target,) = targets  # as encoded
            if self.target.task == "classification":
                return metric.loss_of_rows(prediction, target)
            units = self.target.inverse(target)[:, 0]
            return metric.loss_of_rows(self.target.inverse(prediction), units)

        return row_loss

    @property
    def whole_loss(self) -> WholeLoss | None:
        """The negative score of the rows that score a trial, at the rungs; None with ``row_loss``.

        A scorer takes longer than an epoch of a small network, so it is not asked after every one.
        With folds each network of a trial gets that of all rows.
        """
        if isinstance(self.metric, RowMetric):
            return None

        def whole_loss(epoch: int, place: NDArray[np.int64], prediction: Floats) -> PerMember:
            if not is_rung(epoch + 1):
                return np.full(len(place), np.nan)
            if self.folds is None:
                return -self.metric(self.in_units(prediction), self.validation_target)
            return self._pooled_loss(place, prediction, self.folds)

        return whole_loss

    def _pooled_loss(self, place: NDArray[np.int64], prediction: Floats, folds: Folds) -> PerMember:
        """That of the trials all of whose networks still train; NaN for the others."""
        loss, count = np.full(len(place), np.nan), self.n_networks
        for first in np.flatnonzero(place % count == 0):
            own = slice(first, first + count)
            if np.array_equal(place[own], np.arange(place[first], place[first] + count)):
                pooled = prediction[own][folds, np.arange(len(folds))]
                loss[own] = -self.metric(self.in_units(pooled[None]), self.training_target)
        return loss
