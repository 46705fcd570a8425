"""What happened in each epoch, in a user's terms."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hpo.estimators.encoding import Encoded
from hpo.nn.members import Rows, TrainingSettings
from hpo.nn.training import Trained

Curve = NDArray[np.float64]
History = dict[str, Curve]
"""Name -> one number for each epoch, (epochs,)."""


def history(
    place: int,
    learning_rate: float,
    encoded: Encoded,
    settings: TrainingSettings,
    trained: Trained,
) -> History:
    """The curves of the network at ``place`` of the stack."""
    epochs = int(trained.epochs[place])
    curves = {name: curve[place, :epochs] for name, curve in trained.curves.items()}
    steps_per_epoch = -(-len(encoded.X) // min(settings.batch_size, len(encoded.X)))
    ends = np.arange(1, epochs + 1) * steps_per_epoch
    factors = [settings.schedule.factor(int(e), steps_per_epoch * settings.epochs) for e in ends]
    rows = Rows(encoded.X, encoded.targets, encoded.weights)
    found = {
        "train_loss": curves["train_loss"].copy(),
        "train_score": _score(encoded, curves["train_score_loss"], rows, place),
        "learning_rate": learning_rate * np.array(factors),
        "gradient_norm": curves["gradient_norm"].copy(),
        "seconds": trained.seconds[:epochs].copy(),
    }
    if encoded.validation is not None:
        found["val_loss"] = curves["val_loss"].copy()
        found["val_score"] = _score(encoded, curves["val_score_loss"], encoded.validation, place)
    return found


def _score(encoded: Encoded, losses: Curve, rows: Rows, place: int) -> Curve:
    """The score of mean row losses, NaN where the rows have none."""
    weights = rows.weights
    own = weights[place] if weights is not None and weights.ndim == 2 else weights
    base = encoded.score.baseline(rows.targets[0], own)
    return 1 - losses / base if base > 0 else np.full_like(losses, np.nan)


def n_epochs(curves: History) -> int:
    """How many epochs there were, 0 in an empty history."""
    return len(curves.get("train_loss", ()))


def joined(before: History, after: History) -> History:
    """Both, one after the other; NaN where only one of them measured something."""

    def part(curves: History, name: str) -> Curve:
        return curves.get(name, np.full(n_epochs(curves), np.nan))

    names = dict.fromkeys([*before, *after])
    return {name: np.append(part(before, name), part(after, name)) for name in names}
