"""Who trains which trials, and what becomes of them when it dies."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution
from sqlalchemy import Connection

from storage import catalogue, history, leases, slots
from storage.errors import StorageError
from storage.leases import Heart
from storage.records import Lease, Owner, Result, Slot
from storage.trials import RoundStorage
from tests.storage.databases import Database
from tests.storage.looking import sql
from tests.storage.making import bare

T = TypeVar("T")

SPACE = {"rate": FloatDistribution(0.0, 1.0)}


def points(numbers: Sequence[int]) -> list[Slot]:
    return [Slot(number, {"rate": number / 100}) for number in numbers]


@dataclass
class Study:
    """A study with its experiment, and what searches do with it, each in one transaction."""

    rounds: RoundStorage
    study_id: int
    uid: str

    def do(self, work: Callable[[Connection], T]) -> T:
        with self.rounds.transaction() as connection:
            assert slots.lock_study(connection, self.study_id, "uid") == self.uid
            return work(connection)

    def create(self, numbers: Sequence[int]) -> None:
        assert self.do(lambda each: slots.create(each, self.study_id, points(numbers), SPACE))

    def beat(self, *owners: Owner) -> None:
        for owner in owners:
            self.do(lambda each, owner=owner: leases.beat(each, self.uid, owner))  # type: ignore[misc]

    def claim(self, owner: Owner, below: int = 99, since: int = 0) -> list[int]:
        """The numbers of the trials that ``owner`` is given, which come with their parameters."""
        found = self.do(
            lambda each: leases.claim(each, self.study_id, self.uid, owner, below, since)
        )
        assert found == points([slot.number for slot in found])
        return [slot.number for slot in found]

    def finish(self, owner: Owner, numbers: Sequence[int], value: float = 0.5) -> list[int]:
        """Enter results; returns the numbers of those that were ``owner``'s to enter."""

        def enter(connection: Connection) -> list[int]:
            ids = leases.held(connection, self.uid, owner)
            taken = {number: ids[number] for number in numbers if number in ids}
            slots.finish(connection, taken, [Result(number, value, {}, {}) for number in taken])
            leases.drop(connection, self.uid, owner, numbers)
            return list(taken)

        return self.do(enter)

    def leave(self, owner: Owner) -> None:
        self.do(lambda each: leases.leave(each, self.study_id, self.uid, owner))

    def reap(self) -> int:
        return self.do(lambda each: leases.reap(each, self.study_id, self.uid))

    def held(self, owner: Owner) -> list[int]:
        return list(self.do(lambda each: leases.held(each, self.uid, owner)))

    def leases(self) -> list[Lease]:
        return self.rounds.read(lambda each: leases.leases(each, self.uid))

    def owners(self) -> list[str]:
        return [lease.owner.uid for lease in self.leases()]

    def states(self) -> str:
        """The first letter of each trial's state, in the order of their numbers."""
        trials = self.rounds.read(lambda each: history.trials(each, self.study_id))
        assert [each.number for each in trials] == list(range(len(trials)))
        return "".join(each.state[0] for each in trials)

    def values(self) -> list[float | None]:
        trials = self.rounds.read(lambda each: history.trials(each, self.study_id))
        return [each.value for each in trials]


def new_study(rounds: RoundStorage, name: str | None = None) -> Study:
    uid = uuid4().hex
    with rounds.transaction() as connection:
        catalogue.save_experiment(connection, bare(uid))
        study_id = slots.create_study(connection, name or uid, "accuracy", {"uid": uid})
    return Study(rounds, study_id, uid)


@pytest.fixture
def study(rounds: RoundStorage) -> Study:
    return new_study(rounds)


@pytest.fixture
def anywhere(database: Database) -> Iterator[tuple[Study, Database]]:
    """A study in a database of each kind."""
    rounds = RoundStorage(database.url)
    yield new_study(rounds), database
    rounds.close()


def here() -> Owner:
    """A search in this process."""
    return leases.this_process()


def elsewhere() -> Owner:
    """A search on another machine, whose process has a number that is none here."""
    return here()._replace(host="elsewhere", place="another machine", pid=2**22 + 1, started="1")


# Claims


