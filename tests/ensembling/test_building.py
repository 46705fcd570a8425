"""Ensembles of a study: what the candidates saw, what is chosen, what is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, mean_squared_error

from ensembles.combining import MetaModel, WeightedMean
from ensembles.value import Cost
from hpo import models
from hpo.ensembling import learners, reweighted
from hpo.ensembling.assembling import BEST, BLEND, METHODS, Assembled, Budget, assemble
from hpo.ensembling.building import Builder, Plan, default_folds
from hpo.ensembling.candidates import (
    Candidate,
    carry_out,
    fitted_learners,
    folded_networks,
    stored_networks,
)
from hpo.ensembling.model import EnsembleModel
from hpo.ensembling.parts import Learners, Networks
from hpo.ensembling.pools import Pool, fold_pool, validation_pool
from hpo.errors import NoFiniteTrialError, UsageError
from hpo.joined_study import JoinedStudy
from hpo.nn import training
from hpo.nn.network import predict
from hpo.persistence import Network


def builder(experiment: JoinedStudy) -> Builder:
    return Builder(experiment.store, experiment.prepared, experiment.settings.seed)


def names(experiment: JoinedStudy) -> tuple[str, ...]:
    return learners.DEFAULT[experiment.settings.task]


def metric_loss(experiment: JoinedStudy, prediction: Any, y: Any) -> float:
    if experiment.settings.task == "classification":
        own = prediction[np.arange(len(y)), y]
        return float(-np.log(np.maximum(own, 1e-15)).mean())
    return float(mean_squared_error(y[:, 0], prediction[:, 0]))


# Candidates


def test_the_pool_is_all_rows_but_those_for_the_test(experiment: JoinedStudy) -> None:
    prepared = experiment.prepared
    pool = fold_pool(prepared, 5)
    rows = np.concatenate([prepared.split.train, prepared.split.validation])
    features = prepared.sealed.dataset.features
    np.testing.assert_array_equal(pool.X, prepared.encoding.transform(features, rows))
    assert len(np.unique(pool.folds)) == 5
    assert not set(rows) & set(prepared.split.test)
    target = prepared.problem.target.units(prepared.sealed.dataset.target, rows)
    np.testing.assert_array_equal(pool.target, target)


def test_a_network_of_a_fold_predicts_the_rows_that_it_was_not_trained_on(
    experiment: JoinedStudy,
) -> None:
    pool = fold_pool(experiment.prepared, 3)
    trials = experiment.store.ranked()[:2]
    found = carry_out([folded_networks(experiment.prepared, pool, trials, 1)], 1)
    assert [each.name for each in found] == [f"trial {each.number}" for each in trials]
    for each in found:
        assert isinstance(each.part, Networks)
        assert each.part.n_models == 3
        for fold in range(3):
            own = pool.folds == fold
            said = predict(each.part.architecture, each.part.params[fold][None], pool.X[own])[0]
            np.testing.assert_allclose(each.prediction[own], said, rtol=1e-4, atol=1e-6)


def test_what_a_fold_holds_out_does_not_change_its_network(experiment: JoinedStudy) -> None:
    """Other targets of the rows that are held out, the same network."""
    prepared = experiment.prepared
    pool = fold_pool(prepared, 3)
    trials = experiment.store.ranked()[:1]
    (before,) = carry_out([folded_networks(prepared, pool, trials, 1)], 1)
    problem = prepared.problem
    own = np.flatnonzero(pool.folds[: len(problem.training)] == 0)
    target = problem.training.targets[0]
    target[own] = np.roll(target[own], 1, axis=0)
    (after,) = carry_out([folded_networks(prepared, pool, trials, 1)], 1)
    assert isinstance(before.part, Networks)
    assert isinstance(after.part, Networks)
    np.testing.assert_array_equal(before.part.params[0], after.part.params[0])
    assert (before.part.params[1] != after.part.params[1]).any()


def test_a_learner_of_a_fold_is_trained_on_the_others(experiment: JoinedStudy) -> None:
    pool = fold_pool(experiment.prepared, 3)
    task = experiment.settings.task
    name = names(experiment)[-1]
    (found,) = carry_out([fitted_learners([name], task, pool, 0)], 1)
    for fold in range(3):
        own = pool.folds == fold
        y = pool.y if task == "classification" else pool.y[:, 0]
        model = learners.make(name, task, y[~own], 0).fit(pool.X[~own], y[~own])
        said = model.predict_proba if task == "classification" else model.predict
        expected = np.asarray(said(pool.X[own])).reshape(own.sum(), -1)
        np.testing.assert_allclose(found.prediction[own], expected)


def test_stored_networks_come_with_their_stored_predictions(experiment: JoinedStudy) -> None:
    pool = validation_pool(experiment.prepared)
    trials = experiment.store.ranked()
    found = stored_networks(experiment.store, trials, pool)
    assert len(found) == len(trials)
    for each in found:
        said = each.part.outputs(pool.X, pool.n_classes)
        np.testing.assert_allclose(each.prediction, said, rtol=1e-3, atol=1e-5)


def test_learners_beside_stored_networks_are_trained_on_the_training_rows(
    experiment: JoinedStudy,
) -> None:
    prepared, task = experiment.prepared, experiment.settings.task
    pool = validation_pool(prepared)
    (found,) = carry_out([fitted_learners([names(experiment)[-1]], task, pool, 0)], 1)
    X, y = prepared.problem.training.X, np.asarray(prepared.problem.training.targets[0])
    y = y if task == "classification" else y[:, 0].astype(np.float64)
    model = learners.make(names(experiment)[-1], task, y, 0).fit(X, y)
    said = model.predict_proba(pool.X) if task == "classification" else model.predict(pool.X)
    np.testing.assert_allclose(found.prediction, np.asarray(said).reshape(len(pool.y), -1))


# Methods


@pytest.mark.parametrize("method", [BEST, *METHODS])
def test_a_method_is_scored_on_rows_that_it_did_not_learn_from(
    experiment: JoinedStudy, method: str
) -> None:
    """Another target of one fold's rows changes what it is scored by, not what it predicts."""
    pool = fold_pool(experiment.prepared, 3)
    found = carry_out([fitted_learners(names(experiment), experiment.settings.task, pool, 0)], 1)
    before = assemble(method, found, pool)
    own = pool.folds == 1
    pool.y[own] = np.roll(pool.y[own], 7, axis=0)
    after = assemble(method, found, pool)
    np.testing.assert_array_equal(before.prediction[own], after.prediction[own])
    assert before.loss != after.loss
    assert after.loss == pytest.approx(metric_loss(experiment, after.prediction, pool.y))


