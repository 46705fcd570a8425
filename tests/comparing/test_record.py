"""Means and spreads, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hpo.comparing.comparison import guess_of
from hpo.comparing.record import at_best_rate, best_of, level_of, rates_record
from hpo.data.loading import load
from hpo.preparation import prepare
from hpo.settings import Settings
from tests.comparing.making import comparison, lost, run


def test_one_choice_by_hand() -> None:
    runs = [run("a", 0, [1.0, 0.5, 0.7], 0.8), run("a", 1, [1.4, 0.7, 0.3], 0.6, gap=0.3)]
    record, other = comparison("optimizer", {"a": runs, "b": [lost("b", 0), lost("b", 1)]})[
        "choices"
    ]
    half = np.sqrt(0.5)  # the deviation of two values is their distance times this
    assert record["val_loss"] == {
        "mean": 0.5, "sd": pytest.approx(0.4 * half), "values": [0.7, 0.3],
    }  # fmt: skip
    assert record["best_val_loss"]["values"] == [0.5, 0.3]
    assert record["val_score"]["mean"] == pytest.approx(0.7)
    assert record["gap"]["mean"] == pytest.approx(0.2)
    assert record["epochs_to_level"]["values"] == [2, 3]
    assert record["epochs_to_level"]["mean"] == 2.5
    assert record["curves"]["val_loss"]["mean"] == pytest.approx([1.2, 0.6, 0.5])
    assert record["curves"]["val_loss"]["sd"] == pytest.approx([0.4 * half, 0.2 * half, 0.4 * half])
    assert (other["failed"], other["val_loss"], other["curves"]) == (2, None, {})
    assert other["epochs_to_level"]["reached"] == 0


def test_a_mean_curve_ends_with_the_first_that_ends() -> None:
    runs = [run("a", 0, [1.0, 0.5, 0.7], 0.8), run("a", 1, [1.4, 0.7], 0.6)]
    curve = comparison("optimizer", {"a": runs})["choices"][0]["curves"]["val_loss"]
    assert curve["mean"] == pytest.approx([1.2, 0.6])


def test_one_seed_has_no_spread() -> None:
    choice = comparison("optimizer", {"a": [run("a", 0, [1.0, 0.5], 0.8)]})["choices"][0]
    assert choice["val_loss"]["sd"] is None
    assert choice["curves"]["val_loss"]["sd"] == [None, None]


def test_the_level_is_near_the_lowest_mean_curve() -> None:
    runs = {
        "a": [run("a", 0, [1.0, 0.5], 0.8), run("a", 1, [1.0, 0.3], 0.8)],  # mean 0.4
        "b": [run("b", 0, [1.0, 0.1], 0.8), run("b", 1, [1.0, 0.9], 0.8)],  # mean 0.5
        "c": [lost("c", 0), lost("c", 1)],
    }
    assert level_of(runs, guess=2.4) == pytest.approx(0.6)  # 2.4 - 0.9 * (2.4 - 0.4)
    assert level_of({"c": runs["c"]}, guess=2.4) == 2.4


def test_the_best_rate_fails_least_and_ends_lowest() -> None:
    runs = [
        *(
            replace(run("a", seed, [1.0, 0.6 - seed / 10], 0.8), learning_rate=0.1)
            for seed in range(2)
        ),
        *(replace(run("a", seed, [1.0, 0.4], 0.8), learning_rate=0.2) for seed in range(2)),
        replace(run("a", 0, [1.0, 0.1], 0.8), learning_rate=0.3),
        replace(lost("a", 1), learning_rate=0.3),
    ]
    assert {run.learning_rate for run in at_best_rate(runs)} == {0.2}
    assert rates_record(runs) == [
        {"learning_rate": 0.1, "val_loss": 0.55, "failed": 0},
        {"learning_rate": 0.2, "val_loss": 0.4, "failed": 0},
        {"learning_rate": 0.3, "val_loss": 0.1, "failed": 1},
    ]


def test_seeds_that_failed_are_no_pairs_and_come_last() -> None:
    runs = {
        "a": [run("a", 0, [0.5], 0.8), run("a", 1, [0.6], 0.8), run("a", 2, [0.7], 0.8)],
        "b": [run("b", 0, [0.1], 0.8), lost("b", 1), run("b", 2, [0.1], 0.8)],
    }
    record = comparison("optimizer", runs)
    assert best_of(record["choices"], "best_val_loss")["choice"] == "a"
    (difference,) = (each for each in record["differences"] if each["of"] == "val_loss")
    assert (difference["choice"], difference["baseline"], difference["pairs"]) == ("a", "b", 2)
    assert difference["mean"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("name", "task", "metric"),
    [("iris", "classification", "accuracy"), ("diabetes", "regression", "r2")],
)
def test_guessing_is_the_loss_of_shares_or_of_the_mean(name: str, task: str, metric: str) -> None:
    dataset = load(name)
    settings = Settings(
        target=None, header=True, numeric=(), metric=metric, space={},
        task=task,  # type: ignore[arg-type]
    )  # fmt: skip
    problem = prepare(dataset, settings).problem
    seen, hidden = problem.training_target, problem.validation_target
    if task == "classification":
        shares = {each: np.mean(seen == each) for each in set(seen)}
        expected = np.mean([-np.log(shares[each]) for each in hidden])
    else:
        expected = np.mean((hidden - seen.mean()) ** 2) / (2 * seen.std() ** 2)
    assert guess_of(problem) == pytest.approx(expected, rel=1e-5)
