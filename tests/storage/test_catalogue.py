"""Every record comes back as it was saved."""

from __future__ import annotations

import sqlite3
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from storage import catalogue
from storage.errors import StorageError
from storage.records import ExperimentRecord, Kept, Result, RoundRecord
from storage.trials import RoundStorage
from tests.storage.making import experiment

examples = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
finite = st.floats(allow_nan=False)
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
records = st.builds(
    ExperimentRecord,
    uid=st.uuids().map(lambda each: each.hex),
    created_at=texts,
    source=texts,
    fingerprint=documents,
    settings=documents,
    preparation=documents,
    versions=documents,
    trials_per_round=st.integers(1, 2**31),
    artifacts=st.none() | texts,
    split=st.none() | st.binary(max_size=20),
)
floats = st.floats(width=32)


def matrices(min_rows: int, min_columns: int) -> st.SearchStrategy[NDArray[np.float32]]:
    shapes = st.tuples(st.integers(min_rows, 4), st.integers(min_columns, 4))
    return arrays(np.float32, shapes, elements=floats)


@examples
@given(records)
def test_experiments(rounds: RoundStorage, record: ExperimentRecord) -> None:
    with rounds.transaction() as connection:
        if catalogue.load_experiment(connection, record.uid) is None:
            catalogue.save_experiment(connection, record)
            assert catalogue.load_experiment(connection, record.uid) == record


def test_an_unknown_experiment_is_none(rounds: RoundStorage) -> None:
    with rounds.reading() as connection:
        assert catalogue.load_experiment(connection, "0" * 32) is None


@examples
@given(st.dictionaries(st.integers(0, 2**40), st.dictionaries(texts, st.lists(finite, max_size=2))))
def test_rounds(rounds: RoundStorage, drawn: dict[int, Any]) -> None:
    uid = experiment(rounds)
    with rounds.transaction() as connection:
        for index, ranges in drawn.items():
            catalogue.save_round(connection, uid, RoundRecord(index, ranges), "now")
    with rounds.reading() as connection:
        assert catalogue.load_rounds(connection, uid) == sorted(drawn.items())


def test_a_round_keeps_its_first_ranges(rounds: RoundStorage, uid: str) -> None:
    with rounds.transaction() as connection:
        catalogue.save_round(connection, uid, RoundRecord(0, {"rate": [0.0, 1.0]}), "now")
        catalogue.save_round(connection, uid, RoundRecord(0, {"rate": [0.2, 0.4]}), "later")
        assert catalogue.load_rounds(connection, uid) == [RoundRecord(0, {"rate": [0.0, 1.0]})]


def with_names(curves: NDArray[np.float32]) -> st.SearchStrategy[dict[str, NDArray[np.float32]]]:
    names = st.lists(texts, min_size=len(curves), max_size=len(curves), unique=True)
    return names.map(lambda each: dict(zip(each, curves, strict=True)))


@examples
@given(
    st.lists(
        st.tuples(
            matrices(0, 0).flatmap(with_names),
            st.none() | matrices(0, 1),
        ),
        max_size=3,
    )
)
def test_curves_and_predictions(
    rounds: RoundStorage,
    drawn: list[tuple[dict[str, NDArray[np.float32]], NDArray[np.float32] | None]],
) -> None:
    uid = experiment(rounds)
    results = [
        Result(
            number,
            None,
            {},
            {},
            tuple(curves),
            np.stack([*curves.values()]) if curves else np.empty((0, 0), np.float32),
            prediction,
        )
        for number, (curves, prediction) in enumerate(drawn)
    ]
    with rounds.transaction() as connection:
        catalogue.save_arrays(connection, uid, results)
    with rounds.reading() as connection:
        predictions = catalogue.load_predictions(connection, uid, range(9))
        for number, (curves, prediction) in enumerate(drawn):
            loaded = catalogue.load_curves(connection, uid, number)
            assert list(loaded) == list(curves)
            for name, curve in curves.items():
                assert_same(loaded[name], curve)
            assert (number in predictions) == (prediction is not None)
            if prediction is not None:
                assert_same(predictions[number], prediction)
        assert catalogue.load_curves(connection, uid, 99) == {}
        assert catalogue.load_predictions(connection, uid, []) == {}