def test_who_is_alone_gets_everything_that_is_asked_for_in_order(study: Study) -> None:
    study.create(range(5))
    owner = here()
    assert study.claim(owner, below=3) == [0, 1, 2]
    assert study.states() == "RRRWW"
    assert study.finish(owner, [0, 1, 2]) == [0, 1, 2]
    assert study.claim(owner) == [3, 4]
    assert study.claim(here()) == []
    assert study.states() == "CCCRR"


def test_a_claim_whose_answer_got_lost_is_answered_again(study: Study) -> None:
    study.create(range(4))
    owner, other = here(), here()
    study.beat(owner, other)
    assert study.claim(owner) == study.claim(owner) == [0, 1]
    assert study.states() == "RRWW"
    # Of two stacks one is done, and then nothing new is given before the other is.
    study.finish(owner, [1])
    assert study.claim(owner) == [0]
    study.finish(owner, [0])
    assert study.claim(owner) == [2]


def test_a_fair_share_is_what_each_living_search_gets(study: Study) -> None:
    study.create(range(10))
    first, second, third = here(), here(), here()
    study.beat(first, second, third)
    assert [study.claim(each) for each in (first, second, third)] == [
        [0, 1, 2, 3],
        [4, 5],
        [6, 7],
    ]
    study.finish(first, [0, 1, 2, 3])
    assert study.claim(first) == [8]
    study.leave(third)
    assert study.held(first) == [8]
    study.finish(first, [8])
    assert study.claim(first) == [6, 7]
    assert study.claim(second) == [4, 5]
    study.finish(second, [4, 5])
    assert study.claim(second) == [9]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 12), st.lists(st.tuples(st.integers(0, 3), st.integers(0, 14)), max_size=10))
def test_no_trial_is_given_twice_and_none_is_kept_from_who_asks(
    rounds: RoundStorage, size: int, asked: list[tuple[int, int]]
) -> None:
    study, searches = new_study(rounds), [here() for _ in range(4)]
    if size:
        study.create(range(size))
    mine: dict[int, list[int]] = {}
    for name, below in asked:
        taken = {number for numbers in mine.values() for number in numbers}
        free = [number for number in range(min(below, size)) if number not in taken]
        expected = mine.get(name) or free[: math.ceil(len(free) / len({*mine, name}))]
        assert study.claim(searches[name], below) == expected
        mine[name] = expected


def test_only_trials_from_a_given_id_on_are_looked_at(study: Study) -> None:
    study.create(range(4))
    with study.rounds.reading() as connection:
        ids = [each.trial_id for each in history.trials(connection, study.study_id)]
    assert study.claim(here(), since=ids[2]) == [2, 3]
    assert study.states() == "WWRR"


def test_a_trial_without_parameters_is_refused_and_nothing_is_claimed(study: Study) -> None:
    study.create(range(2))
    rows = "(number, study_id, state) VALUES (2, ?, 'WAITING')"
    assert study.rounds.place.path is not None
    sql(study.rounds.place.path, f"INSERT INTO trials {rows}", study.study_id)
    owner = here()
    with pytest.raises(
        StorageError, match=r"^trial 2 waits without parameters: another program added it; use ano"
    ):
        study.claim(owner)
    assert study.states() == "WWW"
    assert study.held(owner) == []
    assert study.claim(owner, below=2) == [0, 1]


def test_studies_do_not_mix(rounds: RoundStorage) -> None:
    one, other = new_study(rounds), new_study(rounds)
    searches = here(), elsewhere()
    for study, search in zip((one, other), searches, strict=True):
        study.create(range(2))
        assert study.claim(search) == [0, 1]
    other.leave(searches[1])
    assert (one.states(), other.states()) == ("RR", "WW")
    assert one.reap() == other.reap() == 0
    assert one.owners() == [searches[0].uid]
    assert other.owners() == []


# Life and death


