"""What all our estimators share: from parameters to a stack, from a stack to fitted estimators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted, validate_data

from hpo.estimators import files, options, starting
from hpo.estimators.encoding import Encoded, HeldOut, encode
from hpo.estimators.histories import History, history, joined, n_epochs
from hpo.estimators.inputs import InputScaling
from hpo.estimators.moments import Values
from hpo.estimators.parameters import Parameters
from hpo.estimators.starting import Progress
from hpo.estimators.tasks import Coders
from hpo.estimators.weights import of_members
from hpo.nn.architecture import Architecture
from hpo.nn.members import TrainingSettings
from hpo.nn.network import predict
from hpo.nn.training import Trained, train

MEMBER, ROW_ORDER = 101, 102
"""With an estimator's seed: the streams of its initial values and dropout, and of the rows."""

VARYING = (
    "learning_rate",
    "weight_decay",
    "l1",
    "l2",
    "dropout",
    "label_smoothing",
    "max_norm",
    "clip_norm",
    "optimizer_options",
    "initializer",
    "class_weight",
    "random_state",
    "init_from",
)
"""Parameters that may differ inside one stack; any other one makes a stack of its own."""


class BaseMLP(Parameters):
    """A multilayer perceptron; see the subclasses for parameters and attributes."""

    architecture_: Architecture
    params_: NDArray[np.float32]
    scaling_: InputScaling
    coders_: Coders
    history_: History
    n_iter_: int
    best_epoch_: int
    diverged_: bool
    progress_: Progress

    def __sklearn_clone__(self) -> Self:
        # scikit-learn clones estimators among the parameters too, which forgets their fits.
        copy: Self = super().__sklearn_clone__()
        copy.init_from = self.init_from
        return copy

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        return tags

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: ArrayLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : (rows, features) numbers; a pandas or polars frame keeps its column names
        y : (rows,) or (rows, outputs)
        sample_weight : (rows,), not negative; a row of weight 0 is not there
        X_val, y_val : validation rows, measured after every epoch; with ``early_stopping`` they
            decide when to stop. No rows are ever split off in secret.
        sample_weight_val : (validation rows,), only with ``X_val`` and ``y_val``

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For parameters or data that cannot be used, or if the training diverged.
        """
        held_out = HeldOut(X_val, y_val, sample_weight_val)
        fit_together(self, [self], X, y, sample_weight, held_out)
        if self.diverged_:
            raise _diverged(self, self.n_iter_)
        return self

    def fit_many(
        self,
        X: ArrayLike,
        y: ArrayLike,
        params: Sequence[Mapping[str, Any]],
        sample_weight: ArrayLike | None = None,
        *,
        X_val: ArrayLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> list[Self]:
        """Train one network for each entry of ``params`` together, as stacks.

        Parameters
        ----------
        X, y, X_val, y_val, sample_weight_val : as in `fit`
        params : parameters of each member that differ from this estimator's. Numbers such as
            learning rates, penalties and dropout, initial values and random states differ inside
            one stack; any other difference makes a stack of its own.
        sample_weight : (rows,), or (members, rows) to weigh rows differently for each member

        Returns
        -------
        list of fitted estimators in the order of ``params``. The order of rows is this
        estimator's, the same for all. One whose training diverged has ``diverged_`` True and
        refuses to predict.
        """
        members = [clone(self).set_params(**each) for each in params]
        if members:
            held_out = HeldOut(X_val, y_val, sample_weight_val)
            fit_together(self, members, X, y, sample_weight, held_out)
        return members

    def _partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        classes: NDArray[Any] | None = None,
    ) -> Self:
        """One epoch from where the last call ended, at a constant learning rate.

        If it diverges, the estimator stays as it was before the call.
        """
        goes_on = hasattr(self, "params_")
        progress = self._progress()
        before = self.history_ if goes_on else {}
        weights = of_members(sample_weight, [0], 1)
        encoded = encode(self, X, y, weights, HeldOut(), reuse=goes_on, classes=classes)
        seed, call = progress.seed, progress.calls + 1
        settings = options.one_epoch(self, len(encoded.X), (seed, ROW_ORDER, call))
        architecture = options.architecture(self, encoded.X.shape[1], encoded.coders)
        # Another call drops other units.
        stack = options.members([self], [(seed, MEMBER, call) if call else (seed, MEMBER)])
        if goes_on:
            progress.check(self, architecture)
            start = progress.start(self.params_)
        else:
            start = starting.start([self], architecture, encoded.coders, stack)
        rows = encoded.training([self])
        trained = train(architecture, settings, stack, rows, None, encoded.row_loss, start=start)
        if trained.diverged[0]:
            raise _diverged(self, n_epochs(before) + 1)
        adopt(self, 0, encoded, architecture, settings, trained, (seed, call))
        self.history_ = joined(before, self.history_)
        self.n_iter_ = self.best_epoch_ = n_epochs(self.history_)
        return self

    def _progress(self) -> Progress:
        """Where the last call of ``partial_fit`` or `fit` ended, call -1 if there was none."""
        if not hasattr(self, "params_"):
            return Progress(options.seed_of(self.random_state), -1)
        if self.diverged_:
            raise ValueError("the training of this network diverged, it cannot go on: fit it again")
        return self.progress_

    def save(self, path: str | PathLike[str]) -> None:
        """Write the fitted network to one ``.npz`` file: arrays and a JSON document, no pickle.

        The optimiser's state is left out, so that ``partial_fit`` would begin it anew. A file that
        is there is replaced when the new one is whole.
        """
        check_is_fitted(self, "params_")
        files.save(self, Path(path))

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Read a network that `save` wrote; ``ValueError`` says what is wrong with another file."""
        loaded = files.load(cls, Path(path))
        assert isinstance(loaded, cls)
        return loaded

    def _outputs(self, X: ArrayLike) -> Values:
        """What the network gives for each row, (rows, outputs of all heads) float64."""
        check_is_fitted(self, "params_")
        if self.diverged_:
            raise ValueError("the training of this network diverged; it cannot predict")
        with np.errstate(over="ignore", invalid="ignore"):
            checked: Any = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        # In double precision, because a product's last bit depends on a row's neighbours; the
        # inputs are those that training saw, rounded to single precision.
        params = self.params_[None].astype(np.float64)
        inputs = self.scaling_.transform(checked).astype(np.float64)
        outputs: Values = predict(self.architecture_, params, inputs)[0]
        return outputs


