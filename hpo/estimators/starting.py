"""Where training begins: at initial values, at another network, or where it ended before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError

from hpo.estimators import options
from hpo.estimators.tasks import ANEW, Coders
from hpo.nn.architecture import Architecture
from hpo.nn.initializers import initial_params
from hpo.nn.members import Members
from hpo.nn.training import Start
from hpo.nn.transfer import transferred

Buffers = tuple[NDArray[np.float32], ...]


@dataclass(frozen=True, eq=False)
class Progress:
    """What ``partial_fit`` needs besides the parameters to go on.

    ``seed`` is the network's; ``calls`` were made since the last fit. ``state`` are the buffers,
    (trainable,) each, of ``optimizer`` after ``steps`` steps with ``frozen`` layers; without an
    ``optimizer`` it begins anew, as any other does.
    """

    seed: int
    calls: int = 0
    state: Buffers = ()
    steps: int = 0
    optimizer: str | None = None
    frozen: int = 0

    def start(self, params: NDArray[np.float32]) -> Start:
        """The start of a stack of this one network, ``params`` (n_params,)."""
        return Start(params[None], tuple(buffer[None] for buffer in self.state), self.steps)

    def check(self, estimator: Any, architecture: Architecture) -> None:
        """Raise ``ValueError`` if a parameter does not fit the network that is to go on."""
        before = estimator.architecture_
        changes: dict[str, tuple[Any, Any]] = {
            "hidden_layer_sizes": (before.hidden, architecture.hidden),
            "activation": (before.activation, architecture.activation),
            "batch_norm": (before.batch_norm, architecture.batch_norm),
        }
        if self.optimizer is not None:
            changes["optimizer"] = (self.optimizer, estimator.optimizer)
            changes["freeze"] = (self.frozen, options.frozen_layers(estimator))
        for name, (old, new) in changes.items():
            if old != new:
                raise ValueError(f"{name} was {old!r} so far and is {new!r} now: {ANEW}")


def start(
    estimators: Sequence[Any], architecture: Architecture, coders: Coders, stack: Members
) -> Start:
    """Where each member begins: at initial values, another network's or its own of before."""
    params = initial_params(architecture, stack.random_state, stack.initializer)
    for place, each in enumerate(estimators):
        source = each if goes_on(each) else source_of(each)
        if source is not None:
            states = stack.random_state[place : place + 1]
            taken = transferred(
                source.architecture_,
                source.params_,
                architecture,
                states,
                options.initializer(each),
            )[0]
            if not _continue(coders, source.coders_):
                # What tells some classes apart knows nothing of others, were they as many.
                heads = slice(architecture.layer_starts[-2], architecture.n_trainable)
                taken[heads] = params[place, heads]
            params[place] = taken
    return Start(params)


def _continue(coders: Coders, others: Coders) -> bool:
    """Whether heads that learnt what ``others`` encode can go on with ``coders``."""
    pairs = zip(coders, others, strict=False)
    return len(coders) == len(others) and all(own.continues(other) for own, other in pairs)


def goes_on(estimator: Any) -> bool:
    """Whether a fit begins where the last one ended."""
    fitted = hasattr(estimator, "params_") and not estimator.diverged_
    return bool(estimator.warm_start and fitted)


def source_of(estimator: Any) -> Any:
    """The fitted estimator that ``init_from`` names, or None."""
    source = estimator.init_from
    if source is None:
        return None
    if isinstance(source, type) or not hasattr(source, "fit_many"):
        raise ValueError(f"init_from is a fitted network, not {type(source).__name__}")
    if not hasattr(source, "params_"):
        raise NotFittedError(
            "init_from is a network that is not fitted: fit it first (in a grid of parameters, "
            "which is cloned, as sklearn.frozen.FrozenEstimator)"
        )
    if source.diverged_:
        raise ValueError("init_from is a network whose training diverged: give another one")
    return source


def shared_key(estimator: Any, varying: Sequence[str]) -> str:
    """Equal for estimators that can stand in one stack."""
    params = estimator.get_params(deep=False)
    source = source_of(estimator)
    kept = {name: value for name, value in params.items() if name not in varying}
    # Networks that start from others see their inputs as those do.
    return repr((sorted(kept.items()), None if source is None else id(source.scaling_)))
