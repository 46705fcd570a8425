"""How the files of this folder were made: ``python -m tests.estimators.golden.making``.

They stand for all files that users have: a new version reads them, or it says why not.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hpo.estimators import MLPClassifier, MLPMultiTask, MLPRegressor
from hpo.estimators.base import BaseMLP
from hpo.nn.augmentation import Augmentation
from hpo.nn.schedules import Schedule

FOLDER = Path(__file__).parent
NAMES = ["width", "hauteur", "depth", "x"]


def table(rows: int, seed: int) -> pd.DataFrame:
    """Rows of four features on several scales."""
    X = np.random.default_rng(seed).normal(size=(rows, 4)) * [1, 10, 1000, 0.1] + [0, 5, 1e4, 0]
    return pd.DataFrame(np.round(X, 6), columns=NAMES)


def networks() -> dict[str, BaseMLP]:
    """One small network of each class."""
    X = table(60, 0)
    words = np.array(["ant", "bée", "cicada"], dtype=object)[np.digitize(X["hauteur"], [0, 10])]
    values = np.column_stack([X["width"] * 100 + X["depth"], X["hauteur"]])
    mixed = pd.DataFrame({"right": X["x"] > 0, "size": X["width"] * 1e6})
    shared: dict[str, Any] = {"random_state": 0, "max_epochs": 5, "learning_rate": 0.02}
    shared |= {"weight_decay": 0.0, "dropout": 0.0}  # which were the defaults then
    classifier = MLPClassifier(
        (6, 5),
        batch_norm=True,
        class_weight={"ant": 2.0, "bée": 1.0, "cicada": 1.0},
        schedule=Schedule("exponential", warmup=0.1),
        augment=Augmentation((2, 2), noise=0.05),
        **shared,
    )
    regressor = MLPRegressor((6,), activation="gelu", loss="huber", scaling="standard", **shared)
    tasks = MLPMultiTask(
        (6,), activation="tanh", loss_weights=(1, 0.5), batch_norm="after", **shared
    )
    return {
        "classifier": classifier.fit(X, words, X_val=X, y_val=words),
        "regressor": regressor.fit(X, values),
        "tasks": tasks.fit(X, mixed),
    }


def expected(network: Any, X: pd.DataFrame) -> dict[str, Any]:
    """What the network says of ``X``, as plain values."""
    found = {"prediction": network.predict(X).tolist()}
    if isinstance(network, MLPClassifier):
        found["probabilities"] = network.predict_proba(X).tolist()
    if isinstance(network, MLPMultiTask):
        found["probabilities"] = network.predict_task_proba(X, 0).tolist()
    return found


def main() -> None:
    """Write all files anew."""
    X = table(8, 1)
    for name, network in networks().items():
        network.save(FOLDER / f"{name}.npz")
        record = {"inputs": X.to_numpy().tolist(), **expected(network, X)}
        text = json.dumps(record, indent=1, ensure_ascii=False)
        (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
