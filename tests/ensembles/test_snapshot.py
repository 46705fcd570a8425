"""Snapshot ensembles: scikit-learn's checks, and the chain of fits made by hand."""

from __future__ import annotations

import inspect
import re
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import ElasticNet, LinearRegression, LogisticRegression
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier as OtherMLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

import ensembles
from ensembles import SnapshotClassifier, SnapshotRegressor
from ensembles.members import draw_seeds, seeded
from ensembles.value import array_bytes
from hpo.estimators import MLPClassifier, MLPRegressor
from tests.estimators.making import PLAIN, assert_same_network, iris, small, target_for

PAIRS: list[tuple[Any, Any]] = [
    (SnapshotClassifier, MLPClassifier),
    (SnapshotRegressor, MLPRegressor),
]

BATCHES = (
    "in batches of 8, a row with weight 2 and two equal rows make other mini-batches; "
    "test_in_full_batches_a_weight_of_2_is_two_rows compares the two in full batches"
)


def full_batches(kind: Any, **params: Any) -> Any:
    return small(kind, max_epochs=20, batch_size=10_000, learning_rate=0.05, **params)


def expected_failures(estimator: Any) -> dict[str, str]:
    if isinstance(estimator.estimator, MLPClassifier | MLPRegressor):
        return {"check_sample_weight_equivalence_on_dense_data": BATCHES}
    return {}


@parametrize_with_checks(
    [
        SnapshotClassifier(small(MLPClassifier, batch_size=8, learning_rate=0.02), 2),
        SnapshotRegressor(small(MLPRegressor, batch_size=8, learning_rate=0.02), 2),
        SnapshotClassifier(LogisticRegression(), 2, random_state=0),
        SnapshotRegressor(ElasticNet(alpha=1e-3), 2, n_members=1),
    ],
    expected_failed_checks=expected_failures,
)  # type: ignore[untyped-decorator]
def test_scikit_learn_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("kind", [SnapshotClassifier, SnapshotRegressor])
def test_every_parameter_is_documented(kind: Any) -> None:
    heads = re.findall(r"^([\w, ]+) : ", inspect.getdoc(kind) or "", re.MULTILINE)
    named = {name for head in heads for name in head.split(", ")}
    assert set(inspect.signature(kind).parameters) <= named


def answers(fitted: Any, X: NDArray[Any]) -> NDArray[Any]:
    found: NDArray[Any] = getattr(fitted, "predict_proba", fitted.predict)(X)
    return found


def chain(learner: Any, cycles: int, X: NDArray[Any], y: NDArray[Any]) -> list[Any]:
    """Networks that each start from the one before."""
    networks = [clone(learner).fit(X, y)]
    for _ in range(cycles - 1):
        networks.append(clone(learner).set_params(init_from=networks[-1]).fit(X, y))
    return networks


@pytest.mark.parametrize(("ours", "kind"), PAIRS)
def test_one_snapshot_is_the_estimator_itself(ours: Any, kind: Any) -> None:
    X, y = iris()[0], target_for(kind)
    learner = small(kind)
    found = ours(learner, 1).fit(X, y)
    alone = clone(learner).fit(X, y)
    assert_same_network(found.estimators_[0], alone)
    np.testing.assert_array_equal(answers(found, X), answers(alone, X))


@pytest.mark.parametrize(("ours", "kind"), PAIRS)
def test_each_snapshot_is_that_of_the_chain_by_hand(ours: Any, kind: Any) -> None:
    X, y = iris()[0], target_for(kind)
    learner = small(kind, dropout=0.1)
    found = ours(learner, 4).fit(X, y)
    expected = chain(learner, 4, X, y)
    for ours_, by_hand in zip(found.estimators_, expected, strict=True):
        assert_same_network(ours_, by_hand)
    mean = np.mean([answers(each, X) for each in expected], axis=0)
    np.testing.assert_allclose(answers(found, X), mean, rtol=1e-12)
    assert len({each.params_.tobytes() for each in expected}) == 4


