"""Row weights: k is a row that is there k times, 0 is one that is not there."""

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.model_selection import KFold

from hpo.nn.architecture import Architecture, BatchNorm, Floats, Head
from hpo.nn.initializers import initial_params
from hpo.nn.members import Rows, TrainingSettings
from hpo.nn.training import Start, Trained, train
from tests.nn.making import members_of, one_member, part_of, random_rows, squares

HEADS = (Head(3, weight=0.5), Head(2, "huber"), Head(1, "binary_cross_entropy"))
NORMS: tuple[BatchNorm, ...] = ("none", "before", "after")
STRENGTHS: dict[str, Any] = {
    "learning_rate": 0.3,
    "weight_decay": 0.1,
    "l1": 0.01,
    "l2": 0.02,
    "label_smoothing": 0.1,
    "clip_norm": 0.5,
    "max_norm": 1.5,
}


def network(batch_norm: BatchNorm = "none") -> Architecture:
    return Architecture(3, (4, 3), HEADS, "tanh", batch_norm)


def weighted(rows: Rows, weights: Any) -> Rows:
    return Rows(rows.X, rows.targets, np.asarray(weights, dtype=np.float64))


def trained(architecture: Architecture, rows: Rows, epochs: int = 4, **settings: Any) -> Trained:
    """Descent with all rows in every batch, so that their order means nothing but rounding."""
    how = TrainingSettings("sgd", epochs, 10_000, patience=None, **settings)
    return train(architecture, how, one_member(**STRENGTHS), rows, None)


def trainable(architecture: Architecture, params: Floats) -> Floats:
    return params[:, : architecture.n_trainable]


counts = st.lists(st.integers(0, 3), min_size=9, max_size=9)


@given(counts=counts, batch_norm=st.sampled_from(NORMS))
def test_a_weight_is_a_number_of_copies(counts: list[int], batch_norm: BatchNorm) -> None:
    assume(any(counts))
    architecture = network(batch_norm)
    rows = random_rows(architecture, 9, dtype=np.float64)
    found = trained(architecture, weighted(rows, counts))
    expected = trained(architecture, part_of(rows, np.repeat(np.arange(9), counts)))
    np.testing.assert_allclose(
        trainable(architecture, found.params),
        trainable(architecture, expected.params),
        rtol=1e-7,
        atol=1e-9,
    )
    np.testing.assert_allclose(found.curves["train_loss"], expected.curves["train_loss"], rtol=1e-7)


