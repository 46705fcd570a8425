"""Transfer: a network starts from another one's layers, some of which may be frozen."""

from __future__ import annotations

from collections.abc import Sequence

from hpo.nn.architecture import Architecture, Floats
from hpo.nn.initializers import RandomState, initial_params


def transferred(
    source: Architecture,
    params: Floats,
    target: Architecture,
    random_states: Sequence[RandomState],
    initializers: str | Sequence[str] = "he_normal",
) -> Floats:
    """Initial parameters (members, n_params) of ``target`` from ``params`` (n_params,).

    All layers of ``source`` are taken over, its moving statistics too, except the last one where
    the heads differ: that is new, drawn from each member's own random state. Raises
    ``ValueError`` if the hidden layers do not fit.
    """
    _check(source, target)
    start = initial_params(target, random_states, initializers)
    same_heads = [(h.n_outputs, h.loss) for h in source.heads] == [
        (h.n_outputs, h.loss) for h in target.heads
    ]
    taken = len(target.hidden) + same_heads
    end = target.layer_starts[taken]
    start[:, :end] = params[:end]
    start[:, target.n_trainable :] = params[source.n_trainable :]
    return start


def _check(source: Architecture, target: Architecture) -> None:
    for name in ("n_inputs", "hidden", "activation", "batch_norm"):
        theirs, ours = getattr(source, name), getattr(target, name)
        if theirs != ours:
            raise ValueError(
                f"a network with {name} {ours} cannot start from one with {name} {theirs}"
            )
