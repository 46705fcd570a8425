"""Connections, transactions, and what a user reads when they fail."""

from __future__ import annotations

import errno
import gc
import os
import shutil
import sqlite3
import stat
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy as sa
from sqlalchemy import event

from storage import revisions
from storage.causes import explain, explained
from storage.errors import StorageError
from storage.sqlite import connect, network_system
from storage.trials import RoundStorage
from tests.running import integrity, stock_optuna
from tests.storage.damaging import corrupt
from tests.storage.looking import as_nobody, content, error_line, open_files, schema, sql


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def refusal(path: Path) -> str:
    """The one line that a storage over ``path`` is refused with; nothing stays open."""
    message = error_line(lambda: RoundStorage(url(path)))
    assert str(path) in message or str(path.parent) in message
    assert not open_files(path.parent)
    return message


def refused_unchanged(path: Path) -> str:
    """The refusal, which must leave the folder of ``path`` as it is."""
    before = content(path.parent)
    message = refusal(path)
    assert content(path.parent) == before
    return message


# Connections


def test_every_connection_is_durable(rounds: RoundStorage) -> None:
    with ExitStack() as stack:
        for _ in range(4):
            connection = stack.enter_context(rounds.engine.connect())
            pragma = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            }
            full = 2
            expected = {"journal_mode": "wal", "synchronous": full, "foreign_keys": 1}
            assert pragma == expected | {"busy_timeout": 30_000}


def test_a_connection_that_fails_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(b"no database, " * 100)
    with pytest.raises(sqlite3.DatabaseError):
        connect(path)
    assert not open_files(tmp_path)


def test_new_files_belong_to_their_owner(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        rounds = RoundStorage(url(tmp_path / "new.db"))
    finally:
        os.umask(previous)
    with rounds.transaction() as connection:
        connection.exec_driver_sql("SELECT 1")
        modes = {each: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.rglob("*")}
    rounds.engine.dispose()
    names = {each.name for each in modes}
    assert {"new.db", "new.db-wal", "new.db-shm", "new.artifacts", "tables.lock"} == names
    assert {mode for each, mode in modes.items() if each.name != "new.artifacts"} == {0o600}
    assert modes[tmp_path / "new.artifacts"] == 0o700


def test_a_closed_storage_is_one_file_and_its_folder(tmp_path: Path) -> None:
    RoundStorage(url(tmp_path / "a.db")).engine.dispose()
    assert set(content(tmp_path)) == {"a.db", "a.artifacts/", "a.artifacts/tables.lock"}
    assert not open_files(tmp_path)


def test_a_forgotten_storage_is_closed(path: Path) -> None:
    rounds = RoundStorage(url(path))
    rounds.create_new_study([optuna.study.StudyDirection.MAXIMIZE], "study")
    assert open_files(path.parent)
    del rounds
    gc.collect()
    assert not open_files(path.parent)


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("study.db", "study.artifacts"),
        ("study.v1", "study.v1.artifacts"),
        ("study.v1.db", "study.v1.artifacts"),
        ("study", "study.artifacts"),
        ("a.artifacts", "a.artifacts.artifacts"),
    ],
)
def test_artifacts_stand_beside_the_database(
    template: Path, tmp_path: Path, name: str, folder: str
) -> None:
    rounds = RoundStorage(url(Path(shutil.copy(template, tmp_path / name))))
    rounds.engine.dispose()
    assert rounds.folder == tmp_path.resolve() / folder
    assert rounds.folder.is_dir()


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("a b.db", "a b.db"),
        ("100%.db", "100%.db"),
        ("%%s.db", "%%s.db"),
        ("{0}{x}.db", "{0}{x}.db"),
        ("a#b&c=d.db", "a#b&c=d.db"),
        ("a%3Fb%25c.db", "a?b%c.db"),
        ("über 漢字.db", "über 漢字.db"),
        ("'quoted\".db", "'quoted\".db"),
        ("file:a.db", "file:a.db"),
    ],
)
def test_odd_file_names(template: Path, tmp_path: Path, written: str, name: str) -> None:
    shutil.copy(template, tmp_path / name)
    rounds = RoundStorage(f"sqlite:///{tmp_path}/{written}")
    rounds.create_new_study([optuna.study.StudyDirection.MAXIMIZE], "here")
    with pytest.raises(StorageError) as caught, rounds.transaction() as connection:
        connection.exec_driver_sql("SELECT nonsense")
    assert str(caught.value) == f"no such column: nonsense: {tmp_path.resolve() / name}"
    rounds.engine.dispose()
    assert sql(tmp_path / name, "SELECT study_name FROM studies") == [("here",)]
    assert {each.name for each in tmp_path.iterdir()} == {name, rounds.folder.name}


