"""A look at test rows is counted before it happens, and happens once."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from storage import leases, ledger
from storage.errors import StorageError
from storage.records import Look, Owner
from storage.trials import RoundStorage
from tests.storage.looking import sql
from tests.storage.making import experiment

OWNER = leases.this_process()


def look(
    rounds: RoundStorage,
    uid: str,
    model: str,
    evaluate: Callable[[], float],
    owner: Owner = OWNER,
) -> Look:
    return ledger.look(rounds.write, uid, owner, model, f"why {model}", evaluate)


def living(rounds: RoundStorage, uid: str) -> Owner:
    """Another search of the experiment, which says that it lives."""
    owner = leases.this_process()
    rounds.write(lambda connection: leases.beat(connection, uid, owner))
    return owner


def entries(path: Path) -> list[tuple[object, ...]]:
    return sql(path, "SELECT model, why, score FROM hpo_test_looks ORDER BY look")


def never() -> float:
    raise AssertionError("the rows were read again")


def test_the_entry_is_committed_before_the_rows_are_read(
    rounds: RoundStorage, uid: str, path: Path
) -> None:
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


def test_a_model_is_evaluated_once(rounds: RoundStorage, uid: str, path: Path) -> None:
    first = look(rounds, uid, "a", lambda: 0.1 + 0.2)
    assert first.score == 0.1 + 0.2
    for owner in (OWNER, living(rounds, uid)):
        assert ledger.look(rounds.write, uid, owner, "a", "another reason", never) == first
    assert entries(path) == [("a", "why a", 0.1 + 0.2)]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, StorageError])
def test_a_look_that_fails_counts_and_is_completed(
    rounds: RoundStorage, uid: str, path: Path, error: type[BaseException]
) -> None:

    def fail() -> float:
        raise error("in the middle")

    with pytest.raises(error, match="in the middle"):
        look(rounds, uid, "a", fail)
    with rounds.reading() as connection:
        assert ledger.looks(connection, uid) == [Look(1, "a", "why a", None)]
    assert look(rounds, uid, "b", lambda: 0.5).order == 2
    assert look(rounds, uid, "a", lambda: -0.25) == Look(1, "a", "why a", -0.25)
    assert entries(path) == [("a", "why a", -0.25), ("b", "why b", 0.5)]


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_is_none_and_is_not_asked_for_again(
    rounds: RoundStorage, uid: str, path: Path, score: float
) -> None:
    assert look(rounds, uid, "a", lambda: score) == Look(1, "a", "why a", None)
    for owner in (OWNER, living(rounds, uid)):
        assert look(rounds, uid, "a", never, owner) == Look(1, "a", "why a", None)
    assert entries(path) == [("a", "why a", None)]


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


# Several searches


def test_who_comes_second_waits_for_the_score_of_the_first(
    rounds: RoundStorage, uid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = living(rounds, uid), living(rounds, uid)
    waits = threading.Event()
    monkeypatch.setattr("storage.ledger.time.sleep", lambda _seconds: waits.set())

    with ThreadPoolExecutor(1) as pool:

        def evaluate() -> float:
            futures.append(pool.submit(look, rounds, uid, "a", never, second))
            assert waits.wait(30)
            return 0.5

        futures: list[Future[Look]] = []
        assert look(rounds, uid, "a", evaluate, first) == Look(1, "a", "why a", 0.5)
        assert futures[0].result(30) == Look(1, "a", "why a", 0.5)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_one_that_waits_looks_itself_when_the_other_dies(
    rounds: RoundStorage,
    uid: str,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: type[BaseException],
) -> None:
    first, second = living(rounds, uid), living(rounds, uid)

    def fail() -> float:
        raise error

    with pytest.raises(error):
        look(rounds, uid, "a", fail, first)

    def die(_seconds: float) -> None:
        sql(path, "DELETE FROM hpo_owners WHERE uid = ?", first.uid)

    monkeypatch.setattr("storage.ledger.time.sleep", die)
    assert look(rounds, uid, "a", lambda: 0.5, second) == Look(1, "a", "why a", 0.5)
    assert entries(path) == [("a", "why a", 0.5)]


def test_one_that_was_silent_for_too_long_while_it_looked_still_brings_its_score(
    rounds: RoundStorage, uid: str, path: Path
) -> None:
    """The other one reads the same rows with the same model, so either score will do."""
    first, second = living(rounds, uid), living(rounds, uid)
    second_reads, first_is_done = threading.Event(), threading.Event()

    def read_last() -> float:
        second_reads.set()
        assert first_is_done.wait(30)
        return 0.5

    with ThreadPoolExecutor(1) as pool:

        def read_for_too_long() -> float:
            sql(path, "UPDATE hpo_owners SET beat = 0 WHERE uid = ?", first.uid)
            futures.append(pool.submit(look, rounds, uid, "a", read_last, second))
            assert second_reads.wait(30)
            return 0.5

        futures: list[Future[Look]] = []
        found = look(rounds, uid, "a", read_for_too_long, first)
        first_is_done.set()
        assert found == futures[0].result(30) == Look(1, "a", "why a", 0.5)
    assert entries(path) == [("a", "why a", 0.5)]


def test_a_score_whose_answer_got_lost_is_found_again(
    rounds: RoundStorage, uid: str, path: Path
) -> None:
    """Each transaction is committed, reported as lost, and tried again."""

    def twice(work: Callable[..., object]) -> object:
        rounds.write(work)
        return rounds.write(work)

    evaluated = []

    def evaluate() -> float:
        evaluated.append(entries(path))
        return 0.5

    found = ledger.look(twice, uid, OWNER, "a", "why a", evaluate)  # type: ignore[arg-type]
    assert found == Look(1, "a", "why a", 0.5)
    assert evaluated == [[("a", "why a", None)]]
    assert entries(path) == [("a", "why a", 0.5)]


def test_entries_of_an_older_version_are_understood(
    rounds: RoundStorage, uid: str, path: Path
) -> None:
    """They name no owner; one without a score was cut short."""
    rows = "(experiment, model, why, opened_at, score) VALUES (?, ?, 'old', 'then', ?)"
    sql(path, f"INSERT INTO hpo_test_looks {rows}", uid, "done", 0.25)
    sql(path, f"INSERT INTO hpo_test_looks {rows}", uid, "cut", None)
    assert look(rounds, uid, "done", never) == Look(1, "done", "old", 0.25)
    assert look(rounds, uid, "cut", lambda: 0.75) == Look(2, "cut", "old", 0.75)