@pytest.mark.parametrize(("ours", "kind"), PAIRS)
def test_the_last_ones_predict(ours: Any, kind: Any) -> None:
    X, y = iris()[0], target_for(kind)
    found = ours(small(kind), 4, n_members=2).fit(X, y)
    last = ours(small(kind), 4).fit(X, y).estimators_[2:]
    assert len(found.estimators_) == 2
    for one, other in zip(found.estimators_, last, strict=True):
        assert_same_network(one, other)
    mean = np.mean([answers(each, X) for each in last], axis=0)
    np.testing.assert_allclose(answers(found, X), mean, rtol=1e-12)


@pytest.mark.parametrize("random_state", [None, 0])
def test_numbers_may_be_those_of_numpy(random_state: int | None) -> None:
    two: Any = np.int64(2)
    X, y = iris()
    found = SnapshotClassifier(
        small(MLPClassifier), two, n_members=two, random_state=random_state
    ).fit(X, y)
    assert len(found.estimators_) == 2


def test_each_cycle_has_a_seed_of_its_own() -> None:
    X, y = iris()
    learner = small(MLPClassifier)
    found = SnapshotClassifier(learner, 3, random_state=5).fit(X, y)
    last = None
    for member, seed in zip(
        found.estimators_, draw_seeds(np.random.RandomState(5), 3), strict=True
    ):
        seeds = seeded(learner, seed)
        assert member.random_state == seeds["random_state"]
        last = clone(learner).set_params(**seeds, init_from=last).fit(X, y)
        assert_same_network(member, last)
    assert len({each.random_state for each in found.estimators_}) == 3


def test_the_rate_follows_the_cosine_of_the_paper() -> None:
    """Huang et al. 2017, equation 2: T = 12 iterations, M = 3 cycles, one iteration an epoch."""
    X, y = iris()
    learner = small(MLPClassifier, **PLAIN | {"schedule": "cosine", "learning_rate": 0.2})
    learner.set_params(max_epochs=4)
    found = SnapshotClassifier(learner, 3).fit(X, y)
    rates = np.concatenate([each.history_["learning_rate"] for each in found.estimators_])
    t = np.arange(1, 13)
    np.testing.assert_allclose(rates, 0.2 / 2 * (np.cos(np.pi * ((t - 1) % 4) / 4) + 1))


@pytest.mark.parametrize(("ours", "kind"), PAIRS)
def test_all_cycles_see_the_data_on_one_scale(ours: Any, kind: Any) -> None:
    X, y = iris()[0], target_for(kind)
    first, *others = ours(small(kind), 3).fit(X, y).estimators_
    for each in others:
        assert each.scaling_.centre.tobytes() == first.scaling_.centre.tobytes()
        assert each.scaling_.factor.tobytes() == first.scaling_.factor.tobytes()


def test_snapshots_do_not_hold_each_other() -> None:
    """Nor the networks that no longer predict."""
    X, y = iris()
    found = SnapshotClassifier(small(MLPClassifier), 4, n_members=1).fit(X, y)
    assert [each.init_from for each in found.estimators_] == [None]
    alone = small(MLPClassifier).fit(X, y)
    assert array_bytes(found.estimators_) == array_bytes(alone)


def test_the_first_cycle_may_start_from_a_network() -> None:
    X, y = iris()
    source = small(MLPClassifier, random_state=9).fit(X, y)
    found = SnapshotClassifier(small(MLPClassifier, init_from=source), 2).fit(X, y)
    first = small(MLPClassifier, init_from=source).fit(X, y)
    assert_same_network(found.estimators_[0], first)
    second = small(MLPClassifier, init_from=first).fit(X, y)
    assert_same_network(found.estimators_[1], second)
    assert all(each.init_from is source for each in found.estimators_)


# Its warning that a few epochs are too few.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_network_with_a_warm_start_goes_on() -> None:
    X, y = iris()
    learner = OtherMLPClassifier((8,), max_iter=3, random_state=0)
    found = SnapshotClassifier(learner, 3).fit(X, y)
    by_hand = clone(learner).set_params(warm_start=True)
    for each in found.estimators_:
        expected = by_hand.fit(X, y).predict_proba(X)
        np.testing.assert_array_equal(each.predict_proba(X), expected)
        assert not each.warm_start
    alone = SnapshotClassifier(learner, 1).fit(X, y)
    np.testing.assert_array_equal(alone.predict_proba(X), clone(learner).fit(X, y).predict_proba(X))