def test_claims_and_the_clock_of_every_kind_of_database(anywhere: tuple[Study, Database]) -> None:
    study, database = anywhere
    study.create(range(4))
    living, silent = elsewhere(), elsewhere()
    study.beat(living, silent)
    assert study.claim(silent) == [0, 1]
    set_silence(database, silent, leases.LEASE_SECONDS - 5)
    assert study.claim(living) == [2]
    assert [lease.dead for lease in study.leases()] == [False, False]
    set_silence(database, silent, leases.LEASE_SECONDS + 1)
    lease = study.leases()[0]
    assert (lease.owner, lease.numbers, lease.dead) == (silent, (0, 1), True)
    assert leases.LEASE_SECONDS + 1 <= lease.silence < leases.LEASE_SECONDS + 30
    study.finish(living, [2])
    assert study.claim(living) == [0, 1, 3]
    assert study.owners() == [living.uid]
    assert study.finish(silent, [0, 1], 0.75) == []
    assert study.finish(living, [0, 1, 3], 0.25) == [0, 1, 3]
    assert study.values() == [0.25, 0.25, 0.5, 0.25]
    study.leave(living)
    for table in ("hpo_claims", "hpo_owners"):
        assert database.count(table) == 0


def set_silence(database: Database, owner: Owner, seconds: float) -> None:
    """Let the last beat be so long ago by the database's own clock."""
    clock = {
        "sqlite": "(julianday('now') - 2440587.5) * 86400",
        "postgresql": "extract(epoch from now())",
        "mysql": "unix_timestamp(now(6))",
    }[database.kind]
    database.sql(
        f"UPDATE hpo_owners SET beat = {clock} - CAST(? AS DECIMAL) WHERE uid = ?",
        round(seconds),
        owner.uid,
    )


def silence(study: Study, owner: Owner, seconds: float) -> None:
    assert study.rounds.place.path is not None
    path = study.rounds.place.path
    sql(path, "UPDATE hpo_owners SET beat = beat - ? WHERE uid = ?", seconds, owner.uid)


def test_a_machine_whose_clock_is_wrong_neither_kills_nor_saves(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    study.create(range(2))
    living, dead = elsewhere(), elsewhere()
    study.beat(living, dead)
    silence(study, dead, 61)
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert [lease.dead for lease in study.leases()] == [True, False]
    study.beat(dead)
    assert [lease.dead for lease in study.leases()] == [False, False]
    assert all(0 <= lease.silence < 30 for lease in study.leases())


def test_one_who_says_that_it_lives_keeps_what_it_holds(study: Study) -> None:
    study.create(range(2))
    owner = elsewhere()
    assert study.claim(owner) == [0, 1]
    silence(study, owner, 50)
    study.beat(owner)
    silence(study, owner, 50)
    assert study.claim(elsewhere()) == []
    assert study.finish(owner, [0, 1]) == [0, 1]


def test_one_taken_for_dead_that_lives_is_entered_again_but_has_lost_its_trials(
    study: Study,
) -> None:
    study.create(range(4))
    late, other = elsewhere(), elsewhere()
    assert study.claim(late) == [0, 1, 2, 3]
    silence(study, late, 61)
    assert study.claim(other) == [0, 1, 2, 3]
    study.beat(late)
    assert study.held(late) == []
    assert sorted(study.owners()) == sorted([late.uid, other.uid])
    study.finish(other, [0, 1, 2, 3], 0.25)
    assert study.finish(late, [0, 1, 2, 3], 0.75) == []
    assert study.values() == [0.25] * 4


def test_a_late_result_is_dropped_also_while_the_trial_waits(study: Study) -> None:
    study.create(range(1))
    late = elsewhere()
    study.claim(late)
    silence(study, late, 61)
    assert study.reap() == 1
    assert study.states() == "W"
    assert study.finish(late, [0]) == []
    assert study.states() == "W"
    assert study.claim(late) == [0]
    assert study.finish(late, [0]) == [0]


OWNER = """
import json
from storage.leases import this_process
print(json.dumps(this_process()), flush=True)
input()
"""


@contextmanager
def another_process() -> Iterator[tuple[subprocess.Popen[str], Owner]]:
    """A process of this machine that is a search, until it is killed."""
    command = [sys.executable, "-c", OWNER]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]
        yield process, Owner(*json.loads(process.stdout.readline()))
        process.kill()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked for in /proc")
def test_a_process_of_this_machine_that_is_gone_is_noticed_at_once(study: Study) -> None:
    study.create(range(3))
    ours = here()
    with another_process() as (process, other):
        assert (other.host, other.place) == (ours.host, ours.place)
        assert (other.pid, other.uid != ours.uid) == (process.pid, True)
        assert study.claim(other) == [0, 1, 2]
        study.finish(other, [1])
        assert not leases.has_vanished(other)
        assert study.claim(ours) == []
        process.kill()
        # It is dead before its parent, which is this process, has looked at it.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert leases.has_vanished(other)
        assert study.claim(ours) == [0, 2]
        process.wait()
        assert leases.has_vanished(other)
    assert study.owners() == [ours.uid]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked for in /proc")
