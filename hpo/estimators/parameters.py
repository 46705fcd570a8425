"""The parameters that all our estimators have, and what is said about them."""

# Annotations are objects and no texts here, because they are read in the modules of subclasses too.

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from inspect import cleandoc
from typing import TYPE_CHECKING, Any, TypeVar

from sklearn.base import BaseEstimator

from hpo.nn.augmentation import Augmentation
from hpo.nn.schedules import Schedule

if TYPE_CHECKING:
    from hpo.estimators.base import BaseMLP

Kind = TypeVar("Kind", bound="Parameters")

PARAMETERS = """\
hidden_layer_sizes : units of each hidden layer; ``()`` is a linear model
activation : of hidden units: identity, sigmoid, tanh, relu, leaky_relu, elu, selu, gelu, silu,
    softplus, mish, or one that was registered
optimizer : sgd, momentum, nesterov, adagrad, rmsprop, adadelta, adam, nadam, adamw
learning_rate : before the schedule
weight_decay : decoupled, ``w <- (1 - lr * weight_decay) * w``
l1, l2 : penalties ``l1 * sum|w| + l2 / 2 * sum w²``; both make an elastic net
dropout : share of hidden units that are dropped, one number or one for each hidden layer
max_norm : largest norm of a unit's incoming weights
clip_norm : largest norm of a gradient
batch_norm : False, or ``"before"`` (also True) or ``"after"`` the activation
batch_size : rows of a mini-batch; ``"auto"`` is 32 to 256, growing with the rows
max_epochs : passes over the training rows
schedule : of the learning rate: constant, step, exponential, cosine, one_cycle, or a
    `hpo.nn.schedules.Schedule`
warmup : share of the training in which the rate rises to its full height
early_stopping : ``"auto"`` stops on validation rows if `fit` is given some; True demands them;
    False trains all epochs
monitor : ``"loss"`` or ``"score"`` of the validation rows decides on stopping
patience : epochs without improvement before stopping; the best weights are kept
min_delta : what counts as improvement
scaling : of the inputs, learnt from the training rows: ``"robust"`` (median and quartiles,
    outliers clipped smoothly), ``"standard"`` (mean and deviation), ``"none"``; each feature
    by itself, but with ``augment`` all pixels alike
initializer : zeros, normal, normal:DEVIATION, xavier_normal, xavier_uniform, xavier_inputs,
    lecun_normal, lecun_uniform, he_normal, he_uniform, orthogonal; ``"auto"`` goes by the
    activation
optimizer_options : hyperparameters of the optimizer by name, such as ``{"beta2": 0.99}``
augment : `hpo.nn.augmentation.Augmentation` of image rows, drawn anew for every batch
init_from : a fitted network whose layers this one starts from, its heads too if they learnt the
    same classes, or as many numbers. Inputs are scaled as that network saw them. Clones start from
    it too; as one of the values of a grid search, wrap it in `sklearn.frozen.FrozenEstimator`.
freeze : number of first layers that keep their parameters, or ``"all_but_last"``
warm_start : go on from the last fit's parameters
random_state : seed of initial values, dropout and the order of rows"""

ATTRIBUTES = """\
history_ : name -> (epochs,): train_loss, train_score, learning_rate, gradient_norm, seconds
    and, with validation rows, val_loss and val_score. Training figures are running means over
    the mini-batches. Each call of ``partial_fit`` adds one entry, NaN for validation rows.
n_iter_ : epochs that were run, calls of ``partial_fit`` included
best_epoch_ : the epoch, from 1, whose weights were kept
params_ : (n_params,) float32
architecture_ : `hpo.nn.architecture.Architecture`
diverged_ : whether the loss left the finite numbers; only `fit_many` returns such a network
progress_ : what else ``partial_fit`` needs to go on"""


@dataclass(eq=False, repr=False, kw_only=True)
class Parameters(BaseEstimator):  # type: ignore[misc]
    """Parameters, as fields from which ``__init__`` is made, the one that scikit-learn inspects.

    Subclasses are data classes in the same way, and name what they add or begin with otherwise.
    """

    hidden_layer_sizes: Sequence[int] = field(default=(64, 64), kw_only=False)
    activation: str = "relu"
    optimizer: str = "adam"
    learning_rate: float = 3e-3
    weight_decay: float = 0.5
    l1: float = 0.0
    l2: float = 0.0
    dropout: float | Sequence[float] = 0.1
    max_norm: float | None = None
    clip_norm: float | None = None
    batch_norm: bool | str = False
    batch_size: int | str = "auto"
    max_epochs: int = 100
    schedule: str | Schedule = "cosine"
    warmup: float = 0.05
    early_stopping: bool | str = "auto"
    monitor: str = "loss"
    patience: int = 10
    min_delta: float = 0.0
    scaling: str = "robust"
    initializer: str = "auto"
    optimizer_options: Mapping[str, float] | None = None
    augment: Augmentation | None = None
    init_from: "BaseMLP | None" = None
    freeze: int | str | None = None
    warm_start: bool = False
    random_state: Any = None


def documented(kind: type[Kind]) -> type[Kind]:
    """Fill ``{parameters}`` and ``{attributes}`` of the docstring with what all estimators have."""
    # `python -OO` takes docstrings away.
    own = cleandoc(kind.__doc__ or "")
    kind.__doc__ = own.format(parameters=PARAMETERS, attributes=ATTRIBUTES)
    return kind