def test_odd_folder_names(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a?b#c%41 {d}"
    folder.mkdir()
    shutil.copy(template, folder / "a.db")
    monkeypatch.chdir(folder)
    rounds = RoundStorage("sqlite:///a.db")
    rounds.create_new_study([optuna.study.StudyDirection.MAXIMIZE], "here")
    rounds.engine.dispose()
    assert sql(folder / "a.db", "SELECT study_name FROM studies") == [("here",)]
    assert {each.name for each in tmp_path.iterdir()} == {folder.name}


# Files that are refused


def test_missing_folder(tmp_path: Path) -> None:
    path = tmp_path / "none" / "a.db"
    assert refusal(path) == f"the folder of the storage does not exist: {path.parent}"
    assert content(tmp_path) == {}


@pytest.mark.parametrize("text", [b"x", b"number,target\n1,2\n" * 100, b"SQLite format 3\0" * 9])
def test_not_a_database(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(text)
    assert refused_unchanged(path) == (
        f"this file is no SQLite database: {path}; choose another --storage"
    )


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "a.db").mkdir()
    assert "the database cannot be opened" in refused_unchanged(tmp_path / "a.db")


def test_an_endless_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="File name too long"):
        RoundStorage(url(tmp_path / ("x" * 300)))


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_another_programs_database(tmp_path: Path, journal: str) -> None:
    path = tmp_path / "places.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode={journal}")
        for name in ("visits", "bookmarks", "icons", "hosts"):
            connection.execute(f"CREATE TABLE {name} (x)")
        connection.commit()
    assert refused_unchanged(path) == (
        "this database belongs to another program (tables bookmarks, hosts, icons, …): "
        f"{path}; choose another --storage"
    )


def test_another_programs_database_in_use(tmp_path: Path) -> None:
    path = tmp_path / "places.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=wal")
        connection.execute("CREATE TABLE visits (x)")
        connection.commit()
        before = content(tmp_path)
        with pytest.raises(StorageError, match=r"another program \(tables visits\)"):
            RoundStorage(url(path))
        after = content(tmp_path)
    # The index of the log holds the marks of whoever reads.
    assert {**after, "places.db-shm": b""} == {**before, "places.db-shm": b""}


@pytest.mark.parametrize("revision", ["v2.6.0.a", "v99.0.0.a"])
def test_optunas_tables_of_another_version(path: Path, revision: str) -> None:
    sql(path, "UPDATE alembic_version SET version_num = ?", revision)
    message = refused_unchanged(path)
    assert message.startswith(f"{path} has Optuna's tables in version {revision}, but v3.2.0.a is")


def test_the_installed_optuna_is_the_one_we_know() -> None:
    assert revisions.installed() == revisions.KNOWN


@pytest.mark.parametrize("start", [100, 4096])
def test_corrupt(path: Path, start: int) -> None:
    corrupt(path, start)
    assert refused_unchanged(path) == (f"the database is corrupt: {path}; restore it from a copy")


def test_stock_optuna_accepts_our_file(path: Path) -> None:
    theirs = optuna.storages.RDBStorage(url(path))
    assert theirs.get_current_version() == theirs.get_head_version()
    theirs.scoped_session.remove()
    theirs.engine.dispose()


def test_a_file_of_stock_optuna_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    with stock_optuna(path) as theirs:
        study = optuna.create_study(storage=theirs, study_name="theirs")
        study.tell(study.ask(), 1.5)
    rounds = RoundStorage(url(path))
    (trial,) = rounds.get_all_trials(rounds.get_study_id_from_name("theirs"))
    rounds.engine.dispose()
    assert trial.value == 1.5


def test_a_file_of_stock_optuna_that_was_killed_in_a_commit(tmp_path: Path) -> None:
    """Its journal must be rolled back, which a read-only connection cannot do."""
    (tmp_path / "live").mkdir()
    path = tmp_path / "live" / "hpo.db"
    with stock_optuna(path) as theirs:
        study_id = theirs.create_new_study([optuna.study.StudyDirection.MINIMIZE], "theirs")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("BEGIN")
        for key in range(50):
            row = (study_id, str(key), "x" * 5000)
            columns = "(study_id, key, value_json)"
            connection.execute(f"INSERT INTO study_user_attributes {columns} VALUES (?, ?, ?)", row)
        shutil.copytree(tmp_path / "live", tmp_path / "killed")
    assert (tmp_path / "killed" / "hpo.db-journal").stat().st_size > 0
    rounds = RoundStorage(url(tmp_path / "killed" / "hpo.db"))
    assert rounds.get_study_user_attrs(rounds.get_study_id_from_name("theirs")) == {}
    rounds.engine.dispose()
    assert integrity(tmp_path / "killed" / "hpo.db") == "ok"


