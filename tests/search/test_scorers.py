"""A search by a scorer that is no mean over rows: its curve, its rungs, its value, its promise."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    max_error,
    mean_poisson_deviance,
    median_absolute_error,
    roc_auc_score,
)

from hpo.data.loading import load
from hpo.data.metrics import METRICS, find_metric
from hpo.data.scorers import ScorerMetric
from hpo.errors import UsageError
from hpo.nn.network import predict
from hpo.preparation import Prepared, prepare
from hpo.search.evaluation import Outcome, Slot, Workers, train_slots
from hpo.search.expectation import expected_score, measured_score
from hpo.search.problem import Problem
from hpo.search.repeats import Job, train_jobs
from hpo.search.space import SearchSpace
from hpo.settings import Settings


def prepared(name: str, metric: str, **changes: Any) -> Prepared:
    task = "regression" if name == "diabetes" else "classification"
    common: dict[str, Any] = {"target": None, "header": True, "numeric": ()}
    common |= {"task": task, "metric": metric}
    common |= {"space": SearchSpace().to_json(), "hidden": (8,), "epochs": 11}
    return prepare(load(name), Settings(**(common | changes)))


def trained(problem: Problem, rates: tuple[float, ...] = (1e-3, 1e-2, 1e-1)) -> list[Outcome]:
    points = ({"learning_rate": rate, "weight_decay": 1e-3} for rate in rates)
    return train_slots(problem, [Slot(*pair) for pair in enumerate(points)])


def as_told(problem: Problem, outcome: Outcome, part: str) -> np.ndarray:
    """What the stored network says of a part, in the user's units."""
    assert outcome.params is not None
    X = getattr(problem, part).X
    said: np.ndarray = problem.in_units(predict(problem.architecture, outcome.params[None], X))[0]
    return said


def test_the_value_is_that_of_the_network_that_is_kept() -> None:
    problem = prepared("iris", "roc_auc_ovr_weighted").problem
    for outcome in trained(problem):
        for part, value in (("validation", outcome.value), ("training", outcome.train_value)):
            target = getattr(problem, f"{part}_target")
            said = as_told(problem, outcome, part)
            found = roc_auc_score(target, said, multi_class="ovr", average="weighted")
            assert value == found


@pytest.mark.parametrize(
    ("name", "oracle"),
    [("neg_median_absolute_error", median_absolute_error), ("neg_max_error", max_error)],
)
def test_quantities_are_scored_in_the_units_of_the_user(name: str, oracle: Any) -> None:
    problem = prepared("diabetes", name).problem
    for outcome in trained(problem):
        said = as_told(problem, outcome, "validation")[:, 0]
        assert outcome.value == -oracle(problem.validation_target, said)


def test_the_curve_is_measured_at_the_rungs_and_at_the_end() -> None:
    # With a constant learning rate they are the same networks after fewer epochs.
    problem = prepared("iris", "f1_macro", schedule="constant", warmup=0.0).problem
    for outcome in trained(problem):
        assert outcome.curves is not None
        assert outcome.curves.keys() == {"train_loss", "val_loss", "val_score"}
        curve = outcome.curves["val_score"]
        assert (np.flatnonzero(np.isfinite(curve)) + 1).tolist() == [1, 2, 4, 8, 11]
        assert np.isfinite(outcome.curves["val_loss"]).all()
        assert list(outcome.intermediate) == [1, 2, 4, 8, 11]
        assert outcome.intermediate[11] == outcome.value
        for rung in (1, 2, 4, 8):
            shorter = trained(with_settings(problem, epochs=rung))[outcome.number]
            assert curve[rung - 1] == shorter.value


def with_settings(problem: Problem, **changes: Any) -> Problem:
    settings = dataclasses.replace(problem.settings, **changes)
    return dataclasses.replace(problem, settings=settings)


def test_of_a_network_that_stops_early_the_best_epoch_is_told() -> None:
    problem = with_settings(prepared("iris", "f1_macro", epochs=300).problem, patience=2)
    outcomes = trained(problem, (1e-1, 3e-1))
    assert any(each.epochs < 300 for each in outcomes)
    for outcome in outcomes:
        assert outcome.curves is not None
        curve = outcome.curves["val_score"]
        rungs = {2**power for power in range(9) if 2**power <= outcome.epochs}
        finite = set((np.flatnonzero(np.isfinite(curve)) + 1).tolist())
        assert finite == rungs | {outcome.best_epoch}
        assert curve[outcome.best_epoch - 1] == outcome.value


