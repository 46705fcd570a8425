"""JAX, a stack of networks written by hand: ``vmap`` over members, ``scan`` over the batches.

All epochs are one compiled function; its compilation falls into the first run.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.peers.initial import he_normal
from benchmarks.workloads import Workload


def contestant(workload: Workload, members: int) -> Callable[[], float]:
    """Train ``members`` networks as one stack."""
    split = workload.split
    data = jax.device_put((split.X, split.y, split.X_validation, split.y_validation))
    rates = jnp.asarray(workload.learning_rates(members), dtype=jnp.float32)
    trained = jax.jit(partial(_train, workload), donate_argnums=0)

    def run() -> float:
        rng = np.random.default_rng(0)
        weights = he_normal(rng, workload.sizes, members)
        biases = [np.zeros((members, units), dtype=np.float32) for units in workload.sizes[1:]]
        orders = np.stack([rng.permutation(len(split.X)) for _ in range(workload.epochs)])
        params = list(zip(weights, biases, strict=True))
        _params, _train_accuracy, accuracy = trained(params, rates, orders.astype(np.int32), *data)
        return float(accuracy[-1].mean())

    return run


def _train(
    workload: Workload,
    params: Any,
    rates: Any,
    orders: Any,
    X: Any,
    y: Any,
    X_validation: Any,
    y_validation: Any,
) -> tuple[Any, Any, Any]:
    """All epochs: parameters, and accuracies (epochs, members) of both sets of rows."""
    full, size = divmod(len(X), workload.batch_size)[0], workload.batch_size
    step = partial(_step, workload.optimizer, rates, X, y)

    def epoch(state: Any, order: Any) -> tuple[Any, tuple[Any, Any]]:
        state, hits = jax.lax.scan(step, state, order[: full * size].reshape(full, size))
        hits = hits.sum(axis=0)
        if full * size < len(X):
            state, rest = step(state, order[full * size :])
            hits += rest
        found = jax.vmap(_logits, (0, None))(state[0], X_validation).argmax(-1)
        return state, (hits / len(X), (found == y_validation).mean(axis=1))

    zeros = jax.tree.map(jnp.zeros_like, params) if workload.optimizer == "adam" else ()
    state, curves = jax.lax.scan(epoch, (params, zeros, zeros, 0), orders)
    return state[0], *curves


def _logits(params: Any, X: Any) -> Any:
    """(rows, classes) of one network."""
    for weights, biases in params[:-1]:
        X = jax.nn.relu(X @ weights + biases)
    return X @ params[-1][0] + params[-1][1]


def _loss(params: Any, X: Any, y: Any) -> tuple[Any, Any]:
    """Mean cross entropy and the number of hits of one network."""
    logits = _logits(params, X)
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1)
    return -chosen.mean(), (logits.argmax(-1) == y).sum()


def _step(optimizer: str, rates: Any, X: Any, y: Any, state: Any, rows: Any) -> tuple[Any, Any]:
    """One update of every member with the batch ``rows``, and the hits (members,)."""
    params, first, second, steps = state
    gradient_of = jax.vmap(jax.value_and_grad(_loss, has_aux=True), (0, None, None))
    (_loss_value, hits), gradient = gradient_of(params, X[rows], y[rows])
    if optimizer == "sgd":
        params = jax.tree.map(lambda p, g: p - _along(rates, g) * g, params, gradient)
        return (params, first, second, steps + 1), hits
    return (*_adam(rates, params, first, second, gradient, steps + 1), steps + 1), hits


def _adam(
    rates: Any, params: Any, first: Any, second: Any, gradient: Any, steps: Any
) -> tuple[Any, Any, Any]:
    """Kingma & Ba 2015, the quicker form at the end of section 2."""
    first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradient)
    second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradient)
    rates = rates * jnp.sqrt(1 - 0.999**steps) / (1 - 0.9**steps)
    params = jax.tree.map(
        lambda p, m, v: p - _along(rates, m) * m / (jnp.sqrt(v) + 1e-8), params, first, second
    )
    return params, first, second


def _along(rates: Any, array: Any) -> Any:
    """``rates`` (members,) so that it broadcasts against ``array`` (members, ...)."""
    return rates.reshape(-1, *(1,) * (array.ndim - 1))