# Network file systems


def mounted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *mounts: str) -> None:
    """Let the system say that these are mounted, ``FOLDER KIND`` each, the first one first."""
    lines = []
    for number, mount in enumerate(mounts):
        folder, _, kind = mount.rpartition(" ")
        # A blank is written as the kernel does it; of optional fields there are any number.
        folder = folder.replace("\\", r"\134").replace(" ", r"\040")
        optional = ["", "shared:2 ", "shared:7 master:1 "][number % 3]
        lines.append(f"{30 + number} 1 0:{number} / {folder} rw {optional}- {kind} none rw,x=a-b")
    path = tmp_path / "mountinfo"
    path.write_bytes(os.fsencode("\n".join([*lines, ""])))
    monkeypatch.setattr("storage.sqlite.MOUNTS", path)


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "fuse.sshfs"])
def test_a_database_on_a_network_file_system_is_refused_before_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    mounted(monkeypatch, tmp_path, "/ ext4", f"{tmp_path}/net {kind}", "/proc proc")
    (tmp_path / "net").mkdir()
    path = tmp_path / "net" / "a.db"
    assert refused_unchanged(path) == (
        f"{path} lies on a network file system ({kind}), whose locks SQLite cannot rely on: "
        "use a local disk, or PostgreSQL or MySQL for a study that machines share"
    )
    RoundStorage(url(tmp_path / "here.db")).engine.dispose()


def test_a_database_that_came_to_a_network_file_system_is_left_as_it_is(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted(monkeypatch, tmp_path, "/ ext4", f"{path.parent} nfs4")
    assert "lies on a network file system (nfs4)" in refused_unchanged(path)


@pytest.mark.parametrize(
    ("mounts", "kind"),
    [
        ([], None),
        (["/ ext4"], None),
        (["/ nfs4"], "nfs4"),
        (["/ nfs4", "/data ext4"], None),
        (["/data ext4", "/ nfs4"], None),
        (["/ ext4", "/data nfs", "/data/a b xfs"], None),
        (["/ ext4", "/data xfs", "/data/a b cifs"], "cifs"),
        (["/ ext4", "/data nfs", "/data ext4"], None),
        (["/ ext4", "/data ext4", "/data nfs"], "nfs"),
        (["/ ext4", "/dat nfs", "/data/a nfs", "/data/a b/hpo nfs"], None),
        (["/ ext4", "/data/a b/ü nfs"], "nfs"),
        (["/ ext4", "/caf\udce9 nfs"], None),
        (["/ ext4", "/data/a\\b nfs"], None),
        (["/ ext4", "/data fuse"], None),
    ],
)
def test_the_innermost_mount_decides_and_of_two_on_one_folder_the_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mounts: list[str], kind: str | None
) -> None:
    mounted(monkeypatch, tmp_path, *mounts)
    assert network_system(Path("/data/a b/ü/hpo.db")) == kind


def test_a_mount_whose_name_is_no_text_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted(monkeypatch, tmp_path, "/ ext4", os.fsdecode(b"/caf\xe9 nfs"))
    assert network_system(Path(os.fsdecode(b"/caf\xe9/hpo.db"))) == "nfs"


def test_without_a_list_of_mounts_every_disk_is_a_local_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.sqlite.MOUNTS", tmp_path / "none")
    assert network_system(Path("/data/hpo.db")) is None
    (tmp_path / "odd").write_text("\n1 2 3\nnfs - nfs\n1 2 0:3 / /data rw nfs none rw\n")
    monkeypatch.setattr("storage.sqlite.MOUNTS", tmp_path / "odd")
    assert network_system(Path("/data/hpo.db")) is None


def test_a_read_only_file(shared: Path) -> None:
    shared.parent.chmod(0o777)
    shared.chmod(0o444)
    with as_nobody():
        message = refused_unchanged(shared)
    assert message == (
        f"the storage cannot be written: {shared}; check its permissions and its folder's"
    )


def test_a_read_only_folder(shared: Path) -> None:
    shared.chmod(0o666)
    shared.parent.chmod(0o555)
    with as_nobody():
        assert "the storage cannot be written" in refused_unchanged(shared)
        assert "the storage cannot be written" in refused_unchanged(shared.with_name("new.db"))