def test_stacking_is_a_strongly_shrunk_model_of_log_odds(experiment: JoinedStudy) -> None:
    if experiment.settings.task == "regression":
        pytest.skip("classes only")
    pool = fold_pool(experiment.prepared, 3)
    found = carry_out([fitted_learners(("logistic", "knn"), "classification", pool, 0)], 1)
    stack = assemble("stacking", found, pool)
    logs = np.log(np.clip(np.stack([each.prediction for each in found]), 1e-3, 1 - 1e-3))
    columns = np.hstack(list(logs - logs.mean(axis=-1, keepdims=True)))
    meta = LogisticRegression(C=0.1, max_iter=5000).fit(columns, pool.y)
    assert isinstance(stack.combination, MetaModel)
    np.testing.assert_allclose(stack.combination.model.coef_, meta.coef_, atol=1e-4)


# What is built


@pytest.mark.parametrize("folds", [3, None])
def test_the_best_method_is_kept_with_what_it_needs(
    experiment: JoinedStudy, folds: int | None
) -> None:
    plan = Plan(names(experiment), (*METHODS,), top=2, folds=folds)
    built = builder(experiment).build(plan, 1)
    record = built.record
    assert {each["method"] for each in record["methods"]} == {BEST, *METHODS}
    ensembles = [each for each in record["methods"] if each["method"] != BEST]
    assert record["method"] in {
        BEST,
        BLEND,
        min(ensembles, key=lambda each: each["loss"])["method"],
    }
    model = stored(experiment, "ensemble")
    assert isinstance(model, EnsembleModel)
    assert list(model.names) == [each["name"] for each in record["members"]]
    everybody = {each["name"] for each in record["members"]} | set(record["left_out"])
    assert everybody >= set(names(experiment))
    if isinstance(model.combination, WeightedMean):
        assert (model.combination.weights > 0).all()
        shown = [each["weight"] for each in record["members"]]
        np.testing.assert_allclose(model.combination.weights, shown)