def test_any_stack_and_any_number_of_workers_give_the_same() -> None:
    problem = prepared("iris", "roc_auc_ovr").problem

    def essence(outcome: Outcome) -> tuple[Any, ...]:
        curves = {name: curve.tobytes() for name, curve in (outcome.curves or {}).items()}
        return outcome.value, outcome.train_value, curves

    slots = [Slot(i, {"learning_rate": 10.0**-i, "weight_decay": 1e-3}) for i in range(5)]
    alone = {each.number: essence(train_slots(problem, [each])[0]) for each in slots}
    for n_workers in (1, 2):
        groups = Workers(problem, n_workers).evaluate(slots)
        assert {each.number: essence(each) for group in groups for each in group} == alone


def test_networks_are_the_same_whatever_the_metric() -> None:
    """A metric measures; it trains nothing."""
    first, second = (
        trained(prepared("iris", metric).problem) for metric in ("accuracy", "balanced_accuracy")
    )
    for one, other in zip(first, second, strict=True):
        assert one.params is not None
        assert other.params is not None
        assert one.params.tobytes() == other.params.tobytes()


def test_a_network_without_a_score_fails_with_the_reason() -> None:
    """Negative predictions have no Poisson deviance; most rows of the target are above."""
    problem = prepared("diabetes", "neg_mean_poisson_deviance", epochs=30).problem
    low = dataclasses.replace(problem.target, mean=-1e4)
    outcomes = trained(dataclasses.replace(problem, target=low))
    for outcome in outcomes:
        assert outcome.value is None
        assert outcome.reason is not None
        assert outcome.reason.startswith("neg_mean_poisson_deviance was not finite after epoch 30:")
        assert "strictly positive y_pred" in outcome.reason
        assert "\n" not in outcome.reason
    (good,) = trained(problem, (1e-2,))
    said = as_told(problem, good, "validation")[:, 0]
    assert good.value == -mean_poisson_deviance(problem.validation_target, said)


def test_repeats_are_scored_on_what_they_did_not_see() -> None:
    found = prepared("iris", "roc_auc_ovr")
    folds = found.folds(3)
    assert folds is not None
    target = np.concatenate([found.problem.training_target, found.problem.validation_target])
    params = {"learning_rate": 1e-2, "weight_decay": 1e-3}
    for each in train_jobs(found.problem, folds, [Job(0, params, 5, fold) for fold in range(3)]):
        hidden = target[folds == each.repeat]
        assert each.value == roc_auc_score(hidden, each.prediction, multi_class="ovr")


def equal_to_accuracy() -> tuple[np.ndarray, np.ndarray, ScorerMetric]:
    """Six networks on 60 rows, and a scorer that is the accuracy by another name."""
    rng = np.random.default_rng(0)
    prediction, target = rng.dirichlet(np.ones(3), (6, 60)), rng.integers(0, 3, 60)
    prediction[:, np.arange(60), target] += 0.2
    metric = find_metric("f1_micro", "classification", ("a", "b", "c"))
    assert isinstance(metric, ScorerMetric)
    return prediction, target, metric


@pytest.mark.slow
def test_the_expected_score_is_that_of_the_same_metric_as_a_mean_of_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hpo.data.scorers._BOOTSTRAP_SECONDS", 1e9)
    prediction, target, metric = equal_to_accuracy()
    evidence = metric.evidence(prediction, target)
    losses = METRICS["accuracy"].row_loss(prediction, target)
    found = expected_score(evidence, target, metric, 3)
    expected = expected_score(losses, target, METRICS["accuracy"], 3)
    assert found == pytest.approx(expected, rel=1e-12)


def test_the_measured_score_has_the_error_of_a_share() -> None:
    prediction, target, metric = equal_to_accuracy()
    found = measured_score(prediction[0], target, metric, seed=0)
    share = accuracy_score(target, prediction[0].argmax(axis=1))
    assert found.score == pytest.approx(share)
    assert found.standard_error == pytest.approx(np.sqrt(share * (1 - share) / 60), rel=0.1)


def test_predictions_of_nought_and_one_are_no_losses() -> None:
    """Such losses would be a share of rows, whose error has another formula."""
    target = np.array([0, 1] * 20)
    prediction = np.eye(2)[target]
    prediction[:4] = prediction[:4, ::-1]
    metric = find_metric("roc_auc", "classification", ("a", "b"))
    found = measured_score(prediction, target, metric, seed=0)
    assert found.score == pytest.approx(0.9)
    # An area of hard answers is the mean of two shares, here of 2 wrong of 20 each.
    assert found.standard_error == pytest.approx(np.sqrt(2 * 0.1 * 0.9 / 20) / 2, rel=0.15)


