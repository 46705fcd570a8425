"""The checks of the network, on problems of which it is known what they must say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hpo.checking.network import NetworkChecks, best, check_network, learns, small_copy
from hpo.data.loading import load
from hpo.nn import gradients
from hpo.nn.architecture import Architecture, Floats, Head
from hpo.nn.checks import RangeReport
from hpo.nn.members import Rows
from hpo.nn.network import Stack
from hpo.preparation import prepare
from hpo.search.problem import Problem
from hpo.search.space import SearchSpace
from hpo.settings import Settings

SEARCHED = (1e-5, 1e-1)


@pytest.fixture(scope="module")
def wine() -> Problem:
    settings = Settings(None, True, (), "classification", "accuracy", SearchSpace().to_json())
    return prepare(load("wine"), replace(settings, hidden=(16,))).problem


@pytest.fixture(scope="module")
def checked(wine: Problem) -> NetworkChecks:
    return check_network(wine)


def test_of_a_sound_problem_all_is_well(checked: NetworkChecks) -> None:
    found = checked.findings(SEARCHED)
    assert [(each.level, each.check) for each in found] == [
        ("ok", "small batch"),
        ("ok", "gradient"),
        ("ok", "learning rate"),
    ]
    curves = checked.curves()
    assert len(curves["small_batch"]["learning_rate"]) == 9
    rates = curves["learning_rate_range"]
    assert len(rates["learning_rate"]) == len(rates["loss"]) == 32
    # 114 rows in batches of 32 are 4 steps; 38 epochs are 152.
    assert {len(loss) for loss in rates["loss"]} == {38}


def test_rows_that_contradict_each_other_cannot_be_learnt(wine: Problem) -> None:
    rows = len(wine.training)
    alike = Rows(np.ones_like(wine.training.X), (np.arange(rows) % 2,))
    found = check_network(replace(wine, training=alike)).findings(SEARCHED)
    batch, _, rates = found
    assert batch.level == "problem"
    # Two classes by turns: log 2 of log 3 stays, however long it trains.
    assert "16 rows cannot be learnt by heart" in batch.what
    assert (rates.level, rates.check) in {("ok", "learning rate"), ("warning", "learning rate")}


def test_a_gradient_that_is_wrong_is_told(wine: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    right = gradients.analytic_gradient

    def wrong(stack: Stack, batch: gradients.Batch) -> Floats:
        gradient = right(stack, batch)
        gradient[0, 3] += 0.5
        return gradient

    monkeypatch.setattr(gradients, "analytic_gradient", wrong)
    (_, found, _) = check_network(wine).findings(SEARCHED)
    assert found.level == "problem"
    assert "layer 0 weights[0, 3] of member 0" in found.what


def report(last: list[float]) -> RangeReport:
    """Losses of one epoch at rates from 1e-4 to 1, and of an epoch before at which all are 1."""
    return RangeReport(np.geomspace(1e-4, 1, 5), np.array([[1.0, each] for each in last]))


def test_the_best_rate_is_compared_with_what_is_searched(checked: NetworkChecks) -> None:
    made = replace(checked, rates=report([0.9, 0.4, 0.1, 0.5, np.nan]))
    found = made.findings(SEARCHED)[2]
    assert (found.level, found.what) == (
        "ok",
        "from 1.0e-03 to 1.0e-01 networks learn, best at 1.0e-02; from 1.0e+00 on the loss rises",
    )
    assert learns(made.rates) == pytest.approx([1e-3, 1e-2, 1e-1])
    assert best(made.rates) == pytest.approx([1e-2])
    outside = made.findings((1e-5, 9e-4))[2]
    assert outside.level == "warning"
    assert outside.advice == "search with --space learning_rate=1e-03..1e-01:log"
    flat = replace(checked, rates=report([1.0, 0.99, 0.985, 1.3, np.nan])).findings(SEARCHED)[2]
    assert flat.level == "warning"
    assert "no learning rate from 1e-04 to 1e+00 lowers the loss" in flat.what


def test_a_rate_that_is_good_by_chance_is_passed_over(checked: NetworkChecks) -> None:
    made = replace(checked, rates=report([0.8, 0.2, 0.203, 0.9, 0.1995]))
    assert learns(made.rates) == pytest.approx([1e-3, 1e-2])
    assert made.findings(SEARCHED)[2].what == (
        "from 1.0e-03 to 1.0e-02 networks learn, best from 1.0e-03 to 1.0e-02"
    )
    spans = made.curves()["learning_rate_range"]
    assert spans["best"] == spans["learns"] == pytest.approx([1e-3, 1e-2])


def test_the_copy_is_of_the_same_kind() -> None:
    heads = (Head(300, "cross_entropy"), Head(2, "squared_error"))
    large = Architecture(784, (500, 3), heads, "tanh", "before")
    copy = small_copy(large)
    assert copy.sizes == (5, 5, 3, 12)
    assert (copy.activation, copy.batch_norm) == ("tanh", "before")
    assert [head.loss for head in copy.heads] == ["cross_entropy", "squared_error"]