def stored(experiment: JoinedStudy, name: str) -> models.Model:
    store = experiment.store
    ready = store.rounds.read(lambda connection: models.ready(connection, store.uid))
    return models.load(store.artifacts, models.choose(ready, name))


def test_it_predicts_new_rows_in_the_users_units(experiment: JoinedStudy) -> None:
    plan = Plan(names(experiment), ("mean",), top=2, folds=3)
    record = builder(experiment).build(plan, 1)
    prepared = experiment.prepared
    model = stored(experiment, record.name)
    rows = prepared.split.test
    said = model.predict(prepared.sealed.dataset.features, rows)
    target = prepared.problem.target.units(prepared.sealed.dataset.target, rows)
    score = float(prepared.problem.metric(said[None], target)[0])
    assert score > (0.85 if experiment.settings.task == "classification" else 0.3)
    if experiment.settings.task == "classification":
        np.testing.assert_allclose(said.sum(axis=1), 1)
        assert score == accuracy_score(target, said.argmax(axis=1))


def test_bytes_and_back_predict_the_same_bits(experiment: JoinedStudy) -> None:
    for method in METHODS:
        plan = Plan(names(experiment), (method,), top=1, folds=2, name=method)
        builder(experiment).build(plan, 1)
        model = stored(experiment, method)
        assert isinstance(model, EnsembleModel)
        again = EnsembleModel.from_bytes(*model.to_bytes())
        table = experiment.prepared.sealed.dataset.features
        assert again.predict(table).tobytes() == model.predict(table).tobytes()


def test_the_same_plan_again_makes_the_same_model(experiment: JoinedStudy) -> None:
    plan = Plan(names(experiment)[-1:], ("greedy",), top=2, folds=3)
    one, other = (builder(experiment).build(plan, workers) for workers in (1, 2))
    assert one.digest == other.digest


def test_another_ensemble_of_the_name_takes_its_place_and_its_file(experiment: JoinedStudy) -> None:
    first = builder(experiment).build(Plan(names(experiment)[-1:], ("mean",), 1, 3), 1)
    second = builder(experiment).build(Plan(("knn",), ("mean",), 0, 3), 1)
    assert first.digest != second.digest
    there = {each.digest for each in experiment.store.artifacts.stored()}
    assert second.digest in there
    assert first.digest not in there


def test_one_that_was_tested_keeps_its_file(experiment: JoinedStudy) -> None:
    first = builder(experiment).build(Plan(names(experiment)[-1:], ("mean",), 1, 3), 1)
    look = experiment.look(stored(experiment, "ensemble"), first.digest, "ensemble (mean)")
    builder(experiment).build(Plan(("knn",), ("mean",), 0, 3), 1)
    assert first.digest in {each.digest for each in experiment.store.artifacts.stored()}
    assert look.score is not None
    assert experiment.looks()[-1] == look


def test_members_of_one_are_the_member(experiment: JoinedStudy) -> None:
    record = builder(experiment).build(Plan((), ("greedy", "mean"), 1, 3), 1).record
    assert record["method"] == BEST
    (member,) = record["members"]
    assert member["weight"] == 1
    assert member["adds"] is None
    model = stored(experiment, "ensemble")
    assert isinstance(model, EnsembleModel)
    (part,) = model.parts
    table = experiment.prepared.sealed.dataset.features
    X = experiment.prepared.encoding.transform(table)
    alone = part.outputs(X, len(model.target.classes) or None)
    expected = alone if model.target.classes else model.target.inverse(alone)
    np.testing.assert_array_equal(model.predict(table), expected)


