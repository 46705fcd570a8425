"""Two at the same moment: one is let in between what the other has read and what it writes.

The first party is stopped in front of a statement, and goes on when the second is done, or waits
for a lock of the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage, fail_stale_trials

from hpo.data.loading import load
from hpo.joined_study import JoinedStudy
from hpo.joining import joined
from hpo.search.evaluation import Outcome, Slot, train_slots
from hpo.search.narrowing import Box, place, propose
from hpo.search.space import SearchSpace
from hpo.settings import Settings
from storage import ledger
from storage.records import Look
from storage.trials import RoundStorage
from tests.storage.databases import Database, quick_on
from tests.storage.interleaving import let_in_before

TRIALS = 8

later_on_mysql = pytest.mark.parametrize(
    "database", quick_on("sqlite", "postgresql"), indirect=True
)
"""On MySQL with the slow tests; the races below without it are its quick ones."""


# Optuna's own calls


def ours(database: Database) -> RDBStorage:
    return RoundStorage(database.url)


def stock(database: Database) -> RDBStorage:
    return RDBStorage(database.url, skip_compatibility_check=True)  # which is slow


Open = Callable[[Database], RDBStorage]


@contextmanager
def two_workers(database: Database, opened: Open) -> Iterator[tuple[optuna.Study, optuna.Study]]:
    """The same study through two storages, as two processes have it."""
    with ExitStack() as stack:
        studies = []
        for _ in range(2):
            storage = opened(database)
            stack.callback(storage.engine.dispose)
            stack.callback(storage.remove_session)
            studies.append(
                optuna.create_study(storage=storage, study_name="s", load_if_exists=True)
            )
        yield studies[0], studies[1]


def numbers_of_two_asks_for_one_waiting_trial(database: Database, opened: Open) -> list[int]:
    with two_workers(database, opened) as (first, second):
        first.enqueue_trial({"x": 0.5})
        with let_in_before("UPDATE trials SET", lambda: second.ask().number) as other:
            mine = first.ask().number
        return sorted([mine, other.result()])


def test_of_two_workers_that_ask_at_once_one_gets_the_waiting_trial(database: Database) -> None:
    assert numbers_of_two_asks_for_one_waiting_trial(database, ours) == [0, 1]
    assert [trial["state"] for trial in database.stored_trials("s").values()] == ["RUNNING"] * 2


def tell(study: optuna.Study, trial_id: int) -> bool:
    """Tell a trial's value; whether that was taken."""
    number = study._storage.get_trial_number_from_id(trial_id)
    try:
        study.tell(number, 1.5)
    except (UpdateFinishedTrialError, ValueError) as error:
        assert "trial" in str(error).lower()  # noqa: PT017
        return False
    return True


def reap(study: optuna.Study) -> bool:
    """Let stale trials fail, as Optuna's optimise does before each trial; whether there was one."""
    reaped: list[int] = []
    storage: Any = study._storage
    backend: RDBStorage = storage._backend
    backend.heartbeat_interval = backend.grace_period = 1
    backend.heartbeat_stale_trial_callback = lambda _, trial: reaped.append(trial.number)
    fail_stale_trials(study)
    return bool(reaped)


def winners_of_a_result_against_a_reaper(
    database: Database, opened: Open, first_is: str
) -> list[str]:
    """Who of the two believes to have ended the trial."""
    with two_workers(database, opened) as (worker, reaper):
        trial_id = worker.ask()._trial_id
        storage: Any = worker._storage
        storage.record_heartbeat(trial_id)
        database.sql("UPDATE trial_heartbeats SET heartbeat = '2001-01-01 00:00:00'")
        parties = {"worker": lambda: tell(worker, trial_id), "reaper": lambda: reap(reaper)}
        second_is = "reaper" if first_is == "worker" else "worker"
        written = "UPDATE trials SET|INSERT INTO trial_values"
        with let_in_before(written, parties[second_is]) as other:
            first_won = parties[first_is]()
        won = {first_is: first_won, second_is: other.result()}
        return [name for name in parties if won[name]]


EXPERIMENTAL = "ignore::optuna.exceptions.ExperimentalWarning"
"""What Optuna says of every use of its heart-beats."""


@pytest.mark.filterwarnings(EXPERIMENTAL)
@pytest.mark.parametrize("first_is", ["worker", "reaper"])
def test_a_result_and_a_reaper_at_once_leave_one_winner(database: Database, first_is: str) -> None:
    assert winners_of_a_result_against_a_reaper(database, ours, first_is) == [first_is]
    (trial,) = database.stored_trials("s").values()
    if first_is == "worker":
        assert (trial["state"], trial["values"]) == ("COMPLETE", [(0, 1.5, "FINITE")])
    else:
        assert (trial["state"], trial["values"]) == ("FAIL", [])