@pytest.mark.parametrize(("ours", "kind"), PAIRS)
def test_in_full_batches_a_weight_of_2_is_two_rows(ours: Any, kind: Any) -> None:
    X, y = iris()[0], target_for(kind)
    weights = np.random.default_rng(0).integers(0, 4, len(y))
    weighted = ours(full_batches(kind), 2).fit(X, y, weights)
    repeated = ours(full_batches(kind), 2).fit(
        np.repeat(X, weights, axis=0), np.repeat(y, weights, axis=0)
    )
    np.testing.assert_allclose(answers(weighted, X), answers(repeated, X), rtol=1e-3, atol=1e-4)


def test_the_mean_is_at_least_as_good_as_its_members_are_on_average() -> None:
    """As the log loss is convex; here it is well below."""
    X, y = iris()
    found = SnapshotClassifier(small(MLPClassifier, learning_rate=0.03), 4).fit(X[:100], y[:100])
    losses = [log_loss(y[100:], each.predict_proba(X[100:])) for each in found.estimators_]
    assert log_loss(y[100:], found.predict_proba(X[100:])) <= np.mean(losses)


def test_classes_have_their_names() -> None:
    X, y = iris()
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    found = SnapshotClassifier(full_batches(MLPClassifier), 2).fit(X, names)
    assert found.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    plain = SnapshotClassifier(full_batches(MLPClassifier), 2).fit(X, y)
    np.testing.assert_array_equal(found.predict_proba(X), plain.predict_proba(X))
    assert found.score(X, names) > 0.9


def test_columns_have_their_names() -> None:
    frame, y = load_iris(return_X_y=True, as_frame=True)
    found = SnapshotClassifier(small(MLPClassifier), 2).fit(frame, y)
    assert found.feature_names_in_.tolist() == list(frame.columns)
    with pytest.raises(ValueError, match="feature names"):
        found.predict(frame[frame.columns[::-1]])


def test_parameters_of_the_network_can_be_searched() -> None:
    found = SnapshotClassifier(small(MLPClassifier)).set_params(estimator__max_epochs=7)
    assert found.get_params()["estimator__max_epochs"] == 7


@pytest.mark.parametrize(
    ("ensemble", "message"),
    [
        (SnapshotClassifier(DecisionTreeClassifier()), "neither init_from nor warm_start"),
        (SnapshotRegressor(LinearRegression()), "LinearRegression has neither"),
        (SnapshotClassifier(make_pipeline(StandardScaler(), MLPClassifier())), "Pipeline has"),
        (SnapshotClassifier(MLPRegressor()), "must be a classifier, not MLPRegressor"),
        (SnapshotRegressor(MLPClassifier()), "must be a regressor, not MLPClassifier"),
        (SnapshotClassifier(None), "must be a classifier, not None"),
        (SnapshotClassifier(MLPClassifier), "must be a classifier, not <class"),
        (SnapshotClassifier(MLPClassifier(), 0), "n_snapshots must be .* of at least 1, got 0"),
        (
            SnapshotClassifier(MLPClassifier()).set_params(n_snapshots=2.0),
            "n_snapshots must be a whole number",
        ),
        (
            SnapshotClassifier(MLPClassifier()).set_params(n_snapshots=True),
            "n_snapshots must be a whole number of at least 1, got True",
        ),
        (SnapshotClassifier(MLPClassifier(), 2, n_members=0), "n_members must be a whole number"),
        (SnapshotClassifier(MLPClassifier(), 2, n_members=3), "n_members is 3, but there are 2"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(ensemble: Any, message: str) -> None:
    X, y = iris()
    with pytest.raises(ValueError, match=message) as refused:
        ensemble.fit(X, y)
    assert "\n" not in str(refused.value)


def test_a_cycle_that_diverges_is_refused() -> None:
    X, y = iris()[0], target_for(MLPRegressor)
    wild = small(MLPRegressor, learning_rate=1e30, optimizer="sgd", batch_size=8)
    with pytest.raises(ValueError, match="diverged"):
        SnapshotRegressor(wild, 2).fit(X, y)


def test_the_package_offers_them() -> None:
    assert {"SnapshotClassifier", "SnapshotRegressor"} <= set(ensembles.__all__)
