"""Comparisons made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hpo.comparing.choices import Choice
from hpo.comparing.finding import finding
from hpo.comparing.questions import judged_by
from hpo.comparing.record import choice_record, differences
from hpo.comparing.textbook import textbook
from hpo.comparing.training import Run

GUESS, LEVEL, RATE = 2.0, 0.5, 0.01


def run(choice: str, seed: int, losses: Sequence[float], score: float, gap: float = 0.1) -> Run:
    """A run with these validation losses, which keeps its last network."""
    curve = np.array(losses)
    curves = {
        "train_loss": curve / 2,
        "val_loss": curve,
        "train_score": 1 - curve / 4,
        "val_score": np.linspace(0, score, len(curve)),
    }
    n = len(curve)
    return Run(choice, RATE, seed, 0.5, None, n, n, curves, score + gap, score)


def lost(choice: str, seed: int) -> Run:
    """A run that diverged."""
    return Run(choice, RATE, seed, 0.1, "diverged in epoch 1: the loss was not finite")


def comparison(
    what: str, runs: Mapping[str, Sequence[Run]], baselines: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The record of these runs, of choices that compete or have these baselines."""
    choices = [
        choice_record(Choice(name, baseline=(baselines or {}).get(name)), {}, each, LEVEL)
        for name, each in runs.items()
    ]
    record: dict[str, Any] = {
        "data": "toy",
        "what": what,
        "task": "classification",
        "metric": "accuracy",
        "rows": {"train": 60, "validation": 20},
        "network": [4, 8, 8, 3],
        "activation": "relu",
        "optimizer": "sgd",
        "epochs": max(run.epochs for each in runs.values() for run in each),
        "batch_size": 32,
        "seed": 0,
        "n_seeds": max(map(len, runs.values())),
        "guess": GUESS,
        "level": LEVEL,
        "level_is_given": False,
        "choices": choices,
        "judged_by": judged_by(what),
        "differences": differences(choices, judged_by(what)),
        "seconds": 1.25,
    }
    return record | {"finding": finding(record), "textbook": textbook(record)}