@pytest.mark.filterwarnings(EXPERIMENTAL)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_stock_optuna_on_sqlite_loses_these_races_so_the_tests_can_fail(
    database: Database,
) -> None:
    ours(database).engine.dispose()
    assert numbers_of_two_asks_for_one_waiting_trial(database, stock) == [0, 0]
    database.sql("DELETE FROM trials")
    assert winners_of_a_result_against_a_reaper(database, stock, "reaper") == ["worker", "reaper"]
    (trial,) = database.stored_trials("s").values()
    assert (trial["state"], trial["values"]) == ("FAIL", [(0, 1.5, "FINITE")])


# Our own


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, where a server's artifacts stand."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def joining(database: Database, study: str = "iris") -> Any:
    chosen = Settings(
        target=None, header=True, numeric=(), task="classification", metric="accuracy",
        space=SearchSpace().to_json(), hidden=(4,), epochs=2, rounds=2, seed=5,
    )  # fmt: skip
    return joined(load("iris"), chosen, study=study, url=database.url, trials=2 * TRIALS)


Pair = tuple[JoinedStudy, JoinedStudy]


@pytest.fixture
def searches(database: Database, in_folder: Path) -> Iterator[Pair]:
    """Two searches of one study, in which nothing is done yet."""
    with joining(database) as first, joining(database) as second:
        assert first.store.uid == second.store.uid
        assert first.store.owner.uid != second.store.owner.uid
        yield first, second


def create_first_round(experiment: JoinedStudy) -> None:
    space = experiment.store.space
    points = propose(space.distributions, [], experiment.narrowing, range(TRIALS))
    slots = [Slot(*pair) for pair in enumerate(points)]
    experiment.store.create_round(0, space.ranges({}), slots)


def claim(experiment: JoinedStudy) -> list[int]:
    return [slot.number for slot in experiment.store.claim(TRIALS)]


def outcomes(experiment: JoinedStudy, slots: Sequence[Slot]) -> list[Outcome]:
    return train_slots(experiment.prepared.problem, slots)


def claims(database: Database) -> dict[int, str]:
    """Number -> owner, of all claims."""
    return dict(database.sql("SELECT number, owner FROM hpo_claims"))


def let_lease_run_out(database: Database, experiment: JoinedStudy) -> None:
    """As if this search had been silent for long."""
    uid = experiment.store.owner.uid
    database.sql("UPDATE hpo_owners SET beat = beat - 3600 WHERE uid = ?", uid)


def trained_too_late(
    database: Database, experiment: JoinedStudy
) -> tuple[list[Slot], list[Outcome]]:
    """What this search claims of the first round, and the results; it is taken for dead then."""
    create_first_round(experiment)
    slots = experiment.store.claim(TRIALS)
    trained = outcomes(experiment, slots)
    let_lease_run_out(database, experiment)
    return slots, trained


def states(database: Database) -> list[str]:
    return [trial["state"] for trial in database.stored_trials("iris").values()]


def test_two_searches_that_claim_at_once_share_no_trial(database: Database, searches: Pair) -> None:
    first, second = searches
    create_first_round(first)
    with let_in_before("INSERT INTO hpo_claims", lambda: claim(second)) as other:
        mine = claim(first)
    theirs = other.result()
    assert other.was_blocked
    # Each takes its share, of two that live a half, of what it finds.
    assert (mine, theirs) == ([0, 1, 2, 3], [4, 5])
    owners = dict.fromkeys(mine, first.store.owner.uid)
    owners |= dict.fromkeys(theirs, second.store.owner.uid)
    assert claims(database) == owners
    assert states(database) == ["RUNNING"] * 6 + ["WAITING"] * 2


def test_two_searches_that_create_a_round_at_once_create_one(
    database: Database, searches: Pair
) -> None:
    first, second = searches
    with let_in_before("INSERT INTO trials", lambda: create_first_round(second)) as other:
        create_first_round(first)
    other.result()
    assert other.was_blocked
    assert list(database.stored_trials("iris")) == list(range(TRIALS))
    assert database.count("trial_params") == 2 * TRIALS
    assert database.sql("SELECT round FROM hpo_rounds") == [(0,)]


@later_on_mysql
def test_of_two_searches_that_begin_a_round_from_other_trials_one_wins(
    database: Database, searches: Pair
) -> None:
    """As rounds that do not wait are begun: ranges and points of one of them, never of both."""
    first, second = searches
    space = first.store.space
    box = {"learning_rate": (1e-3, 1e-2), "weight_decay": (1e-4, 1e-3)}

    def create(experiment: JoinedStudy, chosen: Box) -> None:
        points = place(space.distributions, chosen, experiment.narrowing, range(TRIALS))
        slots = [Slot(*pair) for pair in enumerate(points)]
        experiment.store.create_round(0, space.ranges(chosen), slots)

    with let_in_before("INSERT INTO trials", lambda: create(second, {})) as other:
        create(first, box)
    other.result()
    assert other.was_blocked
    for experiment in searches:
        assert experiment.store.ranges(0) == space.ranges(box)
        assert experiment.store.ranges(1) is None
    points = place(space.distributions, box, first.narrowing, range(TRIALS))
    assert first.store.points() == points


