"""Costs: a clock that is told the time, and objects whose arrays are known."""

from __future__ import annotations

from collections import deque, namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from ensembles.combining import Greedy
from ensembles.value import KINDS, Cost, array_bytes, cost, cost_of_selection, costs
from hpo.estimators import MLPClassifier
from tests.estimators.making import iris, small

X = np.zeros((50, 2))


class Silent:
    """A model without arrays, which counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def predict(self, X: Any) -> Any:
        self.asked += 1
        return X[:, 0]


class Sure(Silent):
    def predict_proba(self, X: Any) -> Any:
        raise AssertionError("asked for probabilities")


def telling(*seconds: float) -> Callable[[], float]:
    """A clock by which calls take so long, one after the other."""

    def ticks() -> Iterator[float]:
        now = 100.0
        for each in seconds:
            yield now
            now += each
            yield now

    running = ticks()
    return lambda: next(running)


def test_the_median_of_several_calls_in_milliseconds_per_1000_rows() -> None:
    """50 rows in 2 ms are 1,000 rows in 40 ms; the slow first call does not count."""
    model = Silent()
    found = cost(model, X, calls=3, clock=telling(9.0, 0.002, 0.001))
    assert found.milliseconds == pytest.approx(40)
    assert found.n_bytes == 0
    assert model.asked == 3


def test_probabilities_are_asked_for_if_there_are_some() -> None:
    with pytest.raises(AssertionError, match="asked for probabilities"):
        cost(Sure(), X)
    model = Sure()
    cost(model, X, ask=lambda asked, rows: asked.predict(rows), calls=2)
    assert model.asked == 2


def test_another_size_can_be_given() -> None:
    assert cost(Silent(), X, calls=1, clock=telling(0.0), size=lambda _: 7) == Cost(0.0, 7)


def test_costs_of_members_stand_below_each_other() -> None:
    found = costs([Silent(), Silent()], X, calls=1, clock=telling(0.001, 0.003), size=lambda _: 5)
    assert len(KINDS) == 2
    np.testing.assert_allclose(found, [[20, 5], [60, 5]])
    assert costs([], X).shape == (0, 2)


def test_a_selection_costs_what_its_members_cost() -> None:
    known = np.array([[1.0, 10], [2, 20], [4, 40]])
    assert cost_of_selection(known, np.array([0.7, 0, 0.3])).tolist() == [5, 50]
    assert cost_of_selection(known, np.zeros(3)).tolist() == [0, 0]


def test_a_greedy_selection_keeps_to_them() -> None:
    """The best member is too dear, and the others are right together."""
    known = costs([Silent()] * 3, X, calls=1, clock=telling(0.009, 0.001, 0.001), size=lambda _: 1)
    predictions = np.array([0.1, 1, -1])[:, None, None] * np.ones((1, 4, 1))
    budget = np.array([100.0, 3.0])
    found = Greedy(False, steps=4, costs=known, budget=budget).fit(predictions, np.zeros((4, 1)))
    assert found.weights.tolist() == [0, 0.5, 0.5]
    assert (cost_of_selection(known, found.weights) <= budget).all()


@pytest.mark.parametrize(
    ("rows", "calls", "message"), [(X[:0], 3, "no rows"), (X, 0, "at least 1, got 0")]
)
def test_what_cannot_be_measured_is_refused(rows: Any, calls: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cost(Silent(), rows, calls=calls)


def numbers(n: int) -> NDArray[np.float64]:
    """An array of ``8 * n`` bytes that owns them."""
    return np.full(n, 1.0)


def test_arrays_are_found_wherever_they_are() -> None:
    Pair = namedtuple("Pair", "left right")
    thing = SimpleNamespace(
        one=numbers(1),
        deep={"two": [numbers(2), (numbers(4),)], "pair": Pair(numbers(8), "right")},
        words=np.array([numbers(16), None, "text"], dtype=object),
        queue=deque([{"key": numbers(32)}]),
        nothing=None,
        number=3.0,
    )
    assert array_bytes(thing) == 8 * (1 + 2 + 4 + 8 + 16 + 32) + 3 * 8


def test_each_is_counted_once() -> None:
    shared = numbers(10)
    one, other = SimpleNamespace(a=shared, b=shared), SimpleNamespace(c=[shared])
    one.itself = one
    assert array_bytes(one) == 80
    assert array_bytes(one, other) == 80
    assert array_bytes(one, one) == 80
    assert array_bytes() == 0


def test_a_view_counts_as_what_it_keeps_alive() -> None:
    whole = numbers(100)
    assert array_bytes(whole[:3]) == 800
    assert array_bytes([whole[:3], whole[50:].reshape(5, 10)], whole) == 800
    assert array_bytes(np.broadcast_to(numbers(1), (1000,))) == 8


def test_slots_are_looked_into() -> None:
    class Base:
        __slots__ = ("left",)

    class Slim(Base):
        __slots__ = ("__right", "empty")

        def __init__(self) -> None:
            self.left = numbers(1)
            self.__right = numbers(2)

    assert array_bytes(Slim()) == 24


def test_what_an_object_hides_when_it_is_stored_counts() -> None:
    class Cached:
        def __init__(self) -> None:
            self.cache = numbers(3)

        def __getstate__(self) -> Any:
            raise TypeError("cannot be stored")

    assert array_bytes(Cached()) == 24


def test_code_and_what_cannot_be_stored_count_nothing() -> None:
    lazy = (each for each in [numbers(5)])
    with Path(__file__).open("rb") as file:
        assert array_bytes(np, numbers, Silent, lazy, Silent().predict, len, file, Lock()) == 0


def test_a_linear_model_is_its_arrays() -> None:
    X, y = iris()
    assert array_bytes(Ridge().fit(X, y)) == 4 * 8
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    model = pipeline[-1]
    own = [model.coef_, model.intercept_, model.classes_, model.n_iter_]
    assert array_bytes(model) == sum(each.nbytes for each in own)
    assert array_bytes(pipeline) == array_bytes(*[step for _, step in pipeline.steps])


def test_compiled_trees_tell_theirs() -> None:
    X, y = iris()
    fitted = DecisionTreeClassifier(random_state=0).fit(X, y)
    state = fitted.tree_.__getstate__()
    expected = state["nodes"].nbytes + state["values"].nbytes
    assert expected <= array_bytes(fitted) <= expected + 100
    forest = RandomForestClassifier(5, random_state=0).fit(X, y)
    trees = sum(array_bytes(each.tree_) for each in forest.estimators_)
    assert trees <= array_bytes(forest) <= trees + 6 * 100


def test_neighbours_keep_the_rows_once() -> None:
    X, y = iris()
    fitted = KNeighborsClassifier(algorithm="kd_tree").fit(X, y)
    assert X.nbytes <= array_bytes(fitted) < 2 * X.nbytes + y.nbytes


def test_sparse_matrices_are_their_parts() -> None:
    matrix = sparse.csr_matrix(np.eye(4))
    assert array_bytes(matrix) == sum(
        each.nbytes for each in (matrix.data, matrix.indices, matrix.indptr)
    )


def test_a_network_costs_its_parameters_and_little_more() -> None:
    X, y = iris()
    fitted = small(MLPClassifier, hidden_layer_sizes=(100, 100)).fit(X, y)
    optimizer = sum(each.nbytes for each in fitted.progress_.state)
    known = fitted.params_.nbytes + optimizer
    assert known <= array_bytes(fitted) <= known + 2_000
    assert cost(fitted, X).milliseconds > 0
