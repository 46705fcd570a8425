"""PostgreSQL and MySQL on a bad line: what was recorded stays, and nothing is done twice."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from optuna.storages._rdb import models
from sqlalchemy import Connection
from sqlalchemy.engine import make_url

from storage import engine, history, leases, servers, slots
from storage.trials import RoundStorage
from tests.faults.looking import said_in_one_line
from tests.faults.proxy import LOOPBACK, Proxy, proxied, refusing_postgresql
from tests.running import Hpo, Ran, Trial
from tests.storage.databases import SERVERS, Database, fresh_database, login
from tests.storage.interleaving import Other, at, listening

on_servers = pytest.mark.parametrize("database", SERVERS, indirect=True)
on_either_server = pytest.mark.parametrize(
    "database",
    ["postgresql", pytest.param("mysql", marks=pytest.mark.slow)],
    indirect=True,
)
"""As `on_servers`, but the second one only with the slow tests."""

on_bare_servers = pytest.mark.parametrize("bare_database", SERVERS, indirect=True)

ATTRIBUTES = models.StudyUserAttributeModel.__table__

TRIALS, ROUNDS = 4, 2

COMMAND = (
    "search", "iris", "--trials", TRIALS, "--rounds", ROUNDS, "--hidden", 4, "--epochs", 4,
    "--seed", 3, "--json",
)  # fmt: skip

ROWS_OF_A_STUDY = {
    "hpo_claims": 0,
    "hpo_experiments": 1,
    "hpo_test_looks": 1,
    "hpo_rounds": ROUNDS,
    "hpo_curves": TRIALS,
    "hpo_predictions": TRIALS,
    "hpo_artifacts": TRIALS,
    "trials": TRIALS,
    "trial_values": TRIALS,
}

RESULTS = "INSERT INTO trial_values"
"""A statement in the middle of the transaction that enters results."""

STEP = 47
"""The quick tests try every so manieth statement of a search."""


class Line:
    """A database behind a proxy, and what a search leads to on a good line."""

    def __init__(self, hpo: Hpo, database: Database, proxy: Proxy) -> None:
        self._hpo = hpo
        self.database = database
        self.proxy = proxy
        self.url = database.at(host=LOOPBACK, port=proxy.port).url
        calm = self.search("calm")  # creates the tables
        assert calm.code == 0, calm.err
        self.calm = calm.document
        self.trials = self.stored("calm")
        assert list(self.trials) == list(range(TRIALS))

    def statements_and_commits(self) -> tuple[int, int]:
        """How many of both another search sends."""
        self.proxy.lose_answer(b"COMMIT", sys.maxsize)
        with at(0, lambda: None) as counted:
            self.assert_done("counted", self.search("counted"))
        commits = sys.maxsize - self.proxy.answers_left
        self.proxy.lose_answer(b"", 0)
        return counted.count, commits

    def search(self, study: str) -> Ran:
        return self._hpo(*COMMAND, "--study", study, "--storage", self.url)

    def stored(self, study: str) -> dict[int, Trial]:
        return self.database.stored_trials(study)

    def assert_done(self, study: str, ran: Ran) -> None:
        """The search led to what it leads to on a good line, and nothing of it is there twice."""
        assert ran.code == 0, ran.err
        assert "hpo: " not in ran.err
        same = {"study": study, "seconds": None}
        assert {**ran.document, "seconds": None} == {**self.calm, **same}
        assert self.stored(study) == self.trials
        n_studies = self.database.count("studies")
        found = {table: self.database.count(table) for table in ROWS_OF_A_STUDY}
        assert found == {table: n * n_studies for table, n in ROWS_OF_A_STUDY.items()}

    def assert_ended_in_one_line(self, study: str, ran: Ran, cause: str) -> None:
        """It ended with 4 and the cause, recorded what was done, and goes on from there."""
        assert (ran.code, ran.out) == (4, "")
        assert said_in_one_line(ran).startswith(f"hpo: {cause}")
        recorded = {
            number: trial
            for number, trial in self.stored(study).items()
            if trial["state"] in {"COMPLETE", "PRUNED"}
        }
        assert recorded == {number: self.trials[number] for number in recorded}
        self.proxy.flow()
        # This process lives on, where the command would have ended.
        self.database.sql("UPDATE hpo_owners SET beat = 0")
        self.assert_done(study, self.search(study))


@pytest.fixture(autouse=True)
def _quiet_loggers(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What a library logs stands on stderr, where nothing is to stand but our one line."""
    yield
    for phase in ("setup", "call"):
        assert [
            each.getMessage()
            for each in caplog.get_records(phase)
            if each.levelno >= logging.WARNING
        ] == []