@later_on_mysql
def test_a_trial_that_stock_optuna_adds_while_a_round_is_created_comes_after_it(
    database: Database, searches: Pair
) -> None:
    storage = stock(database.at(drivername=searches[0].store.rounds.place.url.drivername))
    with let_in_before(
        "INSERT INTO trials", lambda: optuna.load_study(study_name="iris", storage=storage).ask()
    ) as other:
        create_first_round(searches[0])
    assert other.result().number == TRIALS
    assert list(database.stored_trials("iris")) == list(range(TRIALS + 1))
    storage.remove_session()
    storage.engine.dispose()


def test_two_searches_that_create_a_study_at_once_share_it(
    database: Database, in_folder: Path
) -> None:
    def join() -> str:
        with joining(database) as experiment:
            uid: str = experiment.store.uid
            return uid

    with let_in_before("INSERT INTO hpo_experiments", join) as other:
        mine = join()
    assert mine == other.result()
    assert database.sql("SELECT study_name FROM studies") == [("iris",)]
    assert database.sql("SELECT uid FROM hpo_experiments") == [(mine,)]
    assert database.count("study_directions") == 1
    assert database.count("hpo_owners") == 0


@later_on_mysql
def test_a_result_that_comes_after_its_lease_ran_out_is_dropped(
    database: Database, searches: Pair
) -> None:
    first, second = searches
    _, trained = trained_too_late(database, first)
    taken = second.store.claim(TRIALS)
    # With nobody else alive it takes what the dead one held and what nobody had: on a server half
    # of that, for somebody may be about to join.
    count = TRIALS if database.kind == "sqlite" else TRIALS // 2
    assert [slot.number for slot in taken] == list(range(count))
    assert [each.number for each in trained] == list(range(TRIALS // 2))
    assert first.store.finish(trained) == []
    assert states(database) == ["RUNNING"] * count + ["WAITING"] * (TRIALS - count)
    again = outcomes(second, taken)
    assert second.store.finish(again) == again
    assert first.store.finish(trained) == []
    for late, entered in zip(trained, again, strict=False):
        assert (late.number, late.value) == (entered.number, entered.value)
    assert claims(database) == {}
    assert database.count("trial_values") == database.count("hpo_predictions") == count
    # From then on it takes all that is there.
    assert [slot.number for slot in second.store.claim(TRIALS)] == list(range(count, TRIALS))


@later_on_mysql
def test_a_result_at_the_moment_in_which_its_trial_is_taken_away_is_entered_once(
    database: Database, searches: Pair
) -> None:
    first, second = searches
    slots, trained = trained_too_late(database, first)
    with let_in_before("INSERT INTO trial_values", lambda: claim(second)) as other:
        entered = first.store.finish(trained)
    assert other.was_blocked
    assert entered == trained
    assert not {slot.number for slot in slots} & set(other.result())
    assert states(database)[: len(slots)] == ["COMPLETE"] * len(slots)


@later_on_mysql
def test_a_trial_at_the_moment_in_which_its_late_result_comes_is_the_new_owners(
    database: Database, searches: Pair
) -> None:
    first, second = searches
    slots, trained = trained_too_late(database, first)
    with let_in_before("INSERT INTO hpo_claims", lambda: first.store.finish(trained)) as other:
        taken = claim(second)
    assert other.was_blocked
    assert other.result() == []
    assert taken[: len(slots)] == [slot.number for slot in slots]
    assert set(claims(database).values()) == {second.store.owner.uid}
    assert database.count("trial_values") == 0


@later_on_mysql
def test_two_searches_that_come_to_the_same_winner_look_at_the_test_rows_once(
    database: Database, searches: Pair
) -> None:
    reads: list[str] = []

    def look(experiment: JoinedStudy, name: str) -> Look:
        def read() -> float:
            reads.append(name)
            return 0.75

        store = experiment.store
        return ledger.look(store.write, store.uid, store.owner, "0" * 64, "the winner", read)

    first, second = searches
    with let_in_before("INSERT INTO hpo_test_looks", lambda: look(second, "second")) as other:
        mine = look(first, "first")
    assert other.was_blocked
    assert reads == ["first"]
    assert mine == other.result() == Look(1, "0" * 64, "the winner", 0.75)
    assert database.count("hpo_test_looks") == 1


@later_on_mysql
def test_a_beat_at_the_moment_in_which_its_owner_is_taken_for_dead_enters_it_anew(
    database: Database, searches: Pair
) -> None:
    first, second = searches
    create_first_round(first)
    first.store.claim(TRIALS)
    let_lease_run_out(database, first)

    def beat() -> None:
        first.store.write(first.store._beat)

    with let_in_before("INSERT INTO hpo_claims", beat) as other:
        taken = claim(second)
    other.result()
    assert set(claims(database).values()) == {second.store.owner.uid}
    owners = {uid for (uid,) in database.sql("SELECT uid FROM hpo_owners")}
    assert owners == {first.store.owner.uid, second.store.owner.uid}
    assert not set(claim(first)) & set(taken)
