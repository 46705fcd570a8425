"""From a data set to what is trained on: nothing but the training rows decides anything."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from hpo.data.errors import DataError
from hpo.data.loading import load
from hpo.data.splitting import Split, split_rows
from hpo.data.table import Dataset
from hpo.nn.architecture import Head
from hpo.preparation import Prepared, prepare
from hpo.search.evaluation import row_order
from hpo.search.space import SearchSpace
from hpo.settings import Settings, batch_size_for, describe_difference


def settings(task: str = "classification", **changes: Any) -> Settings:
    metric = "accuracy" if task == "classification" else "r2"
    common = {"target": None, "header": True, "numeric": (), "task": task, "metric": metric}
    return Settings(**{**common, "space": SearchSpace().to_json(), **changes})


def changed(dataset: Dataset, rows: np.ndarray) -> Dataset:
    """The data set with other features, and other quantities, in these rows."""
    numeric = dataset.features.numeric.copy()
    numeric[rows] = numeric[rows] * 7 + 100
    values = dataset.target.values.copy()
    if dataset.target.vocabulary is None:
        values[rows] = values[rows] * 7 + 100
    features = dataclasses.replace(dataset.features, numeric=numeric)
    target = dataclasses.replace(dataset.target, values=values)
    return dataclasses.replace(dataset, features=features, target=target)


def essence(prepared: Prepared) -> tuple[Any, ...]:
    """What was fitted, and what the search trains on."""
    problem = prepared.problem
    return (
        prepared.encoding.to_json(),
        problem.target.to_json(),
        problem.training.X.tobytes(),
        problem.training.targets[0].tobytes(),
    )


@pytest.mark.parametrize(("name", "task"), [("iris", "classification"), ("diabetes", "regression")])
def test_validation_and_test_rows_decide_nothing(name: str, task: str) -> None:
    dataset = load(name)
    classes = dataset.target.values if task == "classification" else None
    split, _ = split_rows(dataset.features.n_rows, classes, seed=3)
    before = prepare(dataset, settings(task, seed=3))
    for rows in (split.validation, split.test):
        after = prepare(changed(dataset, rows), settings(task, seed=3))
        assert essence(after) == essence(before)
    other = prepare(changed(dataset, split.train[:5]), settings(task, seed=3))
    assert essence(other) != essence(before)


def test_test_rows_stay_out_of_the_problem() -> None:
    dataset = load("diabetes")
    split, _ = split_rows(dataset.features.n_rows, None, seed=0)
    before = prepare(dataset, settings("regression"))
    after = prepare(changed(dataset, split.test), settings("regression"))
    assert np.array_equal(before.problem.validation.X, after.problem.validation.X)
    for one, other in zip(
        before.problem.validation.targets, after.problem.validation.targets, strict=True
    ):
        assert np.array_equal(one, other)
    assert np.array_equal(before.sealed.rows, split.test)
    assert before.rows == {"train": 282, "validation": 71, "test": 89}


def test_rows_are_encoded_as_scikit_learn_would() -> None:
    dataset = load("iris")
    prepared = prepare(dataset, settings(seed=5, test_size=0.3, validation_size=0.1))
    classes = dataset.target.values
    split, _ = split_rows(150, classes, test_size=0.3, validation_size=0.1, seed=5)
    scaler = StandardScaler().fit(dataset.features.numeric[split.train])
    for rows, part in ((split.train, "training"), (split.validation, "validation")):
        found = getattr(prepared.problem, part)
        expected = scaler.transform(dataset.features.numeric[rows])
        np.testing.assert_allclose(found.X, expected, rtol=1e-5, atol=1e-6)
        assert np.array_equal(found.targets[0], classes[rows])
        assert np.array_equal(getattr(prepared.problem, f"{part}_target"), classes[rows])
    assert prepared.split.digest() == split.digest()


@pytest.mark.parametrize(("name", "task"), [("iris", "classification"), ("diabetes", "regression")])
def test_a_split_that_was_kept_is_used_whatever_would_be_drawn(name: str, task: str) -> None:
    dataset = load(name)
    classes = dataset.target.values if task == "classification" else None
    kept, _ = split_rows(dataset.features.n_rows, classes, seed=4)
    drawn = prepare(dataset, settings(task, seed=4))
    other = prepare(dataset, settings(task, seed=5))
    again = prepare(dataset, settings(task, seed=5), Split.from_bytes(kept.to_bytes()))
    assert essence(other) != essence(drawn)
    assert essence(again) == essence(drawn)
    assert again.split.digest() == kept.digest()
    assert np.array_equal(again.sealed.rows, kept.test)
    assert np.array_equal(again.problem.validation.X, drawn.problem.validation.X)
    # Only the rows come from it, and nothing else of the other seed.
    assert again.problem.seed == 5


@given(st.lists(st.integers(0, 2), max_size=300))
def test_a_split_is_packed_and_unpacked(roles: list[int]) -> None:
    parts = [np.flatnonzero(np.array(roles) == role).astype(np.int64) for role in range(3)]
    split = Split(*parts)
    packed = split.to_bytes()
    assert packed == Split(*(part.copy() for part in parts)).to_bytes()
    again = Split.from_bytes(packed)
    assert again.digest() == split.digest()
    for one, other in zip((again.train, again.validation, again.test), parts, strict=True):
        assert one.dtype == np.int64
        assert np.array_equal(one, other)


def test_targets_are_standardised_and_metrics_in_the_units_of_the_user() -> None:
    dataset = load("diabetes")
    problem = prepare(dataset, settings("regression")).problem
    split, _ = split_rows(dataset.features.n_rows, None, seed=0)
    train = dataset.target.values[split.train]
    expected = (train - train.mean()) / train.std()
    np.testing.assert_allclose(problem.training.targets[0][:, 0], expected, rtol=1e-5, atol=1e-6)
    assert np.array_equal(problem.training_target, train)
    assert np.array_equal(problem.validation_target, dataset.target.values[split.validation])


def test_classes_keep_their_shares() -> None:
    prepared = prepare(load("iris"), settings())
    for part in (prepared.problem.training, prepared.problem.validation):
        (target,) = part.targets
        assert len(set(np.bincount(target).tolist())) == 1


def test_settings_reach_the_training() -> None:
    asked = settings(seed=9, hidden=(5, 3), optimizer="sgd", epochs=17, batch_size=11, patience=4)
    problem = prepare(load("iris"), asked).problem
    assert problem.architecture.sizes == (4, 5, 3, 3)
    assert problem.architecture.heads == (Head(3, "cross_entropy"),)
    training = problem.settings
    assert (training.optimizer, training.epochs, training.batch_size) == ("sgd", 17, 11)
    assert (training.patience, training.row_order) == (4, row_order(9))
    assert problem.seed == 9
    assert prepare(load("iris"), settings(patience=None)).problem.settings.patience is None


@pytest.mark.parametrize(
    ("rows", "size"),
    [(1, 32), (1149, 32), (3199, 32), (3200, 64), (6400, 128), (34521, 256), (10**6, 256)],
)
def test_automatic_batch_sizes(rows: int, size: int) -> None:
    assert batch_size_for(rows) == size


def test_automatic_batch_size_goes_by_the_training_rows() -> None:
    assert prepare(load("digits"), settings()).problem.settings.batch_size == 32


def small(labels: list[float], vocabulary: tuple[str, ...]) -> Dataset:
    dataset = load("iris")
    n = len(labels)
    features = dataclasses.replace(
        dataset.features, numeric=dataset.features.numeric[:n], codes=dataset.features.codes[:n]
    )
    target = dataclasses.replace(dataset.target, values=np.array(labels), vocabulary=vocabulary)
    return dataclasses.replace(dataset, features=features, target=target, warnings=("as loaded",))


def test_rare_and_unseen_classes_are_reported() -> None:
    labels = [0.0] * 30 + [1.0] * 30 + [2.0, 2.0, 3.0]
    dataset = small(labels, ("ant", "bee", "cat", "dog"))
    seen = {prepare(dataset, settings(seed=seed)).warnings for seed in range(40)}
    rare = "classes with fewer than 3 rows are kept but not stratified: cat, dog"
    unseen = "classes without a training row, which cannot be learnt: dog"
    assert {("as loaded", rare), ("as loaded", rare, unseen)} <= seen
    assert all(warnings[:2] == ("as loaded", rare) for warnings in seen)
    assert prepare(small([0.0, 1.0] * 30, ("ant", "bee")), settings()).warnings == ("as loaded",)


@pytest.mark.parametrize(
    ("sizes", "part"), [({"test_size": 1e-9}, "test"), ({"validation_size": 1e-9}, "validation")]
)
def test_r2_of_a_single_row_is_refused_before_training(sizes: dict[str, Any], part: str) -> None:
    with pytest.raises(DataError, match=f"the {part} part would have 1 row, and r2 needs"):
        prepare(load("diabetes"), settings("regression", **sizes))
    assert prepare(load("iris"), settings(**sizes)).rows[part] == 1


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Settings)])
def test_every_setting_is_compared(name: str) -> None:
    stored = settings().to_json()
    other = {**stored, name: SearchSpace.parse(["weight_decay=0..1"]).to_json()}
    asked = {**stored, name: [{"learning_rate": 0.5}] if name == "points" else "other"}
    asked = other if name == "space" else asked
    assert describe_difference(stored, stored) == ""
    assert describe_difference(stored, asked).startswith(f"{name} ")
    without = {key: value for key, value in stored.items() if key != name}
    assert name in describe_difference(without, {**stored, name: asked[name]})
    assert describe_difference(stored, without) == f"{name} is no setting any more"
