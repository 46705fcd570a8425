"""The style of K. Saitoh's *Deep Learning from Scratch*, in float64 NumPy, written anew.

A network is a list of layer objects, parameters and gradients are dictionaries, and the optimiser
walks over them one by one. As in the experiment of its chapter 6, and unlike the others here

* each step ends with a second forward pass for the loss after the update,
* the delta of the inputs is computed, and weight decay (of 0) added to the gradients,
* a batch is drawn with replacement,
* the training accuracy is taken over all training rows after each epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.workloads import Workload

Doubles = NDArray[np.float64]
Named = dict[str, Doubles]


class Layer(Protocol):
    """What is between the inputs and the loss."""

    def forward(self, x: Doubles) -> Doubles:
        """Outputs (rows, outputs) for inputs (rows, inputs)."""

    def backward(self, dout: Doubles) -> Doubles:
        """The gradient with respect to the inputs, from that of the outputs."""


class Affine:
    """``x @ W + b``."""

    def __init__(self, W: Doubles, b: Doubles) -> None:
        self.W, self.b = W, b
        self.dW, self.db, self.x = np.zeros_like(W), np.zeros_like(b), W[:0]

    def forward(self, x: Doubles) -> Doubles:
        """(rows, inputs) -> (rows, outputs)."""
        self.x = x
        return np.asarray(np.dot(x, self.W) + self.b)

    def backward(self, dout: Doubles) -> Doubles:
        """(rows, outputs) -> (rows, inputs); keeps the gradients of the parameters."""
        self.dW, self.db = np.dot(self.x.T, dout), np.sum(dout, axis=0)
        return np.asarray(np.dot(dout, self.W.T))


class Relu:
    """``max(x, 0)``."""

    def __init__(self) -> None:
        self.negative = np.zeros(0, dtype=bool)

    def forward(self, x: Doubles) -> Doubles:
        """Same shape."""
        self.negative = x <= 0
        out = x.copy()
        out[self.negative] = 0
        return out

    def backward(self, dout: Doubles) -> Doubles:
        """Same shape; overwrites ``dout``."""
        dout[self.negative] = 0
        return dout


class SoftmaxWithLoss:
    """Softmax and mean cross entropy, for classes (rows,)."""

    def __init__(self) -> None:
        self.y, self.t = np.zeros((0, 0)), np.zeros(0, dtype=np.int64)

    def forward(self, x: Doubles, t: NDArray[np.int64]) -> float:
        """The loss of logits (rows, classes)."""
        exponents = np.exp(x - x.max(axis=1, keepdims=True))
        self.y, self.t = exponents / exponents.sum(axis=1, keepdims=True), t
        return float(-np.log(self.y[np.arange(len(t)), t] + 1e-7).mean())

    def backward(self) -> Doubles:
        """The gradient with respect to the logits."""
        dx = self.y.copy()
        dx[np.arange(len(self.t)), self.t] -= 1
        return np.asarray(dx / len(self.t))


class Network:
    """Affine and ReLU in turn, He-normal weights."""

    def __init__(self, sizes: tuple[int, ...], rng: np.random.Generator) -> None:
        self.params: Named = {}
        self.layers: list[Layer] = []
        self.affine: list[Affine] = []
        self.weight_decay = 0.0
        for number, (inputs, outputs) in enumerate(pairwise(sizes), start=1):
            W = rng.standard_normal((inputs, outputs)) * np.sqrt(2.0 / inputs)
            self.params[f"W{number}"], self.params[f"b{number}"] = W, np.zeros(outputs)
            self.affine.append(Affine(W, self.params[f"b{number}"]))
            self.layers += [self.affine[-1], Relu()]
        self.layers.pop()
        self.last = SoftmaxWithLoss()

    def predict(self, x: Doubles) -> Doubles:
        """Logits (rows, classes)."""
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def loss(self, x: Doubles, t: NDArray[np.int64]) -> float:
        """Cross entropy and the weight decay's penalty."""
        decay = sum(0.5 * self.weight_decay * np.sum(layer.W**2) for layer in self.affine)
        return self.last.forward(self.predict(x), t) + float(decay)

    def accuracy(self, x: Doubles, t: NDArray[np.int64]) -> float:
        """The share of rows whose class is found."""
        return float(np.mean(np.argmax(self.predict(x), axis=1) == t))

    def gradient(self, x: Doubles, t: NDArray[np.int64]) -> Named:
        """The gradient of the loss with respect to each parameter."""
        self.loss(x, t)
        dout = self.last.backward()
        for layer in reversed(self.layers):
            dout = layer.backward(dout)
        gradients: Named = {}
        for number, layer in enumerate(self.affine, start=1):
            gradients[f"W{number}"] = layer.dW + self.weight_decay * layer.W
            gradients[f"b{number}"] = layer.db
        return gradients


class SGD:
    """``w <- w - lr * g``."""

    def __init__(self, lr: float) -> None:
        self.lr = lr

    def update(self, params: Named, gradients: Named) -> None:
        """Overwrite the parameters."""
        for key in params:
            params[key] -= self.lr * gradients[key]


class Adam:
    """Kingma & Ba 2015."""

    def __init__(self, lr: float) -> None:
        self.lr, self.steps = lr, 0
        self.m: Named = {}
        self.v: Named = {}

    def update(self, params: Named, gradients: Named) -> None:
        """Overwrite the parameters."""
        if not self.m:
            self.m = {key: np.zeros_like(value) for key, value in params.items()}
            self.v = {key: np.zeros_like(value) for key, value in params.items()}
        self.steps += 1
        rate = self.lr * np.sqrt(1.0 - 0.999**self.steps) / (1.0 - 0.9**self.steps)
        for key in params:
            self.m[key] += 0.1 * (gradients[key] - self.m[key])
            self.v[key] += 0.001 * (gradients[key] ** 2 - self.v[key])
            params[key] -= rate * self.m[key] / (np.sqrt(self.v[key]) + 1e-7)


OPTIMIZERS: dict[str, Callable[[float], Any]] = {"adam": Adam, "sgd": SGD}


def contestant(workload: Workload, _members: int) -> Callable[[], float]:
    """Train one network."""
    split = workload.split
    X, X_validation = split.X.astype(np.float64), split.X_validation.astype(np.float64)

    def run() -> float:
        rng = np.random.default_rng(0)
        network = Network(workload.sizes, rng)
        optimizer = OPTIMIZERS[workload.optimizer](workload.learning_rate)
        curves = []
        for _ in range(workload.epochs):
            for batch in workload.batches():
                rows = rng.choice(len(X), batch.stop - batch.start)
                optimizer.update(network.params, network.gradient(X[rows], split.y[rows]))
                network.loss(X[rows], split.y[rows])
            train_accuracy = network.accuracy(X, split.y)
            accuracy = network.accuracy(X_validation, split.y_validation)
            curves.append((train_accuracy, accuracy))
        return curves[-1][1]

    return run