@pytest.fixture
def line(hpo: Hpo, database: Database) -> Iterator[Line]:
    with proxied(database.host, database.port) as proxy:
        yield Line(hpo, database, proxy)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds for what otherwise takes a minute; psycopg takes no less than two to connect."""
    monkeypatch.setattr(engine, "PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(servers, "ANSWER_SECONDS", 1)
    monkeypatch.setattr(servers, "CONNECT_SECONDS", 1)


# A connection that is lost


def try_at_statements(line: Line, action: Callable[[], object], step: int) -> None:
    statements, _ = line.statements_and_commits()
    tried = range(1 + step // 2, statements, step)
    assert len(tried) > 2
    for nth in tried:
        with at(nth, action) as moments:
            ran = line.search(f"study {nth}")
        assert moments.came
        line.assert_done(f"study {nth}", ran)


def lose_answers_to_commits(line: Line, step: int) -> None:
    _, commits = line.statements_and_commits()
    tried = range(1 + step // 2, commits, step)
    assert len(tried) > 2
    for nth in tried:
        line.proxy.lose_answer(b"COMMIT", nth)
        ran = line.search(f"study {nth}")
        assert line.proxy.answers_left == 0
        line.assert_done(f"study {nth}", ran)


@on_either_server
def test_a_connection_that_is_cut_in_front_of_a_statement_changes_nothing(line: Line) -> None:
    try_at_statements(line, line.proxy.cut, STEP)


@on_either_server
def test_a_connection_that_the_server_ends_in_front_of_a_statement_changes_nothing(
    line: Line,
) -> None:
    try_at_statements(line, line.database.terminate, STEP)


@on_either_server
def test_a_commit_whose_answer_is_lost_is_not_done_twice(line: Line) -> None:
    lose_answers_to_commits(line, 7)


@pytest.mark.slow
@on_servers
def test_a_line_that_is_lost_at_any_moment_changes_nothing(line: Line) -> None:
    try_at_statements(line, line.proxy.cut, 1)
    try_at_statements(line, line.database.terminate, 1)
    lose_answers_to_commits(line, 1)


@on_bare_servers
def test_tables_whose_creation_is_cut_short_are_completed(
    hpo: Hpo, tmp_path: Path, bare_database: Database
) -> None:
    with proxied(bare_database.host, bare_database.port) as proxy:
        url = bare_database.at(host=LOOPBACK, port=proxy.port).url
        with at(0, lambda: None) as counted:
            RoundStorage(url).close()
        wanted = tables(bare_database)
        for nth in range(2, counted.count, 41):
            with fresh_database(bare_database.kind, tmp_path) as fresh:
                with at(nth, proxy.cut) as moments:
                    RoundStorage(fresh.at(host=LOOPBACK, port=proxy.port).url).close()
                assert moments.came
                assert tables(fresh) == wanted


def tables(database: Database) -> list[tuple[Any, ...]]:
    """Every column of every table, and what versions the tables say they have."""
    own = "current_schema()" if database.kind == "postgresql" else "database()"
    columns = database.sql(
        "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns "
        f"WHERE table_schema = {own}"
    )
    versions = [
        database.sql(f"SELECT * FROM {table}")
        for table in ("alembic_version", "hpo_alembic_version", "version_info")
    ]
    return [*sorted(columns), tuple(map(str, versions))]


@on_either_server
def test_a_server_that_is_away_for_two_seconds_is_waited_for(line: Line) -> None:
    back = threading.Timer(2, line.proxy.accept)

    def restart() -> None:
        line.proxy.refuse()
        back.start()

    with at(RESULTS, restart):
        ran = line.search("other")
    back.join()
    line.assert_done("other", ran)


@on_either_server
@pytest.mark.usefixtures("impatient")
def test_a_server_that_stays_away_ends_the_search_in_one_line(line: Line) -> None:
    began = time.monotonic()
    with at(RESULTS, line.proxy.refuse):
        ran = line.search("other")
    assert time.monotonic() - began < 10
    line.proxy.accept()
    line.assert_ended_in_one_line("other", ran, "the connection to the database failed: ")


@on_either_server
@pytest.mark.usefixtures("impatient")
def test_a_server_that_says_nothing_ends_the_search_in_one_line(line: Line) -> None:
    began = time.monotonic()
    with at(RESULTS, line.proxy.stall):
        ran = line.search("other")
    assert time.monotonic() - began < 15
    line.assert_ended_in_one_line("other", ran, "the connection to the database failed: ")


@on_either_server
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("moment", [RESULTS, "COMMIT"])
def test_what_a_stalled_line_delivers_late_is_not_done_twice(
    line: Line, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "PATIENCE_SECONDS", 30)
    flowing = threading.Timer(1.5, line.proxy.flow)

    def stall() -> None:
        line.proxy.stall()
        flowing.start()

    with at(moment, stall, after=RESULTS) as moments:
        ran = line.search("other")
    flowing.join()
    assert moments.came
    line.assert_done("other", ran)


@on_servers
def test_a_search_whose_connection_ends_while_it_waits_for_a_lock_gets_it_later(
    database: Database,
) -> None:
    rounds, holder = RoundStorage(database.url), RoundStorage(database.url)
    study_id = rounds.create_new_study([], "study")
    rounds.set_study_user_attr(study_id, "key", "value")

    def lock(connection: Any) -> Any:
        return slots.lock_study(connection, study_id, "key")

    rounds.close()
    with holder.transaction() as connection:
        assert lock(connection) == "value"
        known = set(database.backends())
        other = Other(lambda: rounds.write(lock))
        with listening(before_cursor_execute=other.begins, after_cursor_execute=other.ends):
            other.let_in()
        assert other.was_blocked
        (waiting,) = set(database.backends()) - known
        database.end(waiting)
    assert other.result() == "value"
    rounds.close()
    holder.close()


@on_servers
def test_who_is_silent_in_the_middle_of_a_transaction_does_not_hold_up_others_for_long(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "IDLE_SECONDS", 1)
    stopped, other = RoundStorage(database.url), RoundStorage(database.url)
    study_id = other.create_new_study([], "study")
    other.set_study_user_attr(study_id, "key", 0)
    tries: list[Any] = []

    def read_and_add(connection: Connection) -> None:
        tries.append(slots.lock_study(connection, study_id, "key"))
        if len(tries) == 1:
            # It is stopped here, and goes on when another has done the same.
            began = time.monotonic()
            other.write(lambda each: slots.lock_study(each, study_id, "key"))
            assert 0.5 < time.monotonic() - began < 20
            other.set_study_user_attr(study_id, "key", 1)
        present = history.study_attributes(connection, study_id)["key"]
        text = str(present + 1)
        connection.execute(ATTRIBUTES.update().values(value_json=text))

    stopped.write(read_and_add)
    assert tries == [0, 1]
    assert database.sql("SELECT value_json FROM study_user_attributes") == [("2",)]
    stopped.close()
    other.close()


@on_servers
def test_the_heart_beats_on_after_a_line_was_lost(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.01)
    rounds = RoundStorage(line.url)
    study_id = rounds.read(lambda connection: history.find_study(connection, "calm"))
    assert study_id is not None
    uid = rounds.get_study_user_attrs(study_id)["hpo:experiment"]
    owner = leases.this_process()

    def beat() -> None:
        with rounds.transaction() as connection:
            leases.beat(connection, uid, owner)

    heart = leases.Heart(beat)
    heart.start()
    wait_for_beat(line.database)
    line.proxy.cut()
    wait_for_beat(line.database)
    line.proxy.refuse()
    line.proxy.accept()
    wait_for_beat(line.database)
    heart.stop()
    rounds.close()


def wait_for_beat(database: Database) -> None:
    """Wait until an owner has said two times more that it lives."""
    query = "SELECT max(beat) FROM hpo_owners"
    for _ in range(2):
        before, deadline = database.sql(query), time.monotonic() + 30
        while database.sql(query) == before:
            assert time.monotonic() < deadline, "it beats no more"


# A database that cannot be had


REFUSALS: list[tuple[str, Callable[[Database], str], str]] = [
    ("postgresql", lambda db: db.at(database="nowhere").url, "the database does not exist"),
    ("mysql", lambda db: db.at(database="nowhere").url, "the database does not exist"),
    ("postgresql", lambda db: db.at(username="nobody").url, "the database refuses the login"),
    ("mysql", lambda db: db.at(username="nobody").url, "the database refuses the login"),
    ("mysql", lambda db: db.at(password="wrong").url, "the database refuses the login"),
    ("postgresql", lambda db: db.at(drivername="postgresql+pg8000").url, "the driver pg8000"),
    ("mysql", lambda db: db.at(drivername="mysql+nothing").url, "the driver nothing"),
    ("postgresql", lambda _: "postgresql://me:wrong@localhost", "the storage names no database"),
]


@pytest.mark.parametrize(
    ("database", "url", "says"),
    REFUSALS,
    indirect=["database"],
    ids=[f"{kind}: {says}" for kind, _, says in REFUSALS],
)
def test_a_database_that_cannot_be_had_is_told_in_one_line(
    hpo: Hpo, database: Database, url: Callable[[Database], str], says: str
) -> None:
    began = time.monotonic()
    ran = hpo(*COMMAND, "--storage", url(database))
    assert time.monotonic() - began < 5
    assert (ran.code, ran.out) == (4, "")
    assert said_in_one_line(ran).startswith(f"hpo: {says}")
    assert "wrong" not in ran.err


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_wrong_password_for_postgresql_is_told_in_one_line_without_it(
    hpo: Hpo, database: Database
) -> None:
    for echo in (False, True):
        with refusing_postgresql(echo=echo) as port:
            url = database.at(host=LOOPBACK, port=port, password=PASSWORD).url
            ran = hpo(*COMMAND, "--storage", url)
        assert (ran.code, ran.out) == (4, "")
        line = said_in_one_line(ran)
        assert line.startswith("hpo: the database refuses the login: postgresql+psycopg://")
        assert 'password authentication failed for user "me"' in line
        assert line.endswith("check user and password")
        assert not shown(ran.err)


@pytest.mark.parametrize(
    ("url", "modules", "extra"),
    [
        ("postgresql://me@localhost/db", ["psycopg", "psycopg2"], "hpo-stacks[postgresql]"),
        ("mysql://me@localhost/db", ["pymysql", "MySQLdb"], "hpo-stacks[mysql]"),
    ],
)
def test_a_driver_that_is_not_installed_is_named_with_the_way_to_install_it(
    hpo: Hpo, monkeypatch: pytest.MonkeyPatch, url: str, modules: list[str], extra: str
) -> None:
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)  # as Python itself marks what is not there
    ran = hpo(*COMMAND, "--storage", url)
    assert (ran.code, ran.out) == (4, "")
    assert said_in_one_line(ran) == (
        f"hpo: the driver {modules[0]} of {url.partition(':')[0]} is not installed: "
        f"pip install '{extra}'"
    )


# Passwords

PASSWORD = "p@ss:w/o%r&d?#[1]{x}' \"ü+=;\\"


def shown(text: str) -> list[str]:
    """The ways of writing the password that occur in ``text``."""
    url = make_url("postgresql://me@host/db").set(password=PASSWORD)
    rendered = url.render_as_string(hide_password=False).split(":", 2)[2].rpartition("@")[0]
    written = {PASSWORD, quote(PASSWORD, safe=""), quote_plus(PASSWORD), quote(PASSWORD), rendered}
    written |= {repr(each)[1:-1] for each in written}
    return [each for each in written if each in text]


def test_every_way_of_writing_the_password_is_noticed() -> None:
    assert shown(f"a {PASSWORD} b")
    assert shown(
        make_url("mysql://h/d").set(username="u", password=PASSWORD).render_as_string(False)
    )
    assert not shown("***")


@on_bare_servers
@pytest.mark.usefixtures("impatient")
def test_a_password_is_nowhere_shown_and_nowhere_kept(
    hpo: Hpo, bare_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HPO_DEBUG", "1")
    with (
        login(bare_database, PASSWORD) as theirs,
        proxied(bare_database.host, bare_database.port) as proxy,
    ):
        text = [each for each in COMMAND if each != "--json"]
        monkeypatch.setenv("HPO_STORAGE", theirs.at(host=LOOPBACK, port=proxy.port).url)
        ran = {
            0: [hpo(*COMMAND), hpo(*COMMAND, "--storage", theirs.url)],
            2: [hpo(*COMMAND, "--epochs", 5), hpo("search", "iris", "--hidden", theirs.url)],
            3: [hpo("search", theirs.url)],
            4: [hpo(*text, "--storage", theirs.at(database="nowhere").url)],
        }
        ran[0] += [hpo(*text), hpo(*text, f"--storage={theirs.url}"), hpo(*text, "--dry-run")]
        ran[4] += [hpo(*text, "--artifacts", theirs.url)]
        if bare_database.kind == "mysql":
            ran[4] += [hpo(*text, "--storage", theirs.at(username="nobody").url)]
        for moment in (proxy.cut, proxy.refuse):
            with at(RESULTS, moment):
                ran[0 if moment == proxy.cut else 4] += [hpo(*text, "--study", moment.__name__)]
        for code, each in ((code, each) for code, several in ran.items() for each in several):
            assert each.code == code, each.err
            assert not shown(each.out)
            assert not shown(each.err)
        assert ran[0][0].document["storage"].count("***") == 1
        assert "Traceback" in ran[4][0].err
        assert bare_database.count("trials") >= 2 * TRIALS
        assert not shown(theirs.text())
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert len(files) > 2
        assert not any(shown(path.read_bytes().decode(errors="replace")) for path in files)
