"""What can be compared, the choices that are usual, and the network that they are tried on."""

from __future__ import annotations

from collections.abc import Mapping

NETWORK = (100, 100, 100, 100, 100)
"""Hidden layers, if no others are asked for."""

OPTIMIZER = "sgd"
"""Trains where optimizers are not compared: it leaves most to what is."""

ACTIVATION = "relu"

SMALL = "normal:0.01"
"""Initial values that are too small for a deep network."""

QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "optimizer": (
        "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adadelta", "nadam",
    ),
    "initializer": (SMALL, "xavier_normal", "he_normal"),
    "activation": (
        "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus", "mish",
        "identity",
    ),
    "batch-norm": ("off", "on"),
    "weight-decay": ("0", "0.1"),
    "dropout": ("0", "0.2"),
    "early-stopping": ("off", "10"),
}  # fmt: skip
"""What ``hpo compare --what`` knows, and its usual choices as ``--choices`` takes them."""

AGAINST_OVERFITTING = frozenset({"weight-decay", "dropout", "early-stopping"})


def judged_by(what: str) -> str:
    """The loss that decides: that of the network which is kept, or that of the best epoch.

    What is against overfitting is judged by the first. Where optimizers, initial values,
    activations and normalisation are compared, how far a network overfits in the end would hide how
    well and how quickly it learns.
    """
    return "val_loss" if what in AGAINST_OVERFITTING else "best_val_loss"


def batch_size_for(n_rows: int) -> int:
    """A power of two from 8 to 128 with at least 16 steps in an epoch, if there are the rows."""
    largest = n_rows // 16
    return max(8, min(128, 1 << max(0, largest.bit_length() - 1)))