def test_more_predictions_than_a_statement_has_variables(rounds: RoundStorage, uid: str) -> None:
    rounds.engine.dispose()

    @sa.event.listens_for(rounds.engine, "connect")
    def limit(connection: sqlite3.Connection, _record: object) -> None:
        connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 999)  # as old as they come

    results = [
        Result(number, 0.5, {}, {}, prediction=np.full((1, 1), number, np.float32))
        for number in range(1200)
    ]
    with rounds.transaction() as connection:
        catalogue.save_arrays(connection, uid, results)
    with rounds.reading() as connection:
        found = catalogue.load_predictions(connection, uid, range(1200))
    assert {number: prediction.item() for number, prediction in found.items()} == {
        number: number for number in range(1200)
    }


def assert_same(loaded: NDArray[np.float32], saved: NDArray[np.float32]) -> None:
    assert loaded.dtype == np.float32
    assert loaded.shape == saved.shape
    assert loaded.tobytes() == saved.tobytes()


@examples
@given(arrays(np.float64, array_shapes(min_dims=2, max_dims=2), elements=floats))
def test_any_memory_order_is_saved(rounds: RoundStorage, prediction: NDArray[Any]) -> None:
    uid = experiment(rounds)
    for number, each in enumerate((prediction, prediction.T, prediction[::-1].astype(">f4"))):
        with rounds.transaction() as connection:
            result = Result(number, 1.0, {}, {}, prediction=each)
            catalogue.save_arrays(connection, uid, [result])
            (loaded,) = catalogue.load_predictions(connection, uid, [number]).values()
        np.testing.assert_array_equal(loaded, each)


def test_results_are_saved_once(rounds: RoundStorage, uid: str) -> None:
    result = Result(0, 1.0, {}, {}, prediction=np.zeros((2, 1), np.float32))
    with rounds.transaction() as connection:
        catalogue.save_arrays(connection, uid, [result])
    with (
        pytest.raises(StorageError, match="UNIQUE constraint failed: hpo_predictions"),
        rounds.transaction() as connection,
    ):
        catalogue.save_arrays(connection, uid, [result])


def test_records_need_their_experiment(rounds: RoundStorage) -> None:
    with (
        pytest.raises(StorageError, match="FOREIGN KEY constraint failed"),
        rounds.transaction() as connection,
    ):
        catalogue.save_round(connection, "0" * 32, RoundRecord(0, {}), "now")


def digest(letter: str) -> str:
    return letter * 64


def test_artifacts_of_trials(rounds: RoundStorage, uid: str) -> None:
    other = experiment(rounds)
    kept = [Kept(0, digest("a"), 0.5), Kept(7, digest("b"), 0.25), Kept(9, digest("a"), -1.5)]
    theirs = [Kept(7, digest("c"), 1.0)]
    with rounds.transaction() as connection:
        catalogue.save_artifacts(connection, uid, [])
        catalogue.save_artifacts(connection, uid, kept)
        catalogue.save_artifacts(connection, other, theirs)
        assert catalogue.load_artifacts(connection, uid) == kept
        catalogue.drop_artifacts(connection, uid, [])
        assert catalogue.load_artifacts(connection, uid) == kept
        catalogue.drop_artifacts(connection, uid, [0, 7, 100])
        assert catalogue.load_artifacts(connection, uid) == [kept[2]]
        assert catalogue.load_artifacts(connection, other) == theirs


@examples
@given(st.dictionaries(st.integers(0, 99), st.none() | st.sampled_from([0.5, -0.0, 0.0]) | finite))
def test_the_best_network_comes_first_and_of_equal_ones_the_older(
    rounds: RoundStorage, values: dict[int, float | None]
) -> None:
    uid = experiment(rounds)
    with rounds.transaction() as connection:
        rows = [Kept(number, digest("a"), value) for number, value in values.items()]
        catalogue.save_artifacts(connection, uid, rows)
        found = catalogue.load_artifacts(connection, uid)
    assert {each.number: each.value for each in found} == values
    for one, other in pairwise(found):
        if one.value is None or other.value is None:
            assert other.value is None
        else:
            assert one.value >= other.value
        if one.value == other.value:
            assert one.number < other.number


def test_what_anything_refers_to_is_kept(rounds: RoundStorage, uid: str) -> None:
    from storage import leases, ledger

    other, owner = experiment(rounds), leases.this_process()
    with rounds.transaction() as connection:
        catalogue.save_artifacts(connection, other, [Kept(0, digest("a"), 0.5)])
    ledger.look(rounds.write, uid, owner, digest("b"), "test", lambda: 1.0)
    with rounds.reading() as connection:
        letters = [digest(letter) for letter in "dabc"]
        assert catalogue.unreferenced(connection, letters) == [digest("d"), digest("c")]
        assert catalogue.unreferenced(connection, []) == []