@pytest.mark.parametrize("batch_norm", ["before", "after"])
def test_moving_statistics_see_copies(batch_norm: BatchNorm) -> None:
    architecture = network(batch_norm)
    rows, counts = random_rows(architecture, 9, dtype=np.float64), [1, 3, 2, 1, 1, 2, 1, 1, 4]
    found = trained(architecture, weighted(rows, counts))
    expected = trained(architecture, part_of(rows, np.repeat(np.arange(9), counts)))
    np.testing.assert_allclose(found.params, expected.params, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("batch_norm", ["before", "after"])
def test_moving_statistics_do_not_see_rows_of_no_weight(batch_norm: BatchNorm) -> None:
    """Least of all may something of the initial statistics be left in them."""
    architecture = network(batch_norm)
    rows, present = random_rows(architecture, 9, dtype=np.float64), np.array([1, 1, 0] * 3)
    found = trained(architecture, weighted(rows, present))
    expected = trained(architecture, part_of(rows, present == 1))
    np.testing.assert_allclose(found.params, expected.params, rtol=1e-7, atol=1e-9)


@given(scale=st.sampled_from([0.125, 3.0, 1e3]), batch_norm=st.sampled_from(NORMS))
def test_only_the_ratio_of_weights_counts(scale: float, batch_norm: BatchNorm) -> None:
    architecture = network(batch_norm)
    rows = random_rows(architecture, 9, dtype=np.float64)
    weights = np.random.default_rng(0).random(9)
    found = trained(architecture, weighted(rows, scale * weights))
    expected = trained(architecture, weighted(rows, weights))
    np.testing.assert_allclose(found.params, expected.params, rtol=1e-7, atol=1e-12)


def test_equal_weights_are_no_weights() -> None:
    for batch_norm in NORMS:
        architecture = network(batch_norm)
        rows = random_rows(architecture, 9)
        how = TrainingSettings("adam", 3, 4, patience=None)
        outcomes = [
            train(architecture, how, one_member(), each, each)
            for each in (rows, weighted(rows, np.ones(9)), weighted(rows, np.ones((1, 9))))
        ]
        for other in outcomes[1:]:
            assert other.params.tobytes() == outcomes[0].params.tobytes()
            np.testing.assert_allclose(
                other.curves["val_loss"], outcomes[0].curves["val_loss"], rtol=1e-12
            )


def test_a_row_of_no_weight_may_be_anything() -> None:
    architecture = network("before")
    rows = random_rows(architecture, 9)
    weights = np.array([1.0, 1, 0, 1, 1, 0, 1, 1, 1])
    other = random_rows(architecture, 9, seed=1)
    mixed = Rows(
        np.where(weights[:, None] > 0, rows.X, other.X),
        tuple(
            np.where(weights > 0, a.T, b.T).T
            for a, b in zip(rows.targets, other.targets, strict=True)
        ),
    )
    how = TrainingSettings("adam", 3, 4, patience=None)
    outcomes = [
        train(architecture, how, one_member(), weighted(each, weights), weighted(each, weights))
        for each in (rows, mixed)
    ]
    assert not np.array_equal(rows.X, mixed.X)
    assert outcomes[0].params.tobytes() == outcomes[1].params.tobytes()
    for name in ("train_loss", "val_loss"):
        assert outcomes[0].curves[name].tobytes() == outcomes[1].curves[name].tobytes()


def test_folds_are_weights_of_members() -> None:
    """Five members, each of which trains on four fifths of the rows and is watched on the rest."""
    architecture = network()
    rows = random_rows(architecture, 20, dtype=np.float64)
    folds = list(KFold(5, shuffle=True, random_state=0).split(rows.X))
    inside = np.zeros((5, 20))
    for fold, (train_rows, _) in enumerate(folds):
        inside[fold, train_rows] = 1
    start = initial_params(architecture, [7] * 5).astype(np.float64)
    how = TrainingSettings("sgd", 30, 100, patience=4)
    numbers = [STRENGTHS | {"random_state": 7}] * 5
    together = train(
        architecture,
        how,
        members_of(numbers),
        weighted(rows, inside),
        weighted(rows, 1 - inside),
        squares,
        start=Start(start),
    )
    for fold, (train_rows, held_out) in enumerate(folds):
        alone = train(
            architecture,
            how,
            one_member(**numbers[0]),
            part_of(rows, train_rows),
            part_of(rows, held_out),
            squares,
            start=Start(start[:1]),
        )
        assert together.epochs[fold] == alone.epochs[0]
        assert together.best_epoch[fold] == alone.best_epoch[0]
        np.testing.assert_allclose(together.params[fold], alone.params[0], rtol=1e-7, atol=1e-9)
        for name in ("train_loss", "val_loss", "val_score_loss"):
            np.testing.assert_allclose(
                together.curves[name][fold], alone.curves[name][0], rtol=1e-7
            )


@pytest.mark.parametrize("counts", [[1, 0, 2, 3, 0, 1, 1, 1], [0, 0, 0, 0, 0, 0, 0, 1]])
def test_early_stopping_weighs_validation_rows(counts: list[int]) -> None:
    architecture = network()
    rows, validation = (random_rows(architecture, 8, seed, dtype=np.float64) for seed in (0, 1))
    how = TrainingSettings("adam", 40, 4, patience=3)
    members = one_member(learning_rate=0.03)
    found = train(architecture, how, members, rows, weighted(validation, counts), squares)
    copies = part_of(validation, np.repeat(np.arange(8), counts))
    expected = train(architecture, how, members, rows, copies, squares)
    plain = train(architecture, how, members, rows, validation, squares)
    assert (found.epochs[0], found.best_epoch[0]) == (expected.epochs[0], expected.best_epoch[0])
    assert found.params.tobytes() == expected.params.tobytes()
    assert found.params.tobytes() != plain.params.tobytes()
    for name in ("val_loss", "val_score_loss"):
        np.testing.assert_allclose(found.curves[name], expected.curves[name], rtol=1e-9)


@pytest.mark.parametrize("batch_norm", NORMS)
def test_a_batch_without_a_row_for_a_member_leaves_it_alone(batch_norm: BatchNorm) -> None:
    architecture = network(batch_norm)
    weights = np.stack([np.zeros(8), np.ones(8)])
    start = initial_params(architecture, [0, 1])
    rows = weighted(random_rows(architecture, 8), weights)
    how = TrainingSettings("sgd", 2, 4, patience=None)
    members = members_of([{"random_state": 0}, {"random_state": 1}])
    after = train(architecture, how, members, rows, None, start=Start(start))
    assert np.array_equal(after.params[0], start[0])
    assert not np.array_equal(after.params[1], start[1])
    assert not after.diverged.any()