def test_a_process_that_got_the_number_of_a_dead_one_is_another(study: Study) -> None:
    study.create(range(1))
    dead = here()._replace(started="1")
    study.claim(dead)
    assert leases.has_vanished(dead)
    assert study.claim(here()) == [0]


def test_of_another_machines_process_only_silence_tells(study: Study) -> None:
    study.create(range(1))
    other = elsewhere()
    study.claim(other)
    assert not leases.has_vanished(other)
    assert not leases.has_vanished(here()._replace(place="another machine"))
    silence(study, other, 59)
    assert study.claim(here()) == []
    silence(study, other, 2)
    assert study.claim(here()) == [0]


def test_where_nothing_is_known_of_processes_only_silence_tells(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study.create(range(2))
    with monkeypatch.context() as patched:
        patched.setattr(leases, "PROCESSES", tmp_path / "none")
        leases._place.cache_clear()
        one = here()
        leases._place.cache_clear()
        other = here()
        assert one.place != other.place
        for each in (one, other):
            assert not leases.has_vanished(each)
        assert study.claim(one) == [0, 1]
        assert study.claim(other) == []
        silence(study, one, 61)
        assert study.claim(other) == [0, 1]
    leases._place.cache_clear()


# Leaving


def test_who_leaves_gives_its_trials_back_with_number_and_parameters(study: Study) -> None:
    study.create(range(3))
    owner, other = here(), here()
    assert study.claim(owner) == [0, 1, 2]
    study.finish(owner, [1])
    study.leave(owner)
    assert study.states() == "WCW"
    assert study.owners() == []
    study.leave(owner)
    assert study.claim(other) == [0, 2]
    with study.rounds.reading() as connection:
        trials = history.trials(connection, study.study_id)
    assert [Slot(each.number, each.params) for each in trials] == points(range(3))


def test_who_leaves_takes_nothing_of_others(study: Study) -> None:
    study.create(range(4))
    owner, other = here(), here()
    study.beat(owner, other)
    assert (study.claim(owner), study.claim(other)) == ([0, 1], [2])
    study.leave(owner)
    assert study.states() == "WWRW"
    assert study.held(other) == [2]


def test_the_dead_are_buried_all_at_once(study: Study) -> None:
    study.create(range(6))
    dead, living = [elsewhere(), elsewhere()], here()
    study.beat(*dead, living)
    assert [study.claim(each) for each in (*dead, living)] == [[0, 1], [2, 3], [4]]
    for each in dead:
        silence(study, each, 100)
    assert study.reap() == 4
    assert study.states() == "WWWWRW"
    assert study.owners() == [living.uid]
    assert study.reap() == 0


def test_trials_that_run_for_nobody_wait_again(study: Study) -> None:
    """An older version left them when it was killed."""
    study.create(range(3))
    owner = here()
    study.claim(owner, below=1)
    assert study.rounds.place.path is not None
    sql(study.rounds.place.path, "UPDATE trials SET state = 'RUNNING' WHERE number = 2")
    assert study.states() == "RWR"
    assert study.reap() == 1
    assert study.states() == "RWW"


@pytest.mark.parametrize("numbers", [[0], [0, 1], [1, 2, 3], [0, 3], [3, 1], [0, 1, 2, 3], [], [9]])
def test_claims_are_dropped_one_by_one(study: Study, numbers: list[int]) -> None:
    study.create(range(5))
    owner = here()
    study.claim(owner, below=4)
    other = elsewhere()
    assert study.claim(other) == [4]
    study.do(lambda each: leases.drop(each, study.uid, owner, numbers))
    assert study.leases()[0].numbers == tuple(n for n in range(4) if n not in numbers)
    assert study.held(other) == [4]
    study.do(lambda each: leases.drop(each, study.uid, owner, [4]))
    assert study.held(other) == [4]


def test_leases_tell_who_holds_what_the_longest_silent_first(study: Study) -> None:
    study.create(range(6))
    idle, quick, slow = here(), here(), elsewhere()
    study.beat(idle, quick, slow)
    study.claim(slow)
    study.claim(quick)
    silence(study, slow, 1000)
    silence(study, quick, 10)
    found = study.leases()
    assert [lease.owner for lease in found] == [slow, quick, idle]
    assert [lease.numbers for lease in found] == [(0, 1), (2, 3), ()]
    assert [lease.dead for lease in found] == [True, False, False]
    assert [round(lease.silence / 10) for lease in found] == [100, 1, 0]
    assert {lease.experiment for lease in found} == {study.uid}
    alive = [
        study.rounds.read(lambda each, uid=uid: leases.is_alive(each, study.uid, uid))  # type: ignore[misc]
        for uid in (slow.uid, quick.uid, idle.uid, "nobody")
    ]
    assert alive == [False, True, True, False]


# The heart


def test_a_heart_beats_until_it_is_stopped_whatever_the_database_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.001)
    beats, enough = [], threading.Event()

    def beat() -> None:
        beats.append(threading.current_thread())
        if len(beats) == 3:
            enough.set()
        raise StorageError("the database is locked")

    heart = Heart(beat)
    heart.start()
    assert enough.wait(30)
    heart.stop()
    assert len(set(beats)) == 1
    assert not beats[0].is_alive()
    assert beats[0].daemon, "or a process that dies would wait for it"


