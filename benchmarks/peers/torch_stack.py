"""PyTorch, a stack of networks written by hand: ``baddbmm`` and autograd.

Every parameter is one tensor for all members, in one piece; Adam and SGD walk over these tensors,
with a learning rate for each member. That was quicker than one flat buffer with views of it, whose
gradients have to be zeroed and added to, and as quick as ``torch._foreach`` functions.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch

from benchmarks.workloads import Workload


def contestant(workload: Workload, members: int) -> Callable[[], float]:
    """Train ``members`` networks as one stack."""
    torch.set_num_threads(1)
    split = workload.split
    X, y = torch.from_numpy(split.X), torch.from_numpy(split.y)
    X_validation = torch.from_numpy(split.X_validation).expand(members, -1, -1)
    y_validation = torch.from_numpy(split.y_validation)
    rates = torch.from_numpy(workload.learning_rates(members)).float()[:, None, None]

    def run() -> float:
        torch.manual_seed(0)
        params = _params(workload.sizes, members)
        update = UPDATES[workload.optimizer](params, rates)
        curves = []
        for _ in range(workload.epochs):
            train_accuracy = _epoch(params, update, X, y, workload.batches())
            with torch.no_grad():
                hits = _logits(params, X_validation).argmax(2) == y_validation
            curves.append((train_accuracy, hits.float().mean(1)))
        return float(curves[-1][1].mean())

    return run


def _params(sizes: tuple[int, ...], members: int) -> list[Any]:
    """He-normal weights (members, inputs, outputs) and biases (members, 1, outputs) in turn."""
    params = []
    for inputs, outputs in pairwise(sizes):
        params.append(torch.randn(members, inputs, outputs).mul_((2.0 / inputs) ** 0.5))
        params.append(torch.zeros(members, 1, outputs))
    return [param.requires_grad_() for param in params]


def _logits(params: list[Any], X: Any) -> Any:
    """(members, rows, classes) for ``X`` (members, rows, features)."""
    *hidden, (weights, biases) = zip(params[::2], params[1::2], strict=True)
    for matrix, vector in hidden:
        X = torch.baddbmm(vector, X, matrix).relu_()
    return torch.baddbmm(biases, X, weights)


def _epoch(
    params: list[Any], update: Callable[[Any], None], X: Any, y: Any, batches: list[slice]
) -> Any:
    """One pass over the rows; the running mean of the accuracy, (members,)."""
    members = len(params[0])
    order, hits = torch.randperm(len(X)), torch.zeros(members, dtype=torch.int64)
    for batch in batches:
        rows = order[batch]
        target = y.index_select(0, rows)
        logits = _logits(params, X.index_select(0, rows).expand(members, -1, -1))
        chosen = torch.log_softmax(logits, 2).gather(2, target.expand(members, -1)[:, :, None])
        gradient = torch.autograd.grad(chosen.sum() / -len(rows), params)
        with torch.no_grad():
            update(gradient)
            hits += (logits.argmax(2) == target).sum(1)
    return hits / len(X)


def _sgd(params: list[Any], rates: Any) -> Callable[[Any], None]:
    def update(gradient: Any) -> None:
        for param, slope in zip(params, gradient, strict=True):
            param.addcmul_(slope, rates, value=-1.0)

    return update


def _adam(params: list[Any], rates: Any) -> Callable[[Any], None]:
    """Kingma & Ba 2015, the quicker form at the end of section 2."""
    state = [(param, torch.zeros_like(param), torch.zeros_like(param)) for param in params]
    steps = 0

    def update(gradient: Any) -> None:
        nonlocal steps
        steps += 1
        correction = (1 - 0.999**steps) ** 0.5 / (1 - 0.9**steps)
        for (param, first, second), slope in zip(state, gradient, strict=True):
            first.lerp_(slope, 0.1)
            second.mul_(0.999).addcmul_(slope, slope, value=0.001)
            root = second.sqrt().add_(1e-8)
            param.addcmul_(torch.div(first, root, out=root), rates, value=-correction)

    return update


UPDATES = {"adam": _adam, "sgd": _sgd}
