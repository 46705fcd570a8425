"""What many people run: Optuna on a SQLite file, and scikit-learn's network for each trial.

``python -m benchmarks.peers.optuna_sklearn URL ARRAYS TRIALS`` takes part in the study of that URL
until it has trained as many trials. The points are given, so that all contestants train the same
trials. With ``reports`` each epoch is scored on the validation rows and reported, as for a learning
curve or a pruner; without, nothing is, which is the quickest that these libraries can do.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

STUDY = "peer"
SPACE: dict[str, BaseDistribution] = {
    "learning_rate": FloatDistribution(1e-5, 1e-1, log=True),
    "alpha": FloatDistribution(1e-5, 10.0, log=True),
}


class GivenPoints(BaseSampler):
    """Trial ``n`` gets row ``n`` of ``points`` (trials, parameters); cheaper than drawing them."""

    def __init__(self, points: NDArray[np.float64]) -> None:
        self.points = points

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """All parameters."""
        return SPACE

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The trial's row."""
        return dict(zip(search_space, self.points[trial.number].tolist(), strict=True))

    def sample_independent(
        self, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution
    ) -> Any:
        """No parameter is left for it."""
        raise ValueError(f"trial {trial.number} was given no {name}")


def main(url: str, arrays: str, trials: str) -> None:
    """Train so many trials, each on the training rows, scored on the validation rows."""
    warnings.simplefilter("ignore", ConvergenceWarning)  # it is told how many epochs to make
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with np.load(Path(arrays)) as data:
        X, y, X_val, y_val = (data[name] for name in ("X", "y", "X_val", "y_val"))
        hidden, solver = tuple(data["hidden"].tolist()), str(data["solver"])
        epochs, batch = int(data["epochs"]), int(data["batch"])
        reports, points = bool(data["reports"]), data["points"]
    classes = np.unique(y)

    def objective(trial: optuna.Trial) -> float:
        rate = trial.suggest_float("learning_rate", 1e-5, 1e-1, log=True)
        network = MLPClassifier(
            hidden,
            solver=solver,
            alpha=trial.suggest_float("alpha", 1e-5, 10.0, log=True),
            learning_rate_init=rate,
            momentum=0.0,
            batch_size=batch,
            max_iter=epochs,
            n_iter_no_change=epochs + 1,
            random_state=trial.number,
        )
        with np.errstate(all="ignore"):
            try:
                if not reports:
                    return float(network.fit(X, y).score(X_val, y_val))
                score = 0.0
                for epoch in range(1, epochs + 1):
                    network.partial_fit(X, y, classes=classes)
                    score = float(network.score(X_val, y_val))
                    trial.report(score, epoch)
            except ValueError as error:  # a rate at which the weights overflow
                raise optuna.TrialPruned from error
        return score

    study = optuna.load_study(study_name=STUDY, storage=url, sampler=GivenPoints(points))
    study.optimize(objective, n_trials=int(trials))


if __name__ == "__main__":
    main(*sys.argv[1:])
