"""Early stopping: by hand, against a plain walk along the curve, and what it is good for."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.nn.measuring import row_losses
from hpo.nn.members import Members, Rows, TrainingSettings
from hpo.nn.network import predict
from hpo.nn.stopping import Best
from hpo.nn.training import Trained, train
from tests.nn.making import classifier, digits, members_of, one_member, random_rows, wrong

RATES = [1e-4, 1e-3, 1e-2, 3e-2, 1e-1, 0.3]
ARCHITECTURE = classifier(10, (32,), 2)


def overfitting(count: int = len(RATES)) -> tuple[Members, Rows, Rows]:
    """Labels that mean nothing: whatever is learnt is learnt by heart."""
    members = members_of([{"random_state": i, "learning_rate": RATES[i]} for i in range(count)])
    return members, random_rows(ARCHITECTURE, 40), random_rows(ARCHITECTURE, 40, 1)


def walk(curve: Any, patience: int, min_delta: float = 0.0) -> tuple[int, int]:
    """Epochs run and the best epoch, from 0, when ``curve`` is all that could be run."""
    best, where, waited = np.inf, -1, 0
    for epoch, loss in enumerate(curve):
        if loss < best - min_delta:
            best, where, waited = loss, epoch, 0
        else:
            waited += 1
        if waited == patience:
            return epoch + 1, where
    return len(curve), where


def observed(losses: Any, patience: int | None, min_delta: float = 0.0) -> tuple[int, int, float]:
    """What `Best` makes of one member's losses; the weights are the epoch's number."""
    best = Best.start(np.zeros((1, 1)))
    for epoch, loss in enumerate(losses):
        best = best.observe(epoch, np.array([loss]), np.full((1, 1), float(epoch)), min_delta)
        if best.exhausted(epoch, patience)[0]:
            return epoch + 1, int(best.epoch[0]), float(best.params[0, 0])
    return len(losses), int(best.epoch[0]), float(best.params[0, 0])


def test_patience_by_hand() -> None:
    params = np.zeros((2, 1))
    best = Best.start(params)
    for epoch, losses in enumerate([[3.0, 1.0], [2.0, np.nan], [2.0, 2.0]]):
        params[:] = epoch
        best = best.observe(epoch, np.array(losses), params)
    assert best.epoch.tolist() == [1, 0]
    assert best.params.ravel().tolist() == [1, 0]
    assert best.exhausted(2, 2).tolist() == [False, True]
    assert best.exhausted(2, None).tolist() == [False, False]
    assert best.keep(np.array([False, True])).loss.tolist() == [1]


def test_the_least_gain_by_hand() -> None:
    # 4 is better than 5 by 1; 3.5 is not better than 4 by more than a half, 3.4 is.
    assert observed([5.0, 4.0, 3.5, 3.4, 3.0, 2.95], None, 0.5) == (6, 3, 3.0)
    assert observed([5.0, 4.0, 3.5, 3.6, 3.7], 3, 0.5) == (5, 1, 1.0)
    assert observed([5.0, 4.0, 3.5, 3.6, 3.7], 3, 0.0) == (5, 2, 2.0)


losses = st.lists(st.integers(0, 9).map(float), min_size=1, max_size=30)


@given(losses, st.integers(1, 6), st.sampled_from([0.0, 1.0, 2.5]))
def test_best_walks_as_a_plain_loop(curve: list[float], patience: int, min_delta: float) -> None:
    epochs, where = walk(curve, patience, min_delta)
    assert observed(curve, patience, min_delta) == (epochs, where, where)


@pytest.mark.parametrize("monitor", ["val_loss", "val_score_loss", "train_loss"])
@pytest.mark.parametrize(("patience", "min_delta"), [(1, 0.0), (3, 0.0), (5, 0.01)])
def test_members_stop_where_their_curves_say(monitor: Any, patience: int, min_delta: float) -> None:
    members, training, validation = overfitting()
    endless = TrainingSettings(epochs=40, batch_size=10, patience=None)
    whole = train(ARCHITECTURE, endless, members, training, validation, wrong)
    settings = replace(endless, patience=patience, min_delta=min_delta, monitor=monitor)
    stopped = train(ARCHITECTURE, settings, members, training, validation, wrong)
    assert len(set(stopped.epochs.tolist())) > 1
    for member, curve in enumerate(whole.curves[monitor]):
        epochs, best = walk(curve, patience, min_delta)
        assert (stopped.epochs[member], stopped.best_epoch[member]) == (epochs, best)
        for name in whole.curves:
            found, expected = stopped.curves[name][member], whole.curves[name][member]
            assert found[:epochs].tobytes() == expected[:epochs].tobytes()
            assert np.isnan(found[epochs:]).all()


def test_the_best_weights_are_kept() -> None:
    members, training, validation = overfitting(3)
    settings = TrainingSettings(epochs=60, batch_size=10, patience=5)
    trained = train(ARCHITECTURE, settings, members, training, validation)
    for member, best in enumerate(trained.best_epoch):
        prediction = predict(ARCHITECTURE, trained.params[member : member + 1], validation.X)
        loss = row_losses(ARCHITECTURE, prediction, validation.targets).mean()
        assert loss == pytest.approx(np.nanmin(trained.curves["val_loss"][member]), rel=1e-12)
        shorter = replace(settings, epochs=int(best) + 1, patience=None)
        again = train(ARCHITECTURE, shorter, members, training, validation)
        assert again.params[member].tobytes() == trained.params[member].tobytes()


def test_a_member_stops_after_its_patience() -> None:
    members, training, validation = overfitting()
    settings = TrainingSettings(epochs=200, batch_size=10, patience=5)
    trained = train(ARCHITECTURE, settings, members, training, validation)
    steep = RATES.index(1e-1)
    assert trained.epochs[steep] == trained.best_epoch[steep] + 6 < 200


def test_training_stops_before_the_validation_loss_rises() -> None:
    architecture = classifier(64, (100,), 10)
    members = one_member(learning_rate=1e-2)
    parts = digits(0, 300), digits(300, 800)
    endless = TrainingSettings(epochs=60, batch_size=50, patience=None)
    whole = train(architecture, endless, members, *parts)
    curve = whole.curves["val_loss"][0]
    assert curve[-1] > 1.08 * curve.min(), "it rises if nothing stops it"
    stopped = train(architecture, replace(endless, patience=5), members, *parts)
    assert stopped.epochs[0] < 60
    kept = stopped.curves["val_loss"][0, stopped.best_epoch[0]]
    assert kept < 0.95 * curve[-1]


def test_the_training_loss_can_be_watched_without_validation_rows() -> None:
    members, training, _ = overfitting()
    settings = TrainingSettings(epochs=30, batch_size=10, patience=2, monitor="train_loss")
    trained = train(ARCHITECTURE, settings, members, training, None)
    for member, curve in enumerate(trained.curves["train_loss"]):
        epochs = trained.epochs[member]
        assert walk(curve[:epochs], 2) == (epochs, trained.best_epoch[member])
    assert trained.epochs.min() < 30


def scored(monitor: Any) -> Trained:
    """Train with a score that is best in the first epoch, whatever the loss does."""
    calls = iter(range(10_000))
    members, training, validation = overfitting(1)
    settings = TrainingSettings(epochs=9, batch_size=40, patience=3, monitor=monitor)

    def worse_and_worse(prediction: Any, _targets: Any) -> Any:
        return np.full(prediction.shape[:2], float(next(calls)))

    return train(ARCHITECTURE, settings, members, training, validation, worse_and_worse)


def test_the_score_can_be_watched() -> None:
    assert (scored("val_score_loss").epochs[0], scored("val_score_loss").best_epoch[0]) == (4, 0)
    assert scored("train_loss").epochs[0] == 9


def test_a_score_that_nobody_gives_cannot_be_watched() -> None:
    members, training, validation = overfitting(1)
    settings = TrainingSettings(epochs=9, patience=3, monitor="val_score_loss")
    with pytest.raises(ValueError, match="val_score_loss"):
        train(ARCHITECTURE, settings, members, training, validation)
