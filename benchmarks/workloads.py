"""What is trained: data, network and schedule, the same for every contestant."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits, make_classification
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

Floats = NDArray[np.float32]
Classes = NDArray[np.int64]

MNIST_IMAGES = "mnist-10k-images-idx3-ubyte.gz"
MNIST_LABELS = "mnist-10k-labels-idx1-ubyte.gz"


@dataclass(frozen=True)
class Split:
    """Rows to train on and to validate on; ``X`` (rows, features), ``y`` (rows,) from 0."""

    X: Floats
    y: Classes
    X_validation: Floats
    y_validation: Classes


@dataclass(frozen=True)
class Workload:
    """A network and how it is trained.

    ``hidden`` are the units of each hidden layer, ``members`` the usual size of a stack,
    ``learning_rate`` that of a network trained alone; ``targets`` tells for each contestant how
    many times as long as ours it should at least take, and ``peak_target`` which share of the
    machine's matrix-product peak we should reach.
    """

    name: str
    data: str
    split: Split
    hidden: tuple[int, ...]
    n_classes: int
    optimizer: str
    learning_rate: float
    batch_size: int
    epochs: int
    members: int
    targets: Mapping[str, float]
    peak_target: float

    def save(self, path: Path) -> None:
        """Write training and validation rows as ``hpo search`` reads them, NPZ with X and y."""
        rows = self.split
        X = np.concatenate([rows.X, rows.X_validation])
        np.savez(path, X=X, y=np.concatenate([rows.y, rows.y_validation]))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of each layer, from the inputs to the outputs."""
        return (self.split.X.shape[1], *self.hidden, self.n_classes)

    @property
    def n_params(self) -> int:
        """Weights and biases of one network."""
        return sum((inputs + 1) * outputs for inputs, outputs in pairwise(self.sizes))

    @property
    def operations(self) -> int:
        """Floating-point operations of the matrix products of one network.

        With P = sum over the layers of inputs * outputs, and P1 that of the first layer, a row
        costs 2 P forward, 2 P for the gradient of the weights and 2 (P - P1) for the deltas of
        the hidden layers; the inputs need no delta. So::

            epochs * (training rows * (6 P - 2 P1) + validation rows * 2 P)
        """
        products = [inputs * outputs for inputs, outputs in pairwise(self.sizes)]
        training = len(self.split.X) * (6 * sum(products) - 2 * products[0])
        validation = len(self.split.X_validation) * 2 * sum(products)
        return self.epochs * (training + validation)

    def learning_rates(self, members: int) -> NDArray[np.float64]:
        """The rates of a stack, (members,), from half to twice ``learning_rate``."""
        spread = np.linspace(-1.0, 1.0, members) if members > 1 else np.zeros(1)
        return self.learning_rate * 2.0**spread

    def batches(self) -> list[slice]:
        """The mini-batches of one epoch as slices of a permutation; the last may be shorter."""
        rows, size = len(self.split.X), self.batch_size
        return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]


def small(_folder: Path | None) -> Workload:
    """Digits, standardised, and one hidden layer: where the cost of a call shows."""
    X, y = load_digits(return_X_y=True)
    return Workload(
        name="small",
        data="digits",
        split=_standardised(X, y),
        hidden=(64,),
        n_classes=10,
        optimizer="adam",
        learning_rate=0.002,
        batch_size=32,
        epochs=10,
        members=32,
        targets={
            "scikit-learn": 15.0,
            "torch eager": 15.0,
            "torch stack": 1.0,
            "jax stack": 1.0,
        },
        peak_target=0.25,
    )


def medium(_folder: Path | None) -> Workload:
    """Made classification data and two hidden layers of 128."""
    X, y = make_classification(8000, 100, n_informative=20, random_state=0)
    return Workload(
        name="medium",
        data="make_classification(8000, 100, n_informative=20)",
        split=_standardised(X, y),
        hidden=(128, 128),
        n_classes=2,
        optimizer="adam",
        learning_rate=0.001,
        batch_size=128,
        epochs=10,
        members=16,
        targets={"scikit-learn": 3.0, "torch eager": 3.0, "torch stack": 1.0, "jax stack": 1.0},
        peak_target=0.5,
    )


def seed(folder: Path | None) -> Workload:
    """500 images and six hidden layers: K. Saitoh, *Deep Learning from Scratch*, chapter 6."""
    X, y = _made_images() if folder is None else _mnist(folder)
    return Workload(
        name="seed",
        data="500 made images of 784 pixels, NOT MNIST" if folder is None else "500 MNIST images",
        split=Split(X[100:500], y[100:500], X[:100], y[:100]),
        hidden=(100,) * 6,
        n_classes=10,
        optimizer="sgd",
        learning_rate=0.02,
        batch_size=100,
        epochs=50,
        members=16,
        targets={
            "scikit-learn": 3.0,
            "torch eager": 2.3,
            "torch stack": 1.0,
            "jax stack": 1.0,
            "book": 5.5,
        },
        peak_target=0.6,
    )


WORKLOADS: dict[str, Callable[[Path | None], Workload]] = {
    "small": small,
    "medium": medium,
    "seed": seed,
}
"""Name -> the workload, given the folder with MNIST's files or None."""


def _standardised(X: NDArray[np.float64], y: NDArray[np.int64]) -> Split:
    """Four fifths to train on and one to validate on, standardised by the former."""
    training, validation, y_training, y_validation = train_test_split(
        X, y, test_size=0.2, random_state=0, stratify=y
    )
    scaler = StandardScaler().fit(training)
    return Split(
        np.ascontiguousarray(scaler.transform(training), dtype=np.float32),
        np.asarray(y_training, dtype=np.int64),
        np.ascontiguousarray(scaler.transform(validation), dtype=np.float32),
        np.asarray(y_validation, dtype=np.int64),
    )


def _made_images() -> tuple[Floats, Classes]:
    """500 images (500, 784) in [0, 1]: a random pattern for each of 10 classes, and noise."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 10, 500)
    patterns = rng.random((10, 784)) * (rng.random((10, 784)) < 0.2)
    X = np.clip(patterns[y] + rng.normal(0.0, 0.3, (500, 784)), 0.0, 1.0)
    return X.astype(np.float32), y


def _mnist(folder: Path) -> tuple[Floats, Classes]:
    """The first 500 images as (500, 784) in [0, 1], and their classes (500,)."""
    images = _idx_bytes(folder, MNIST_IMAGES, header=16)[: 500 * 784]
    labels = _idx_bytes(folder, MNIST_LABELS, header=8)[:500]
    pixels = images.reshape(500, 784).astype(np.float32) / np.float32(255)
    return pixels, labels.astype(np.int64)


def _idx_bytes(folder: Path, name: str, header: int) -> NDArray[np.uint8]:
    """What follows the header of an IDX file in ``folder`` or in its ``images``."""
    places = [folder / name, folder / "images" / name]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise FileNotFoundError(f"{folder} has no {name}, and {folder / 'images'} has none either")
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), dtype=np.uint8, offset=header)
