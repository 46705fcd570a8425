"""Documents of ``hpo show``, written by hand, for pictures of them."""

from __future__ import annotations

from typing import Any

_RANGES: list[dict[str, Any]] = [
    {"learning_rate": [1e-5, 1e-1], "weight_decay": [1e-5, 10.0]},
    {"learning_rate": [1.5e-4, 2e-2], "weight_decay": [1e-5, 2.9]},
]


def _trial(rank: int, number: int, validation: float, train: float) -> dict[str, Any]:
    return {
        "rank": rank, "trial": number, "state": "complete", "validation": validation,
        "train": train, "gap": train - validation, "seconds": 0.125, "weights": 131,
        "params": {"learning_rate": 0.002, "weight_decay": 0.5}, "reason": None,
    }  # fmt: skip


STUDY: dict[str, Any] = {
    "study": "flowers",
    "storage": "sqlite:///hpo.db",
    "metric": "accuracy",
    "direction": "maximize",
    "cv": None,
    "network": [4, 16, 3],
    "weights": 131,
    "trials": {"complete": 6, "pruned": 1, "running": 0, "waiting": 0, "failed": 1},
    "made": "2026-01-02T03:04:05+00:00",
    "data": {
        "source": "flowers.csv", "columns": ["a", "b", "c", "d"], "rows": 1150, "target": "kind",
        "sha256": "0123456789abcdef" * 4,
    },
    "split": {
        "seed": 7, "rows": {"train": 736, "validation": 184, "test": 230}, "test_size": 0.2,
        "validation_size": 0.2, "test_file": None, "sha256": "f" * 64,
    },
    "settings": {
        "target": "kind", "header": True, "task": "classification", "metric": "accuracy",
        "space": {}, "seed": 7, "rounds": 2, "hidden": [16], "batch_size": None, "cv": None,
    },
    "versions": {"hpo": "0.1", "numpy": "2.0", "machine": "x86_64"},
    "rounds": [
        {"round": 0, "trials": 4, "ranges": _RANGES[0], "best": 0.875},
        {"round": 1, "trials": 4, "ranges": _RANGES[1], "best": 0.9375},
    ],
    "best": [_trial(1, 5, 0.9375, 0.96875), _trial(2, 0, 0.875, 0.8125)],
    "failures": {"diverged in epoch 3: the loss was not finite": [2]},
    "winner": {
        "trial": 0, "of": 8, "repeats": 5, "folds": 5, "networks": 5, "refit": None,
        "expected": 0.91, "expected_se": 0.012,
        "candidates": [
            {"trial": 5, "values": [], "value": 0.915, "standard_error": 0.01, "gap": 0.05},
            {"trial": 0, "values": [], "value": 0.91, "standard_error": 0.008, "gap": 0.01},
        ],
    },
    "ensembles": [
        {
            "name": "ensemble", "method": "stacking", "expected": 0.93, "expected_se": 0.01,
            "members": [{"models": 5, "bytes": 12000}, {"models": 1, "bytes": 3500}],
        },
    ],
    "looks": [
        {"look": 1, "why": "winner of the search (trial 0)", "score": 0.9},
        {"look": 2, "why": "ensemble ensemble (stacking)", "score": None},
    ],
    "commands": ["hpo search flowers.csv --target kind --rounds 2 --seed 7 --hidden 16 --trials 8"],
}  # fmt: skip

TRIAL: dict[str, Any] = {
    "study": "flowers",
    "storage": "sqlite:///hpo.db",
    "metric": "accuracy",
    "direction": "maximize",
    "cv": None,
    **_trial(2, 5, 0.9375, 0.96875),
    "of": 6,
    "epochs": 5,
    "best_epoch": 4,
    "network_kept": True,
    "curves": {
        "train_loss": [1.0, 0.75, 0.5, 0.25, 0.0],
        "val_loss": [1.0, 0.75, 0.5, 0.5, None],
    },
}
