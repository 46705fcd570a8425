"""Sums and means of row losses: by hand, in any layout, and with rows that do not count."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hpo.nn.architecture import Architecture, Floats, Head
from hpo.nn.losses import weighted_sums
from hpo.nn.measuring import means, means_of, shares_of, sums
from hpo.nn.members import Rows, TrainingSettings
from hpo.nn.training import train
from tests.nn.making import classifier, members_of, random_rows

RNG = np.random.default_rng(0)
ONE_VALUE = Architecture(1, (), (Head(1, "squared_error"),))


def mean_losses(losses: Floats, weights: Any = None) -> NDArray[np.float64]:
    """What the mean of these losses (members, rows) is found to be."""
    prediction, target = np.zeros((*losses.shape, 1)), np.zeros((losses.shape[1], 1))
    return means(ONE_VALUE, prediction, (target,), weights, lambda _p, _t: losses)[1]


def test_means_by_hand() -> None:
    losses, weights = np.array([[1.0, 2.0, 6.0], [3.0, 0.0, 0.0]]), np.array([1.0, 1.0, 2.0])
    assert mean_losses(losses).tolist() == [3, 1]
    assert mean_losses(losses, weights).tolist() == [15 / 4, 3 / 4]
    both = np.array([[1.0, 1.0, 2.0], [0.0, 0.0, 0.0]])
    assert mean_losses(losses, both).tolist() == [15 / 4, 0]


def test_sums_of_blocks_add_up_to_the_mean() -> None:
    """The loss is half the square, the measure what the caller makes of it."""
    prediction: Floats = np.array([[[1.0], [2.0], [4.0]], [[0.0], [2.0], [0.0]]])
    target, weights = np.zeros((3, 1)), np.array([[1.0, 2.0, 1.0], [0.0, 0.0, 4.0]])
    added = np.zeros((3, 2))
    for rows in (slice(0, 2), slice(2, 3)):
        added += sums(
            ONE_VALUE,
            prediction[:, rows],
            (target[rows],),
            weights[:, rows],
            lambda p, _t: np.asarray(p[..., 0]),
        )
    assert added.tolist() == [[12.5, 0], [9, 0], [4, 4]]
    assert [each.tolist() for each in means_of(added)] == [[12.5 / 4, 0], [9 / 4, 0]]


def test_rows_of_no_weight_may_lose_anything() -> None:
    losses, weights = np.array([[1.0, np.nan, np.inf, 5.0]]), np.array([1.0, 0.0, 0.0, 3.0])
    with np.errstate(invalid="ignore"):
        assert mean_losses(losses, weights).tolist() == [4]
        assert [each.tolist() for each in weighted_sums(losses, weights)] == [[16], [4]]


@pytest.mark.parametrize("members", [2, 7, 64])
def test_a_mean_does_not_depend_on_the_layout(members: int) -> None:
    """NumPy adds long rows in another order than long columns."""
    losses = RNG.random((members, 137))
    for weights in (None, RNG.random(137), RNG.random((members, 137))):
        together = mean_losses(np.asfortranarray(losses), weights)
        for member in range(members):
            own = weights if weights is None or weights.ndim == 1 else weights[member]
            assert mean_losses(losses[member : member + 1], own)[0] == together[member]


@pytest.mark.parametrize("rows", [1, 2, 33])
def test_sums_do_not_depend_on_where_the_outputs_stand(rows: int) -> None:
    """Class by class or row by row, alone or among others; one row of one member is apart."""
    heads = (Head(11), Head(9, "squared_error"), Head(10, "huber"), Head(8, "binary_cross_entropy"))
    architecture = Architecture(1, (), heads)
    targets = random_rows(architecture, rows).targets
    prediction = RNG.uniform(0.1, 0.9, (5, rows, 38)).astype(np.float32)

    def total(prediction: Floats, _targets: Any) -> Floats:
        return np.asarray(prediction.sum(axis=-1, dtype=np.float64))

    by_class = np.ascontiguousarray(prediction.transpose(2, 0, 1)).transpose(1, 2, 0)
    together = sums(architecture, by_class, targets, None, total)
    for member in range(5):
        one = slice(member, member + 1)
        alone = np.ascontiguousarray(by_class[one].transpose(2, 0, 1)).transpose(1, 2, 0)
        for each in (by_class[one], alone):
            found = sums(architecture, each, targets, None, total)
            assert found.tobytes() == together[:, one].tobytes()


def test_shares_are_weights_over_their_sum() -> None:
    assert shares_of(None, range(4), np.float64).tolist() == [[[0.25] * 4]]
    weights = np.array([[1.0, 2.0, 0.0, 1.0], [0.0, 0.0, 0.0, 5.0]])
    shares = shares_of(weights, range(3), np.float32)
    assert shares.dtype == np.float32
    expected = np.array([[[1 / 3, 2 / 3, 0]], [[0, 0, 0]]])
    np.testing.assert_allclose(shares, expected, rtol=1e-7)
    np.testing.assert_allclose(shares_of(weights[0], [3, 1], np.float64), expected[:1, :, :2])


def test_a_score_that_nobody_gives_is_no_number_for_members_without_rows_too() -> None:
    architecture = classifier(3, (4,), 2)
    rows = random_rows(architecture, 9)
    some = Rows(rows.X, rows.targets, np.array([[0.0] * 9, [1.0] * 9]))
    settings = TrainingSettings(epochs=1, patience=None)
    curves = train(architecture, settings, members_of([{}, {}]), some, some).curves
    for part in ("train", "val"):
        assert np.isnan(curves[f"{part}_score_loss"]).all()
        assert curves[f"{part}_loss"][0, 0] == 0 < curves[f"{part}_loss"][1, 0]
