"""What many people run: Optuna's random sampler on a SQLite file, scikit-learn's network per trial.

``python -m benchmarks.peers.optuna_sklearn URL ARRAYS TRIALS`` takes part in the study of that URL
until it has trained as many trials. Nothing is reported between epochs, which is the quickest way.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import optuna
from optuna.samplers import RandomSampler
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

STUDY = "peer"


def main(url: str, arrays: str, trials: str) -> None:
    """Train so many trials, each on the training rows, scored on the validation rows."""
    warnings.simplefilter("ignore", ConvergenceWarning)  # it is told how many epochs to make
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with np.load(Path(arrays)) as data:
        X, y, X_val, y_val = (data[name] for name in ("X", "y", "X_val", "y_val"))
        hidden, solver = tuple(data["hidden"].tolist()), str(data["solver"])
        epochs, batch = int(data["epochs"]), int(data["batch"])

    def objective(trial: optuna.Trial) -> float:
        network = MLPClassifier(
            hidden,
            solver=solver,
            alpha=trial.suggest_float("alpha", 1e-5, 10.0, log=True),
            learning_rate_init=trial.suggest_float("learning_rate", 1e-5, 1e-1, log=True),
            momentum=0.0,
            batch_size=batch,
            max_iter=epochs,
            n_iter_no_change=epochs + 1,
            random_state=trial.number,
        )
        with np.errstate(all="ignore"):
            try:
                return float(network.fit(X, y).score(X_val, y_val))
            except ValueError as error:  # a rate at which the weights overflow
                raise optuna.TrialPruned from error

    study = optuna.load_study(study_name=STUDY, storage=url, sampler=RandomSampler())
    study.optimize(objective, n_trials=int(trials))


if __name__ == "__main__":
    main(*sys.argv[1:])
