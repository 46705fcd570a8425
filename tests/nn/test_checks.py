"""Checks before a long training, on problems of which it is known whether they can be learnt."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hpo.nn.checks import RangeReport, learning_rate_range, overfit_small_batch
from hpo.nn.members import Members, Rows, TrainingSettings
from hpo.nn.training import train
from tests.nn.making import classifier, digits, random_rows, regressor

SETTINGS = TrainingSettings("sgd", epochs=4, batch_size=20)


def contradictions(pairs: int = 8) -> Rows:
    """Rows that stand there twice, once for each class."""
    X = np.random.default_rng(0).normal(size=(pairs, 5)).astype(np.float32)
    return Rows(np.repeat(X, 2, axis=0), (np.tile([0, 1], pairs),))


def test_a_few_clean_rows_are_learnt() -> None:
    report = overfit_small_batch(classifier(64, (16,), 10), digits(0, 200))
    assert report.learnt
    assert report.final_loss.min() < 0.05
    assert report.loss.shape == (9, 300)
    assert 1e-4 <= report.best <= 1


def test_a_few_values_are_learnt() -> None:
    architecture = regressor(6, (16,), 2, "tanh")
    assert overfit_small_batch(architecture, random_rows(architecture, 40)).learnt


def test_contradictory_rows_are_not_learnt() -> None:
    """The best that can be said is one half of each class: log 2."""
    report = overfit_small_batch(classifier(5, (16,), 2), contradictions())
    assert not report.learnt
    assert report.final_loss.min() == pytest.approx(np.log(2), abs=0.01)


def test_a_network_without_the_means_does_not_learn() -> None:
    """No plane separates the four corners of the exclusive or."""
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32)
    rows = Rows(np.tile(corners, (4, 1)), (np.tile([0, 1, 1, 0], 4),))
    assert not overfit_small_batch(classifier(2, (), 2), rows).learnt
    assert overfit_small_batch(classifier(2, (16,), 2), rows).learnt


@pytest.mark.parametrize("factor", [1e30, 1e-30])
def test_inputs_of_wild_scales_are_not_learnt(factor: float) -> None:
    architecture = regressor(6, (16,))
    rows = random_rows(architecture, 40)
    wild = Rows(rows.X * np.float32(factor), rows.targets)
    assert not overfit_small_batch(architecture, wild).learnt


def test_few_rows_are_taken_from_the_whole_table() -> None:
    """Sorted rows would otherwise all be of one class."""
    architecture = classifier(5, (8,), 3)
    rows = random_rows(architecture, 90)
    chosen = np.round(np.linspace(0, 89, 4) - 0.5 + 1e-9).astype(int)
    few = Rows(rows.X[chosen], (rows.targets[0][chosen],))
    first = overfit_small_batch(architecture, rows, size=4, epochs=5)
    second = overfit_small_batch(architecture, few, size=4, epochs=5)
    np.testing.assert_array_equal(first.loss, second.loss)


def test_a_table_may_be_smaller_than_the_batch() -> None:
    architecture = classifier(5, (8,), 3)
    report = overfit_small_batch(architecture, random_rows(architecture, 3), size=16)
    assert report.learnt


def test_the_optimiser_may_be_another_one() -> None:
    architecture = classifier(5, (8,), 3)
    rows = random_rows(architecture, 8)
    sgd = overfit_small_batch(architecture, rows, epochs=3, optimizer="sgd")
    adam = overfit_small_batch(architecture, rows, epochs=3)
    np.testing.assert_array_equal(sgd.loss[:, 0], adam.loss[:, 0])
    assert not np.array_equal(sgd.loss[:, 1], adam.loss[:, 1])


def test_rates_are_those_of_networks_that_train_alone() -> None:
    architecture, rows = classifier(64, (8,), 10), digits(0, 200)
    report = learning_rate_range(
        architecture, SETTINGS, rows, low=1e-4, high=1, rates=5, random_state=3
    )
    np.testing.assert_allclose(report.learning_rate, [1e-4, 1e-3, 1e-2, 1e-1, 1], rtol=1e-12)
    settings = replace(SETTINGS, patience=None)
    for place, rate in enumerate(report.learning_rate):
        alone = train(architecture, settings, Members((3,), [rate]), rows, None)
        np.testing.assert_array_equal(report.loss[place], alone.curves["train_loss"][0])


def test_the_best_rate_is_neither_timid_nor_wild() -> None:
    report = learning_rate_range(classifier(64, (8,), 10), SETTINGS, digits(0, 500), high=1e3)
    assert 0.01 < report.best < 10
    assert report.final_loss.min() < 0.5 * report.final_loss[0]
    assert report.best == report.learning_rate[report.final_loss.argmin()]


def test_rates_that_diverge_are_marked() -> None:
    architecture = regressor(6, (8,))
    report = learning_rate_range(
        architecture, SETTINGS, random_rows(architecture, 60), low=1e-3, high=1e12, rates=6
    )
    diverged = ~np.isfinite(report.loss[:, -1])
    assert diverged.tolist() == [False, False, True, True, True, True]
    assert np.isinf(report.final_loss[diverged]).all()
    assert report.best in report.learning_rate[~diverged]
    assert np.isnan(report.loss[-1]).all()


def test_patience_of_the_settings_is_ignored() -> None:
    architecture, rows = classifier(64, (8,), 10), digits(0, 100)
    impatient = replace(SETTINGS, patience=1)
    report = learning_rate_range(architecture, impatient, rows, low=1e-9, high=1e-8, rates=2)
    assert np.isfinite(report.loss).all()


@pytest.mark.parametrize("high", [1.0, 100.0])
def test_a_range_whose_worst_rate_explodes_has_learnt_nothing_by_that(high: float) -> None:
    """Half of the rows contradict the others, whatever the first loss of a wild rate is."""
    architecture = classifier(5, (16,), 2)
    settings = TrainingSettings(epochs=5, batch_size=8)
    report = learning_rate_range(architecture, settings, contradictions(32), high=high)
    assert report.final_loss.min() > 0.6
    assert not report.learnt


def test_a_report_by_hand() -> None:
    loss = np.array([[2.0, 1.9], [2.0, 0.05], [9.0, np.nan]])
    report = RangeReport(np.array([0.1, 1.0, 10.0]), loss)
    assert report.final_loss.tolist() == [1.9, 0.05, np.inf]
    assert report.best == 1.0
    assert report.learnt
    assert not RangeReport(report.learning_rate, loss + 1).learnt


def test_where_all_diverge_nothing_is_learnt() -> None:
    report = RangeReport(np.array([0.1, 1.0]), np.full((2, 3), np.nan))
    assert not report.learnt