def test_a_beat_that_is_under_way_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.001)
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def beat() -> None:
        begun.set()
        assert may_end.wait(30)
        ended.set()

    heart = Heart(beat)
    heart.start()
    assert begun.wait(30)
    stopping = threading.Thread(target=heart.stop)
    stopping.start()
    assert not ended.is_set()
    may_end.set()
    stopping.join(30)
    assert ended.is_set()


def test_the_first_beat_comes_after_a_while_and_a_stopped_heart_never_beats() -> None:
    beats: list[int] = []
    heart = Heart(lambda: beats.append(1))
    heart.start()
    heart.stop()
    heart.stop()
    Heart(lambda: beats.append(2)).stop()
    assert beats == []


def test_a_search_lives_far_longer_than_it_takes_to_say_so() -> None:
    assert 3 * leases.BEAT_SECONDS < leases.LEASE_SECONDS


# The claim on choosing the winner


def claims_selection(study: Study, owner: Owner) -> bool:
    return study.do(lambda each: leases.claim_selection(each, study.study_id, study.uid, owner))


def test_one_search_chooses_the_winner_at_a_time(study: Study) -> None:
    one, other = here(), here()
    assert claims_selection(study, one)
    assert not claims_selection(study, other)
    assert claims_selection(study, one)  # an answer that got lost
    study.do(lambda each: leases.drop_selection(each, study.uid, other))
    assert not claims_selection(study, other)
    study.do(lambda each: leases.drop_selection(each, study.uid, one))
    assert claims_selection(study, other)


def test_who_left_or_died_chooses_no_winner(anywhere: tuple[Study, Database]) -> None:
    study, database = anywhere
    left, silent, alive = here(), elsewhere(), here()
    assert claims_selection(study, left)
    study.leave(left)
    assert claims_selection(study, silent)
    set_silence(database, silent, leases.LEASE_SECONDS - 5)
    assert not claims_selection(study, alive)
    set_silence(database, silent, leases.LEASE_SECONDS + 1)
    assert claims_selection(study, alive)
    assert not claims_selection(study, silent)


def test_who_chooses_the_winner_may_train_too(study: Study) -> None:
    """Of a larger total, that another search asks for meanwhile."""
    owner, other = here(), here()
    study.create(range(4))
    assert claims_selection(study, owner)
    assert study.claim(owner) == [0, 1, 2, 3]
    assert [lease.numbers for lease in study.leases()] == [(0, 1, 2, 3)]
    assert study.finish(owner, [0, 1, 2, 3]) == [0, 1, 2, 3]
    assert not claims_selection(study, other)
    assert study.states() == "CCCC"


def test_each_study_has_a_winner_of_its_own(rounds: RoundStorage) -> None:
    one, other = new_study(rounds), new_study(rounds)
    assert claims_selection(one, here())
    assert claims_selection(other, here())
