"""Our own stack of networks, each with its own learning rate.

After each epoch it has loss and accuracy of the training rows (running means) and of the validation
rows, more than anyone else here.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.workloads import Workload
from hpo.data.metrics import METRICS
from hpo.nn.architecture import Architecture, Floats, Head
from hpo.nn.measuring import Targets
from hpo.nn.members import Members, Rows, TrainingSettings
from hpo.nn.training import train


def contestant(workload: Workload, members: int) -> Callable[[], float]:
    """Train ``members`` networks as one stack."""
    split = workload.split
    heads = (Head(workload.n_classes, "cross_entropy"),)
    architecture = Architecture(split.X.shape[1], workload.hidden, heads)
    settings = TrainingSettings(
        workload.optimizer,
        epochs=workload.epochs,
        batch_size=workload.batch_size,
        patience=None,
    )
    stack = Members(tuple(range(members)), workload.learning_rates(members))
    training = Rows(split.X, (split.y,))
    validation = Rows(split.X_validation, (split.y_validation,))
    accuracy = METRICS["accuracy"]

    def row_loss(prediction: Floats, targets: Targets) -> Floats:
        return accuracy.loss_of_rows(prediction, targets[0])

    def run() -> float:
        trained = train(architecture, settings, stack, training, validation, row_loss)
        return 1.0 - float(trained.curves["val_score_loss"][:, -1].mean())

    return run