def test_a_file_that_cannot_be_read(shared: Path) -> None:
    shared.parent.chmod(0o777)
    shared.chmod(0o222)
    with as_nobody(), pytest.raises(StorageError, match="the database cannot be opened"):
        RoundStorage(url(shared))


# Calls that fail later. Each must leave the pool clean, so that the next call works.

Call = Callable[[RoundStorage, int], Any]


def ours(rounds: RoundStorage, _study_id: int) -> None:
    with rounds.transaction() as connection:
        connection.exec_driver_sql("CREATE TABLE blob AS SELECT randomblob(1000000) AS x")


def with_attribute(rounds: RoundStorage, study_id: int) -> None:
    rounds.set_study_user_attr(study_id, "key", "x" * 1_000_000)


def with_new_study(rounds: RoundStorage, _study_id: int) -> None:
    optuna.create_study(storage=rounds, study_name="y" * 1_000_000, load_if_exists=True)


def with_new_trial(rounds: RoundStorage, study_id: int) -> None:
    trial = optuna.trial.create_trial(value=1.0, user_attrs={"key": "x" * 1_000_000})
    rounds.create_new_trial(study_id, trial)


def with_reading(rounds: RoundStorage, study_id: int) -> None:
    rounds.get_study_user_attrs(study_id)


WRITING = [ours, with_attribute, with_new_study, with_new_trial]


def failure(call: Call, rounds: RoundStorage, study_id: int) -> str:
    return error_line(lambda: call(rounds, study_id))


@pytest.mark.parametrize("call", [*WRITING, with_reading])
def test_locked_for_too_long(path: Path, monkeypatch: pytest.MonkeyPatch, call: Call) -> None:
    monkeypatch.setattr("storage.sqlite.BUSY_SECONDS", 0.05)
    rounds = RoundStorage(url(path))
    study_id = rounds.create_new_study([optuna.study.StudyDirection.MAXIMIZE], "study")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert failure(call, rounds, study_id) == (
            f"the database is locked by another process: {path}; try again when it has finished"
        )
        assert "locked by another process" in error_line(lambda: RoundStorage(url(path)))
        other.execute("ROLLBACK")
        call(rounds, study_id)
        other.execute("PRAGMA busy_timeout = 0")
        other.execute("BEGIN IMMEDIATE")  # nothing of ours is left open
    rounds.engine.dispose()


def test_a_locked_table_lock_is_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from storage.locks import file_lock

    monkeypatch.setattr("storage.sqlite.BUSY_SECONDS", 0.05)
    with (
        file_lock(path.with_suffix(".artifacts"), "tables", 0),
        pytest.raises(StorageError, match=r"another process holds .*tables\.lock"),
    ):
        RoundStorage(url(path))


@pytest.mark.parametrize("call", WRITING)
def test_disk_full(rounds: RoundStorage, path: Path, study_id: int, call: Call) -> None:
    rounds.engine.dispose()

    @event.listens_for(rounds.engine, "connect")
    def limit(connection: sqlite3.Connection, _record: object) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + 2}")

    for _ in range(2):
        assert failure(call, rounds, study_id) == (
            f"disk full: {path}; make room and run the same command again"
        )
    event.remove(rounds.engine, "connect", limit)
    rounds.engine.dispose()
    assert sql(path, "SELECT study_name FROM studies") == [("study",)]
    assert sql(path, "SELECT * FROM trials") == []
    call(rounds, study_id)