def test_where_no_row_is_wrong_the_error_is_not_nought_but_unknown() -> None:
    target = np.array([0, 1] * 20)
    metric = find_metric("roc_auc", "classification", ("a", "b"))
    assert measured_score(np.eye(2)[target], target, metric, 0) == (1.0, None)
    assert expected_score(np.eye(2)[target][None], target, metric, 0) == (1.0, None)


def test_folds_that_the_metric_cannot_score_are_none() -> None:
    """Of five folds one lacks the class that has four rows outside of the test."""
    data = load("wine")
    few = np.flatnonzero(data.target.values == 2)[5:]
    kept = np.setdiff1d(np.arange(len(data.target.values)), few)
    features = dataclasses.replace(
        data.features, numeric=data.features.numeric[kept], codes=data.features.codes[kept]
    )
    target = dataclasses.replace(data.target, values=data.target.values[kept])
    data = dataclasses.replace(data, features=features, target=target)
    common: dict[str, Any] = {"target": None, "header": True, "numeric": (), "hidden": (8,)}
    common |= {"task": "classification", "space": SearchSpace().to_json()}
    assert prepare(data, Settings(metric="accuracy", **common)).folds(5) is not None
    assert prepare(data, Settings(metric="f1_macro", **common)).folds(5) is not None
    by_area = prepare(data, Settings(metric="roc_auc_ovr", **common))
    assert by_area.folds(5) is None
    assert by_area.folds(3) is not None


def test_with_folds_the_curve_and_the_value_are_of_all_rows_together() -> None:
    found = prepared("iris", "roc_auc_ovr", cv=3, schedule="constant", warmup=0.0)
    problem = found.problem
    assert problem.folds is not None
    for outcome in trained(problem):
        assert outcome.prediction is not None
        assert outcome.curves is not None
        expected = roc_auc_score(problem.training_target, outcome.prediction, multi_class="ovr")
        assert outcome.value == expected
        curve = outcome.curves["val_score"]
        assert (np.flatnonzero(np.isfinite(curve)) + 1).tolist() == [1, 2, 4, 8, 11]
        assert curve[-1] == outcome.value
        shorter = trained(with_settings(problem, epochs=4))[outcome.number]
        assert curve[3] == shorter.value


@pytest.mark.parametrize("cv", [None, 3])
def test_trials_are_dropped_by_the_scores_of_the_curve(cv: int | None) -> None:
    asked: dict[int, list[float]] = {}

    class DropsTheFirstAtFour:
        def behind(
            self, numbers: Sequence[int], epochs: int, scores: np.ndarray
        ) -> np.ndarray[Any, np.dtype[np.bool_]]:
            asked[epochs] = scores.tolist()
            return np.array([epochs == 4 and number == 0 for number in numbers])

    problem = prepared("iris", "roc_auc_ovr", cv=cv).problem
    points = [{"learning_rate": rate, "weight_decay": 1e-3} for rate in (1e-3, 1e-2)]
    first, second = train_slots(
        problem, [Slot(*pair) for pair in enumerate(points)], judge=DropsTheFirstAtFour()
    )
    assert (first.pruned, first.value, first.epochs) == (True, None, 4)
    assert list(first.intermediate) == [1, 2, 4]
    for epochs in (1, 2, 4):
        assert asked[epochs] == [first.intermediate[epochs], second.intermediate[epochs]]
    assert asked[8] == [second.intermediate[8]]
    assert asked.keys() == {1, 2, 4, 8}


def test_a_trial_that_lost_the_network_of_one_fold_has_no_score_then() -> None:
    problem = prepared("iris", "f1_macro", cv=3).problem
    loss = problem.whole_loss
    assert loss is not None
    rows = len(problem.training)
    prediction = np.full((5, rows, 3), 1 / 3, np.float32)
    # Of the first trial the last network is gone, of the other none.
    measured = loss(0, np.array([0, 1, 3, 4, 5]), prediction)
    assert np.isnan(measured).tolist() == [True, True, False, False, False]
    assert np.isnan(loss(2, np.array([0, 1, 2]), prediction[:3])).all()


def test_folds_that_cannot_be_scored_are_refused() -> None:
    with pytest.raises(UsageError, match=r"--cv 45: 142 rows .* roc_auc_ovr of each fold"):
        prepared("wine", "roc_auc_ovr", cv=45)
