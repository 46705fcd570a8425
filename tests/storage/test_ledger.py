"""A look at test rows is counted before it happens, and happens once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from storage import ledger
from storage.errors import StorageError
from storage.records import Look
from storage.trials import RoundStorage
from tests.storage.looking import sql
from tests.storage.test_catalogue import experiment


def look(rounds: RoundStorage, uid: str, model: str, evaluate: Callable[[], float]) -> Look:
    return ledger.look(rounds.transaction, uid, model, f"why {model}", evaluate)


def entries(path: Path) -> list[tuple[object, ...]]:
    return sql(path, "SELECT model, why, score FROM hpo_test_looks ORDER BY look")


def never() -> float:
    raise AssertionError("the rows were read again")


def test_the_entry_is_committed_before_the_rows_are_read(rounds: RoundStorage, path: Path) -> None:
    uid = experiment(rounds)
    seen = []

    def evaluate() -> float:
        seen.append(entries(path))
        # Nor is the database held while the rows are read.
        sql(path, "INSERT INTO studies (study_name) VALUES ('meanwhile')")
        return 0.75

    assert look(rounds, uid, "a", evaluate) == Look(1, "a", "why a", 0.75)
    assert seen == [[("a", "why a", None)]]
    assert entries(path) == [("a", "why a", 0.75)]
    ((opened,),) = sql(path, "SELECT opened_at FROM hpo_test_looks")
    assert abs(datetime.now(UTC) - datetime.fromisoformat(opened)) < timedelta(seconds=30)


def test_a_model_is_evaluated_once(rounds: RoundStorage, path: Path) -> None:
    uid = experiment(rounds)
    first = look(rounds, uid, "a", lambda: 0.1 + 0.2)
    assert first.score == 0.1 + 0.2
    assert ledger.look(rounds.transaction, uid, "a", "another reason", never) == first
    assert entries(path) == [("a", "why a", 0.1 + 0.2)]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, StorageError])
def test_a_look_that_fails_counts_and_is_completed(
    rounds: RoundStorage, path: Path, error: type[BaseException]
) -> None:
    uid = experiment(rounds)

    def fail() -> float:
        raise error("in the middle")

    with pytest.raises(error, match="in the middle"):
        look(rounds, uid, "a", fail)
    with rounds.reading() as connection:
        assert ledger.looks(connection, uid) == [Look(1, "a", "why a", None)]
    assert look(rounds, uid, "b", lambda: 0.5).order == 2
    assert look(rounds, uid, "a", lambda: -0.25) == Look(1, "a", "why a", -0.25)
    assert entries(path) == [("a", "why a", -0.25), ("b", "why b", 0.5)]


def test_looks_are_counted_per_experiment(rounds: RoundStorage) -> None:
    first, second = experiment(rounds), experiment(rounds)
    scores = iter([0.0, 1.0, 2.0, 3.0, 4.0])
    for uid, model in ((first, "a"), (second, "a"), (first, "b"), (second, "c"), (first, "c")):
        look(rounds, uid, model, lambda: next(scores))
    with rounds.reading() as connection:
        found = {uid: ledger.looks(connection, uid) for uid in (first, second, "none")}
    seen = {
        uid: [(each.order, each.model, each.score) for each in looks]
        for uid, looks in found.items()
    }
    assert seen[first] == [(1, "a", 0.0), (2, "b", 2.0), (3, "c", 4.0)]
    assert seen[second] == [(1, "a", 1.0), (2, "c", 3.0)]
    assert found["none"] == []


def test_a_look_needs_its_experiment(rounds: RoundStorage, path: Path) -> None:
    with pytest.raises(StorageError, match="FOREIGN KEY"):
        look(rounds, "0" * 32, "a", never)
    assert entries(path) == []