@pytest.mark.parametrize("call", WRITING)
def test_no_longer_writable(rounds: RoundStorage, study_id: int, call: Call) -> None:
    rounds.engine.dispose()

    @event.listens_for(rounds.engine, "connect")
    def forbid(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA query_only = ON")

    assert "the storage cannot be written" in failure(call, rounds, study_id)


@pytest.mark.parametrize("call", [*WRITING, with_reading])
def test_corrupt_while_in_use(rounds: RoundStorage, path: Path, study_id: int, call: Call) -> None:
    rounds.engine.dispose()
    corrupt(path)
    assert "the database is corrupt" in failure(call, rounds, study_id)


def test_the_file_is_gone_and_its_folder_too(
    rounds: RoundStorage, path: Path, study_id: int
) -> None:
    rounds.engine.dispose()
    shutil.rmtree(path.parent)
    assert "the database cannot be opened" in failure(with_reading, rounds, study_id)
    assert "the database cannot be opened" in failure(ours, rounds, study_id)


def test_a_dashboard_that_writes_meanwhile_does_not_disturb(
    rounds: RoundStorage, path: Path, study_id: int
) -> None:
    """A deferred transaction that reads, and writes after another's commit, would fail at once."""
    refused = []

    @event.listens_for(rounds.engine, "after_cursor_execute")
    def write_in_between(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("SELECT"):
            try:
                sql(path, "INSERT INTO studies (study_name) VALUES (hex(randomblob(9)))")
            except sqlite3.OperationalError as error:
                refused.append(str(error))

    rounds.set_study_user_attr(study_id, "key", 1)
    rounds.create_new_trial(study_id)
    rounds.set_study_system_attr(study_id, "key", 2)
    optuna.create_study(storage=rounds, study_name="other")
    event.remove(rounds.engine, "after_cursor_execute", write_in_between)
    assert set(refused) == {"database is locked"}
    assert rounds.get_study_user_attrs(study_id) == {"key": 1}


def test_duplicates_are_still_optunas_to_see(rounds: RoundStorage, study_id: int) -> None:
    with pytest.raises(optuna.exceptions.DuplicatedStudyError):
        optuna.create_study(storage=rounds, study_name="study")
    assert optuna.load_study(storage=rounds, study_name="study")._study_id == study_id


# Transactions


def test_a_transaction_is_rolled_back(rounds: RoundStorage, path: Path) -> None:
    with pytest.raises(StorageError, match="no such table"), rounds.transaction() as connection:
        create_and_read(connection, "nonsense")
    assert "t" not in schema(path)


def create_and_read(connection: sa.Connection, table: str) -> None:
    connection.exec_driver_sql("CREATE TABLE t (x)")
    connection.exec_driver_sql(f"SELECT * FROM {table}")


def create_and_raise(connection: sa.Connection, error: type[BaseException]) -> None:
    connection.exec_driver_sql("CREATE TABLE t (x)")
    raise error


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_errors_and_interrupts_roll_back(
    rounds: RoundStorage, path: Path, error: type[BaseException]
) -> None:
    with pytest.raises(error), rounds.transaction() as connection:
        create_and_raise(connection, error)
    assert "t" not in schema(path)
    with rounds.transaction() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
    assert "t" in schema(path)


def test_a_transaction_holds_the_database_from_its_begin(rounds: RoundStorage, path: Path) -> None:
    with rounds.transaction(), pytest.raises(sqlite3.OperationalError, match="locked"):
        sql(path, "INSERT INTO studies (study_name) VALUES ('theirs')")


def test_what_a_reader_sees_stays(rounds: RoundStorage, path: Path) -> None:
    count = sa.text("SELECT count(*) FROM studies")
    with rounds.reading() as connection:
        assert connection.execute(count).scalar() == 0
        sql(path, "INSERT INTO studies (study_name) VALUES ('theirs')")
        assert connection.execute(count).scalar() == 0
    with rounds.reading() as connection:
        assert connection.execute(count).scalar() == 1


def test_savepoints_work(rounds: RoundStorage, path: Path) -> None:
    with rounds.transaction() as connection:
        connection.exec_driver_sql("CREATE TABLE kept (x)")
        with connection.begin_nested() as nested:
            connection.exec_driver_sql("CREATE TABLE dropped (x)")
            nested.rollback()
    assert {"kept", "dropped"} & set(schema(path)) == {"kept"}


# Words


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "disk full: /p; make room"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "disk full: /p; make room"),
        (OSError(errno.EROFS, "Read-only file system"), "the storage cannot be written: /p"),
        (PermissionError(errno.EACCES, "Permission denied", "/full/locked"), "the storage cannot"),
        (OSError(errno.EIO, "Input/output error", "/full/locked"), "Input/output error: /p"),
        (OSError("odd"), "odd: /p"),
        (OSError(), "OSError: /p"),
        (sqlite3.OperationalError("no such table: full"), "no such table: full: /p"),
        (sqlite3.ProgrammingError("first\nsecond"), "first: /p"),
    ],
)
def test_causes_in_words(error: Exception, line: str) -> None:
    assert explain(error, Path("/p")).startswith(line)
    with pytest.raises(StorageError) as caught, explained(Path("/p")):
        raise error
    assert str(caught.value).startswith(line)
    assert caught.value.__cause__ is error


def test_the_first_cause_counts() -> None:
    wrapped = optuna.exceptions.StorageInternalError("exceeding max length")
    wrapped.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(StorageError, match=r"^disk full: /p"), explained(Path("/p")):
        raise wrapped


def test_other_errors_pass() -> None:
    with pytest.raises(ZeroDivisionError), explained(Path("/p")):
        raise ZeroDivisionError
    with pytest.raises(StorageError, match=r"^as it was$"), explained(Path("/p")):
        raise StorageError("as it was")
