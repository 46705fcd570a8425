"""scikit-learn's ``MLPClassifier``, one network, an epoch per ``partial_fit``.

No training accuracy: it has none while it trains, and a pass over the training rows would be more
work than the running mean of the others. Its initial weights are Glorot's with the gain for ReLU,
uniform; two classes have one output unit.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.neural_network import MLPClassifier

from benchmarks.workloads import Workload


def contestant(workload: Workload, _members: int) -> Callable[[], float]:
    """Train one network."""
    split, classes = workload.split, np.arange(workload.n_classes)

    def run() -> float:
        network = MLPClassifier(
            workload.hidden,
            solver=workload.optimizer,
            alpha=0.0,
            batch_size=workload.batch_size,
            learning_rate_init=workload.learning_rate,
            momentum=0.0,
            nesterovs_momentum=False,
            random_state=0,
        )
        accuracy = 0.0
        for _ in range(workload.epochs):
            network.partial_fit(split.X, split.y, classes=classes)
            accuracy = float(network.score(split.X_validation, split.y_validation))
        return accuracy

    return run
