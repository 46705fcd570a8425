"""PyTorch as most people write it: one network, ``nn.Sequential`` and ``torch.optim``.

Batches are picked by index, which is much quicker than a ``DataLoader``.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from benchmarks.workloads import Workload

OPTIMIZERS = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}


def contestant(workload: Workload, _members: int) -> Callable[[], float]:
    """Train one network."""
    torch.set_num_threads(1)
    split = workload.split
    X, y = torch.from_numpy(split.X), torch.from_numpy(split.y)
    X_validation = torch.from_numpy(split.X_validation)
    y_validation = torch.from_numpy(split.y_validation)

    def run() -> float:
        torch.manual_seed(0)
        network = _network(workload.sizes)
        optimizer = OPTIMIZERS[workload.optimizer](network.parameters(), lr=workload.learning_rate)
        curves = []
        for _ in range(workload.epochs):
            train_accuracy = _epoch(network, optimizer, X, y, workload.batches())
            with torch.no_grad():
                hits = network(X_validation).argmax(1) == y_validation
            curves.append((train_accuracy, float(hits.float().mean())))
        return curves[-1][1]

    return run


def _network(sizes: tuple[int, ...]) -> Any:
    layers: list[Any] = []
    for inputs, outputs in pairwise(sizes):
        linear = nn.Linear(inputs, outputs)
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _epoch(network: Any, optimizer: Any, X: Any, y: Any, batches: list[slice]) -> float:
    """One pass over the rows; the running mean of the accuracy."""
    order, hits = torch.randperm(len(X)), torch.zeros((), dtype=torch.int64)
    for batch in batches:
        rows = order[batch]
        target = y.index_select(0, rows)
        logits = network(X.index_select(0, rows))
        optimizer.zero_grad()
        nn.functional.cross_entropy(logits, target).backward()
        optimizer.step()
        with torch.no_grad():
            hits += (logits.argmax(1) == target).sum()
    return float(hits) / len(X)