def test_nothing_to_build_from_is_said(experiment: JoinedStudy) -> None:
    with pytest.raises(NoFiniteTrialError, match="nothing to build an ensemble from"):
        builder(experiment).build(Plan((), top=0, folds=3), 1)


def test_a_learner_for_the_other_task_is_refused(experiment: JoinedStudy) -> None:
    other = "ridge" if experiment.settings.task == "classification" else "logistic"
    with pytest.raises(UsageError, match=f"--with {other}: it is for "):
        builder(experiment).build(Plan((other,), folds=3), 1)
    with pytest.raises(UsageError, match="--with magic: there is forest, extra_trees"):
        builder(experiment).build(Plan(("magic",), folds=3), 1)


def test_small_data_are_folded(experiment: JoinedStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_folds(experiment.prepared) == 5
    monkeypatch.setattr("hpo.ensembling.building.MOST_FOLDED_ROWS", 50)
    assert default_folds(experiment.prepared) is None


def test_the_winner_is_the_model_of_a_study_without_ensembles(experiment: JoinedStudy) -> None:
    model = stored(experiment, "winner")
    assert isinstance(model, Network)


def test_parts_know_how_large_they_are(experiment: JoinedStudy) -> None:
    pool = fold_pool(experiment.prepared, 3)
    (network,) = carry_out(
        [folded_networks(experiment.prepared, pool, experiment.store.ranked()[:1], 1)], 1
    )
    assert isinstance(network.part, Networks)
    assert network.part.n_bytes == 3 * 4 * network.part.architecture.n_params
    (learner,) = carry_out(
        [fitted_learners(names(experiment)[-1:], experiment.settings.task, pool, 0)], 1
    )
    assert isinstance(learner.part, Learners)
    written = learner.part.written().stored
    assert written is not None
    assert learner.part.n_bytes == sum(len(each) for each in written) > 1000


# Bags and boosting of the best trial's network


def test_a_bag_is_of_bootstrap_samples_of_the_rows_of_the_other_folds(
    experiment: JoinedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    train = training.train

    def watched(*arguments: Any, **named: Any) -> Any:
        seen.append(arguments[3])
        return train(*arguments, **named)

    monkeypatch.setattr(reweighted, "train", watched)
    monkeypatch.setattr(reweighted, "BAG_SIZE", 3)
    pool = fold_pool(experiment.prepared, 3)
    trial = experiment.store.ranked()[0]
    found = reweighted.bagged(experiment.prepared, pool, trial, 1)
    assert isinstance(found.part, Networks)
    assert found.part.n_models == 9
    for fold, rows in enumerate(seen):
        outside = pool.folds != fold
        np.testing.assert_array_equal(rows.X, pool.X[outside])
        assert rows.weights.shape == (3, outside.sum())
        assert (rows.weights.sum(axis=1) == outside.sum()).all()
        assert 0.2 < (rows.weights == 0).mean() < 0.5  # about 1 / e
        own = pool.folds == fold
        networks = found.part.params[3 * fold : 3 * fold + 3]
        said = predict(found.part.architecture, networks, pool.X[own]).mean(axis=0)
        np.testing.assert_allclose(found.prediction[own], said, rtol=1e-4, atol=1e-6)


def test_boosting_weighs_rows_by_what_the_stage_before_got_wrong(
    experiment: JoinedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    train = training.train

    def watched(*arguments: Any, **named: Any) -> Any:
        trained = train(*arguments, **named)
        seen.append((arguments[3], trained.params))
        return trained

    monkeypatch.setattr(reweighted, "train", watched)
    monkeypatch.setattr(reweighted, "STAGES", 3)
    pool = fold_pool(experiment.prepared, 2)
    trial = experiment.store.ranked()[-1]
    found = reweighted.boosted(experiment.prepared, pool, trial)
    assert isinstance(found.part, Networks)
    assert found.part.weights is not None
    assert found.part.weights.sum() == pytest.approx(1)
    stages = found.about["stages"]
    assert sum(map(len, stages)) == found.part.n_models
    (first, params), (second, _) = seen[:2]
    assert set(first.weights[0]) == {1.0}
    said = predict(found.part.architecture, params, first.X)[0]
    if experiment.settings.task == "classification":
        wrong = said.argmax(axis=1) != first.targets[0]
        error = wrong.mean()
        importance = np.log((1 - error) / error) + np.log(2)
        heavy, light = second.weights[0][wrong], second.weights[0][~wrong]
        np.testing.assert_allclose(heavy / light[0], np.exp(importance), rtol=1e-4)
    else:
        distance = np.abs(said - first.targets[0])[:, 0]
        relative = distance / distance.max()
        error = relative.mean()
        importance = np.log((1 - error) / error)
        expected = np.exp(-importance * (1 - relative))
        np.testing.assert_allclose(
            second.weights[0] / second.weights[0].mean(), expected / expected.mean(), rtol=1e-3
        )
    assert stages[0][0] == pytest.approx({"error": error, "importance": importance}, rel=1e-3)


@pytest.mark.parametrize("folds", [3, None])
def test_bags_and_boosting_are_kept_and_come_back(
    experiment: JoinedStudy, folds: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reweighted, "BAG_SIZE", 2)
    monkeypatch.setattr(reweighted, "STAGES", 2)
    for method in ("bagging", "boosting"):
        # A worse one than the other models is not kept, so there is no other.
        monkeypatch.setattr("hpo.ensembling.building.assemble", hopeless)
        plan = Plan((), (method,), top=1, folds=folds, name=method)
        record = builder(experiment).build(plan, 1).record
        assert record["method"] == method
        model = stored(experiment, method)
        assert isinstance(model, EnsembleModel)
        again = EnsembleModel.from_bytes(*model.to_bytes())
        table = experiment.prepared.sealed.dataset.features
        assert again.predict(table).tobytes() == model.predict(table).tobytes()


def hopeless(method: str, candidates: Sequence[Candidate], pool: Pool, budget: Budget) -> Assembled:
    return replace(assemble(method, candidates, pool, budget), loss=np.inf)


# Budgets


def test_an_ensemble_keeps_to_its_budget(experiment: JoinedStudy) -> None:
    linear = names(experiment)[-1:]
    free = builder(experiment).candidates(Plan((), top=3, folds=3), 1)[1]
    least = min(each.part.n_bytes for each in free)
    for limit in (least * 2, least):
        plan = Plan(linear, METHODS, 3, 3, budget=Budget(n_bytes=limit))
        record = builder(experiment).build(plan, 1).record
        assert sum(each["bytes"] for each in record["members"]) <= limit
    assert len(record["members"]) == 1
    assert "stacking" not in {each["method"] for each in record["methods"]}


def test_slow_members_are_left_out(
    experiment: JoinedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock says that networks take a second, and learners a minute."""

    def cost(part: Any, _X: Any, **_: Any) -> Cost:
        return Cost(1000.0 if isinstance(part, Networks) else 60_000.0, part.n_bytes)

    monkeypatch.setattr("hpo.ensembling.building.cost", cost)
    linear = names(experiment)[-1:]
    for limit, most in ((1000, 1), (2500, 2), (70_000, 4)):
        plan = Plan(linear, ("mean", "greedy"), 3, 3, budget=Budget(limit))
        record = builder(experiment).build(plan, 1).record
        assert sum(each["milliseconds"] for each in record["members"]) <= limit
        assert len(record["members"]) <= most
    with pytest.raises(UsageError, match="no model fits --max-latency and --max-size: the quick"):
        builder(experiment).build(Plan((), top=2, folds=3, budget=Budget(999)), 1)