def fit_together(
    leader: BaseMLP,
    estimators: Sequence[BaseMLP],
    X: ArrayLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None,
    held_out: HeldOut,
) -> None:
    """Fit all ``estimators``, those that can stand in one stack as one; the leader orders rows."""
    seed = options.seed_of(leader.random_state)
    seeds = [
        seed if each.random_state is leader.random_state else options.seed_of(each.random_state)
        for each in estimators
    ]
    groups: dict[str, list[int]] = {}
    for index, each in enumerate(estimators):
        groups.setdefault(starting.shared_key(each, VARYING), []).append(index)
    for group in groups.values():
        members = [estimators[index] for index in group]
        reuse = starting.goes_on(members[0])
        weights = of_members(sample_weight, group, len(estimators))
        encoded = encode(members[0], X, y, weights, held_out, reuse=reuse)
        for other in members[1:]:
            _copy_input_names(members[0], other)
        _fit_stack(members, [seeds[index] for index in group], seed, encoded)


def _copy_input_names(source: BaseMLP, target: BaseMLP) -> None:
    """Give ``target`` what scikit-learn's checks found out about the inputs."""
    target.n_features_in_ = source.n_features_in_
    if hasattr(source, "feature_names_in_"):
        target.feature_names_in_ = source.feature_names_in_


def _fit_stack(
    members: Sequence[BaseMLP],
    seeds: Sequence[int],
    order_seed: int,
    encoded: Encoded,
) -> None:
    leader = members[0]
    has_validation = encoded.validation is not None
    settings = options.settings(leader, len(encoded.X), has_validation, (order_seed, ROW_ORDER))
    architecture = options.architecture(leader, encoded.X.shape[1], encoded.coders)
    stack = options.members(members, [(seed, MEMBER) for seed in seeds])
    start = starting.start(members, architecture, encoded.coders, stack)
    rows = encoded.training(members)
    trained = train(
        architecture, settings, stack, rows, encoded.validation, encoded.row_loss, start=start
    )
    for place, (each, seed) in enumerate(zip(members, seeds, strict=True)):
        adopt(each, place, encoded, architecture, settings, trained, (seed, 0))


def adopt(
    estimator: BaseMLP,
    place: int,
    encoded: Encoded,
    architecture: Architecture,
    settings: TrainingSettings,
    trained: Trained,
    origin: tuple[int, int],
) -> None:
    """Make ``estimator`` the fitted network at ``place`` of the stack.

    ``origin``: its seed, and the number of the call of ``partial_fit``.
    """
    seed, calls = origin
    estimator.architecture_ = architecture
    estimator.params_ = trained.params[place].copy()
    estimator.scaling_ = encoded.scaling
    estimator.coders_ = encoded.coders
    estimator.n_iter_ = int(trained.epochs[place])
    estimator.best_epoch_ = int(trained.best_epoch[place]) + 1
    estimator.diverged_ = bool(trained.diverged[place])
    estimator.history_ = history(place, estimator.learning_rate, encoded, settings, trained)
    estimator.progress_ = Progress(
        seed=seed,
        calls=calls,
        state=tuple(buffer[place].copy() for buffer in trained.state),
        steps=int(trained.steps[place]),
        optimizer=settings.optimizer,
        frozen=settings.frozen_layers,
    )


def _diverged(estimator: BaseMLP, epoch: int) -> ValueError:
    return ValueError(
        f"the training diverged in epoch {epoch} (the loss was not finite): "
        f"try a learning_rate below {estimator.learning_rate:g}"
    )
