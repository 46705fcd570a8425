"""Cross-validation inside a stack: each network is the one that its fold alone would give."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.model_selection import KFold, RepeatedKFold, StratifiedKFold, TimeSeriesSplit

from hpo.nn.architecture import Architecture
from hpo.nn.folds import Fold, OutOfFold, repeat, train_folds
from hpo.nn.members import Members, Rows, TrainingSettings
from hpo.nn.network import predict
from hpo.nn.training import Trained, train
from tests.nn.making import classifier, digits, members_of, random_rows, regressor

SETTINGS = TrainingSettings("adam", epochs=3, batch_size=16, patience=None)
NUMBERS: list[dict[str, Any]] = [
    {"random_state": 5, "learning_rate": 0.01},
    {"random_state": (6, 2), "learning_rate": 0.1, "weight_decay": 0.1, "dropout": 0.3},
]
ARCHITECTURES = [
    classifier(6, (8,), 3),
    classifier(6, (8, 5), 3, "tanh", "before"),
    regressor(6, (8,), 2),
]


def folds_of(splitter: Any, rows: Rows) -> list[Fold]:
    target = rows.targets[0] if rows.targets[0].ndim == 1 else None
    return list(splitter.split(rows.X, target))


def alone(
    architecture: Architecture,
    rows: Rows,
    numbers: dict[str, Any],
    fold: int,
    trained_on: NDArray[np.int64],
    own: Any = 1.0,
    settings: TrainingSettings = SETTINGS,
) -> Trained:
    """One member, trained by itself, with weight 0 outside the training part of one fold."""
    state = (*np.atleast_1d(numbers["random_state"]).tolist(), fold)
    weights = np.zeros(len(rows), dtype=np.float32)
    weights[trained_on] = 1
    member = members_of([numbers | {"random_state": state}])
    return train(architecture, settings, member, replace(rows, weights=weights * own), None)


def by_hand(
    architecture: Architecture, rows: Rows, numbers: dict[str, Any], folds: list[Fold], own: Any
) -> tuple[NDArray[Any], list[NDArray[Any]]]:
    """Mean predictions (rows, outputs) and the networks of one member."""
    total = np.zeros((len(rows), architecture.n_outputs), dtype=np.float32)
    counts = np.zeros((len(rows), 1), dtype=np.float32)
    networks = []
    for fold, (trained_on, held_out) in enumerate(folds):
        params = alone(architecture, rows, numbers, fold, trained_on, own).params
        total[held_out] += predict(architecture, params, rows.X[held_out])[0]
        counts[held_out] += 1
        networks.append(params[0])
    with np.errstate(invalid="ignore"):
        return total / counts, networks


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=["plain", "batch norm", "values"])
def test_predictions_are_those_of_networks_trained_fold_by_fold(
    architecture: Architecture,
) -> None:
    rows = random_rows(architecture, 53)
    folds = folds_of(KFold(4, shuffle=True, random_state=0), rows)
    together = train_folds(architecture, SETTINGS, members_of(NUMBERS), rows, folds)
    assert together.prediction.shape == (2, 53, architecture.n_outputs)
    for member, numbers in enumerate(NUMBERS):
        prediction, networks = by_hand(architecture, rows, numbers, folds, np.float32(1))
        assert together.prediction[member].tobytes() == prediction.tobytes()
        assert together.params_of(member).tobytes() == np.stack(networks).tobytes()


@pytest.mark.parametrize("shape", [(53,), (2, 53)], ids=str)
def test_weights_of_rows_count_inside_the_folds(shape: tuple[int, ...]) -> None:
    architecture = ARCHITECTURES[0]
    weights = np.random.default_rng(1).uniform(0.5, 2, shape).astype(np.float32)
    rows = random_rows(architecture, 53, weights=weights)
    folds = folds_of(KFold(3), rows)
    together = train_folds(architecture, SETTINGS, members_of(NUMBERS), rows, folds)
    for member, numbers in enumerate(NUMBERS):
        own = weights if weights.ndim == 1 else weights[member]
        prediction, _ = by_hand(architecture, rows, numbers, folds, own)
        assert together.prediction[member].tobytes() == prediction.tobytes()


def test_a_row_that_is_held_out_teaches_nothing() -> None:
    architecture = ARCHITECTURES[0]
    rows = random_rows(architecture, 40)
    folds = folds_of(KFold(4), rows)
    spoilt = Rows(rows.X.copy(), (rows.targets[0].copy(),))
    spoilt.X[:10] *= 100
    spoilt.targets[0][:10] = 0
    members = members_of(NUMBERS)
    right = train_folds(architecture, SETTINGS, members, rows, folds)
    wrong = train_folds(architecture, SETTINGS, members, spoilt, folds)
    for member in range(2):
        same = [
            np.array_equal(*pair)
            for pair in zip(right.params_of(member), wrong.params_of(member), strict=True)
        ]
        assert same == [True, False, False, False]


def test_rows_that_several_folds_hold_out_have_the_mean_prediction() -> None:
    architecture = ARCHITECTURES[0]
    rows = random_rows(architecture, 30)
    folds = folds_of(RepeatedKFold(n_splits=3, n_repeats=2, random_state=0), rows)
    together = train_folds(architecture, SETTINGS, members_of(NUMBERS[:1]), rows, folds)
    assert together.counts.tolist() == [2] * 30
    prediction, _ = by_hand(architecture, rows, NUMBERS[0], folds, np.float32(1))
    assert together.prediction[0].tobytes() == prediction.tobytes()
    np.testing.assert_allclose(together.prediction.sum(axis=2), 1, rtol=1e-5)


def test_splits_by_time_leave_out_the_future_and_never_predict_the_first_rows() -> None:
    architecture = ARCHITECTURES[2]
    rows = random_rows(architecture, 40)
    folds = folds_of(TimeSeriesSplit(4), rows)
    together = train_folds(architecture, SETTINGS, members_of(NUMBERS), rows, folds)
    assert together.counts.tolist() == [0] * 8 + [1] * 32
    assert np.isnan(together.prediction[:, :8]).all()
    assert np.isfinite(together.prediction[:, 8:]).all()
    changed = Rows(rows.X.copy(), (rows.targets[0].copy(),))
    changed.targets[0][24:] = 7
    later = train_folds(architecture, SETTINGS, members_of(NUMBERS), changed, folds)
    np.testing.assert_array_equal(later.prediction[:, 8:24], together.prediction[:, 8:24])
    assert not np.array_equal(later.prediction[:, 32:], together.prediction[:, 32:])


def test_a_row_in_neither_part_of_a_fold_is_left_out() -> None:
    architecture = ARCHITECTURES[0]
    rows = random_rows(architecture, 20)
    folds = [(np.arange(5, 15), np.arange(3))]
    together = train_folds(architecture, SETTINGS, members_of(NUMBERS[:1]), rows, folds)
    assert together.counts.tolist() == [1] * 3 + [0] * 17
    prediction, _ = by_hand(architecture, rows, NUMBERS[0], folds, np.float32(1))
    np.testing.assert_array_equal(together.prediction[0], prediction)


def test_networks_stand_member_by_member_and_fold_by_fold() -> None:
    architecture = ARCHITECTURES[0]
    rows = random_rows(architecture, 30)
    folds = folds_of(KFold(3), rows)
    together = train_folds(architecture, SETTINGS, members_of(NUMBERS), rows, folds)
    assert together.n_folds == 3
    assert together.trained.params.shape == (6, architecture.n_params)
    np.testing.assert_array_equal(together.params_of(1), together.trained.params[3:])


@pytest.mark.parametrize("fold", [(np.arange(10), np.arange(9, 20)), (np.arange(3), np.arange(3))])
def test_a_fold_that_trains_on_what_it_holds_out_is_refused(fold: Fold) -> None:
    architecture = ARCHITECTURES[0]
    rows = random_rows(architecture, 20)
    good = (np.arange(10), np.arange(10, 20))
    with pytest.raises(ValueError, match="a fold trains on rows that it holds out"):
        train_folds(architecture, SETTINGS, members_of(NUMBERS), rows, [good, fold])


def test_held_out_rows_never_stop_a_network() -> None:
    architecture = ARCHITECTURES[0]
    rows = random_rows(architecture, 20)
    folds = folds_of(KFold(2), rows)
    with pytest.raises(ValueError, match="patience watches val_loss"):
        train_folds(architecture, TrainingSettings(epochs=2), members_of(NUMBERS), rows, folds)


def test_the_training_loss_may_stop_a_network() -> None:
    architecture = ARCHITECTURES[0]
    rows = random_rows(architecture, 20)
    settings = replace(SETTINGS, epochs=60, patience=1, monitor="train_loss")
    folds = folds_of(KFold(2), rows)
    together = train_folds(architecture, settings, members_of(NUMBERS), rows, folds)
    expected = [
        alone(architecture, rows, numbers, fold, trained_on, settings=settings).epochs[0]
        for numbers in NUMBERS
        for fold, (trained_on, _) in enumerate(folds)
    ]
    assert together.trained.epochs.tolist() == expected
    assert min(expected) < 60


def test_digits_are_predicted_out_of_their_fold() -> None:
    rows = digits(0, 400)
    architecture = classifier(64, (32,), 10)
    folds = folds_of(StratifiedKFold(4), rows)
    settings = replace(SETTINGS, epochs=15)
    together = train_folds(architecture, settings, members_of([{"random_state": 0}]), rows, folds)
    assert np.mean(together.prediction[0].argmax(axis=1) == rows.targets[0]) > 0.85


def test_members_are_repeated_with_states_of_their_own() -> None:
    members = Members(
        (5, (6, 2)),
        learning_rate=[0.1, 0.2],
        weight_decay=0.5,
        dropout=np.array([[0.1, 0.2], [0.3, 0.4]]),
        options={"beta1": [0.8, 0.9], "eps": 1e-6},
        initializer=("zeros", "orthogonal"),
    )
    repeated = repeat(members, 2)
    assert repeated.random_state == ((5, 0), (5, 1), (6, 2, 0), (6, 2, 1))
    assert np.asarray(repeated.learning_rate).tolist() == [0.1, 0.1, 0.2, 0.2]
    assert repeated.weight_decay == 0.5
    assert np.asarray(repeated.dropout).tolist() == [[0.1, 0.2]] * 2 + [[0.3, 0.4]] * 2
    assert np.asarray(repeated.options["beta1"]).tolist() == [0.8, 0.8, 0.9, 0.9]
    assert repeated.options["eps"] == 1e-6
    assert repeated.initializer == ("zeros", "zeros", "orthogonal", "orthogonal")


def test_one_initializer_for_all_stays_one() -> None:
    assert repeat(Members((1, 2), 0.1, initializer="zeros"), 3).initializer == "zeros"


def test_a_member_that_diverges_leaves_the_predictions_of_others() -> None:
    architecture = ARCHITECTURES[2]
    rows = random_rows(architecture, 30)
    folds = folds_of(KFold(3), rows)
    settings = replace(SETTINGS, optimizer="sgd")

    def trained(numbers: list[dict[str, Any]]) -> OutOfFold:
        return train_folds(architecture, settings, members_of(numbers), rows, folds)

    both = trained([{"learning_rate": 1e30}, NUMBERS[0]])
    assert both.trained.diverged.tolist() == [True] * 3 + [False] * 3
    assert both.prediction[1].tobytes() == trained(NUMBERS[:1]).prediction[0].tobytes()
