"""Disks and databases that fail the whole command: its code, its one line, and how it goes on."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.killing import (
    COMMAND,
    Calm,
    Died,
    Fault,
    Helper,
    check_finished,
    copied,
    is_stopped,
    undisturbed,
    wait_until,
)
from tests.faults.looking import KEEP, check_interrupted, look, said_in_one_line
from tests.faults.test_stages import EPOCH, RENAME
from tests.faults.test_statements import PATIENCE, Record, report
from tests.storage.damaging import corrupt, flip, link, truncate
from tests.storage.looking import NOBODY, content, sql

BUSY = {"storage.sqlite:BUSY_SECONDS": 0.1}
FULL = "disk full: {}; make room and run the same command again"


def check_refused(ran: Died, line: str) -> None:
    """Check that a run ended with 4 and this one line."""
    assert (ran.code, said_in_one_line(ran), ran.out) == (4, f"hpo: {line}", "")


@pytest.fixture
def begun(helper: Helper, calm: Calm, tmp_path: Path) -> Path:
    """The folder of a search that was killed in its second round; its first is complete."""
    return killed_in_the_second_round(helper, calm, tmp_path / "begun")


def killed_in_the_second_round(helper: Helper, calm: Calm, folder: Path) -> Path:
    copied(calm.template, folder)
    assert helper.run(folder, fault=Fault("kill", EPOCH, 3)).code == -signal.SIGKILL
    assert check_interrupted(look(folder), calm.study) == 3
    # The log is put into the database, so that this is the one file that tests may damage.
    sql(folder / "hpo.db", "PRAGMA wal_checkpoint(TRUNCATE)")
    return folder


# Full disks


LARGER = (
    "search", "iris", "--trials", "30", "--rounds", "3", "--hidden", "3", "--epochs", "16",
    "--keep", str(KEEP), "--workers", "1", "--json",
)  # fmt: skip
"""Takes some pages more than the empty tables do."""


@pytest.fixture(scope="module")
def larger(helper: Helper, tmp_path_factory: pytest.TempPathFactory) -> Calm:
    """What an undisturbed run of the larger search leaves."""
    return undisturbed(helper, tmp_path_factory.mktemp("larger"), *LARGER)


def test_the_database_may_be_full_at_any_page_and_goes_on_when_there_is_room(
    helper: Helper, larger: Calm, tmp_path: Path, record_property: Record
) -> None:
    ((pages,),) = sql(larger.template / "hpo.db", "PRAGMA page_count")
    recorded: list[int] = []
    while True:
        folder = copied(larger.template, tmp_path / str(pages))
        ran = helper.run(folder, *LARGER, pages=pages)
        if ran.code == 0:
            break
        check_refused(ran, FULL.format(folder / "hpo.db"))
        recorded.append(check_interrupted(look(folder), larger.study))
        check_finished(folder, helper.run(folder, *LARGER), larger)
        pages += 1
    check_finished(folder, ran, larger)
    report(record_property, "pages at which the disk was full", len(recorded), 5)
    assert set(recorded) == {10, 20}


def test_the_disk_may_be_full_while_tables_are_created(
    helper: Helper, calm: Calm, tmp_path: Path
) -> None:
    for pages in (1, 20, 40):
        folder = copied(None, tmp_path / str(pages))
        check_refused(helper.run(folder, pages=pages), FULL.format(folder / "hpo.db"))
        check_finished(folder, helper.run(folder), calm)


@pytest.mark.parametrize("call", ["os:fsync", RENAME])
def test_a_disk_that_is_full_for_artifacts_leaves_no_trial_without_its_file(
    helper: Helper, calm: Calm, tmp_path: Path, call: str
) -> None:
    recorded: list[int] = []
    while True:
        at = len(recorded) + 1
        folder = copied(calm.template, tmp_path / str(at))
        ran = helper.run(folder, fault=Fault("disk full", call, at))
        if ran.code == 0:
            break
        check_refused(ran, FULL.format(folder / "hpo.artifacts"))
        assert not list(folder.glob("hpo.artifacts/.new-*")), "half a file is left"
        recorded.append(check_interrupted(look(folder), calm.study))
        check_finished(folder, helper.run(folder), calm)
    check_finished(folder, ran, calm)
    # Complete are the trials of the rounds before, and all when the winner's model is stored.
    assert set(recorded) == {0, 3, 6, 7}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a file system in memory of this size, or gives it another one."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = False

    def mount(size: str) -> Path:
        nonlocal mounted
        options = (
            ["-o", f"remount,size={size}"] if mounted else ["-t", "tmpfs", "-o", f"size={size}"]
        )
        done = subprocess.run(
            ["mount", *options, *([] if mounted else ["tmpfs"]), str(place)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode and not mounted:
            pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr
        mounted = True
        return place

    yield mount
    if mounted:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.skipif(shutil.which("mount") is None, reason="there is no mount")
def test_a_database_on_a_disk_that_is_really_full_goes_on_when_there_is_room(
    helper: Helper, larger: Calm, small_disk: Callable[[str], Path]
) -> None:
    kilobytes = 16
    disk = small_disk(f"{kilobytes}k")
    recorded: list[int] = []
    while (ran := helper.run(disk, *LARGER, values=PATIENCE)).code:
        assert ran.code == 4, ran
        line = said_in_one_line(ran)
        assert line.startswith("hpo: disk full: "), line
        assert str(disk) in line
        kilobytes += 32
        small_disk(f"{kilobytes}k")
        # To read it takes a little room too, for the index of the log.
        recorded.append(check_interrupted(look(disk), larger.study))
    check_finished(disk, ran, larger)
    assert len(recorded) > 10
    assert recorded == sorted(recorded)
    assert {0, 10} <= set(recorded)


@pytest.mark.skipif(shutil.which("mount") is None, reason="there is no mount")
def test_artifacts_on_a_disk_that_is_really_full_go_on_when_there_is_room(
    helper: Helper, calm: Calm, tmp_path: Path, small_disk: Callable[[str], Path]
) -> None:
    disk = small_disk("8k")
    folder = copied(calm.template, tmp_path / "run")
    command = (*COMMAND, "--artifacts", str(disk / "networks"))
    failed = helper.run(folder, *command)
    check_refused(failed, FULL.format(disk / "networks"))
    assert list((disk / "networks").iterdir()) == []
    assert check_interrupted(look(folder, disk / "networks"), calm.study) == 0
    small_disk("1m")
    check_finished(folder, helper.run(folder, *command), calm, disk / "networks")


# Databases that cannot be used


@pytest.fixture
def shared(helper: Helper, calm: Calm, open_folder: Path) -> Iterator[Path]:
    """A begun search in a folder that others reach."""
    folder = killed_in_the_second_round(helper, calm, open_folder / "begun")
    yield folder
    folder.chmod(0o755)


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_search_refuses_what_it_cannot_write_to_before_it_trains(
    helper: Helper, calm: Calm, shared: Path, what: str
) -> None:
    user = NOBODY if os.geteuid() == 0 else None
    for path in (*shared.rglob("*"), shared):
        path.chmod(0o777)
    (shared / "hpo.db" if what == "file" else shared).chmod(0o555)
    before = content(shared)
    refused = helper.run(shared, user=user, fault=Fault("kill", EPOCH))
    check_refused(
        refused,
        f"the storage cannot be written: {shared / 'hpo.db'}; "
        "check its permissions and its folder's",
    )
    assert content(shared) == before
    shared.chmod(0o777)
    (shared / "hpo.db").chmod(0o777)
    check_finished(shared, helper.run(shared), calm)


def make_foreign(path: Path) -> None:
    path.unlink()
    sql(path, "CREATE TABLE birds (name)")


def of_a_newer_hpo(path: Path) -> None:
    sql(path, "UPDATE hpo_alembic_version SET version_num = '9999'")
    sql(path, "PRAGMA wal_checkpoint(TRUNCATE)")


def of_another_optuna(path: Path) -> None:
    sql(path, "UPDATE alembic_version SET version_num = 'v99.0.0.a'")
    sql(path, "PRAGMA wal_checkpoint(TRUNCATE)")


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (corrupt, "the database is corrupt: {}; restore it from a copy"),
        (
            make_foreign,
            "this database belongs to another program (tables birds): {}; choose another --storage",
        ),
        (
            of_a_newer_hpo,
            "the database was written by a newer version of hpo (schema 9999): upgrade hpo",
        ),
        (
            of_another_optuna,
            (
                "{} has Optuna's tables in version v99.0.0.a, but v3.2.0.a is needed: "
                "use the version of Optuna that made it, or choose another --storage"
            ),
        ),
    ],
)
def test_a_search_changes_nothing_in_a_database_that_it_cannot_use(
    helper: Helper, calm: Calm, begun: Path, damage: Callable[[Path], None], line: str
) -> None:
    path = begun / "hpo.db"
    good = path.read_bytes()
    damage(path)
    before = content(begun)
    refused = helper.run(begun, fault=Fault("kill", EPOCH))
    check_refused(refused, line.format(path))
    assert {**content(begun), "hpo.db-shm": b""} == {**before, "hpo.db-shm": b""}
    for left in begun.glob("hpo.db*"):
        left.unlink()
    path.write_bytes(good)
    check_finished(begun, helper.run(begun), calm)


def test_a_database_that_becomes_corrupt_while_it_trains_ends_the_search(
    helper: Helper, calm: Calm, begun: Path
) -> None:
    path = begun / "hpo.db"
    good = path.read_bytes()
    pid = helper.start(begun, fault=Fault("stop", EPOCH, 1))
    wait_until(lambda: is_stopped(pid), "it trains")
    sql(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    corrupt(path)
    os.kill(pid, signal.SIGCONT)
    check_refused(helper.wait(pid), f"the database is corrupt: {path}; restore it from a copy")
    for left in begun.glob("hpo.db*"):
        left.unlink()
    path.write_bytes(good)
    check_finished(begun, helper.run(begun), calm)


# Locks


def test_a_database_that_is_locked_for_a_while_is_waited_for(
    helper: Helper, calm: Calm, begun: Path
) -> None:
    with closing(sqlite3.connect(begun / "hpo.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        pid = helper.start(begun)
        # It cannot end before the lock does.
        time.sleep(0.5)
        assert check_interrupted(look(begun), calm.study) == 3
        other.execute("ROLLBACK")
        check_finished(begun, helper.wait(pid), calm)


def test_a_database_that_stays_locked_ends_the_search_with_4(
    helper: Helper, calm: Calm, begun: Path
) -> None:
    with closing(sqlite3.connect(begun / "hpo.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        check_refused(
            helper.run(begun, values=BUSY),
            f"the database is locked by another process: {begun / 'hpo.db'}; "
            "try again when it has finished",
        )
    assert check_interrupted(look(begun), calm.study) == 3
    check_finished(begun, helper.run(begun), calm)


def test_a_lock_that_another_program_takes_while_it_trains_and_keeps_loses_no_result(
    helper: Helper, calm: Calm, begun: Path
) -> None:
    pid = helper.start(begun, fault=Fault("stop", EPOCH, 1), values=BUSY)
    wait_until(lambda: is_stopped(pid), "it trains")
    with closing(sqlite3.connect(begun / "hpo.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        os.kill(pid, signal.SIGCONT)
        check_refused(
            helper.wait(pid),
            f"the database is locked by another process: {begun / 'hpo.db'}; "
            "try again when it has finished",
        )
    assert check_interrupted(look(begun), calm.study) == 3
    check_finished(begun, helper.run(begun), calm)


# Artifacts that are not what they were


@pytest.mark.parametrize(
    ("damage", "suffix", "complaint"),
    [
        (Path.unlink, ".npz", "{path} is missing"),
        (Path.unlink, ".json", "{path} is missing"),
        (truncate, ".npz", "{path} or its .json was changed or damaged after it was saved"),
        (flip, ".npz", "{path} or its .json was changed or damaged after it was saved"),
        (link, ".npz", "{path} is a link, or no file at all"),
    ],
)
def test_a_damaged_network_of_the_winner_ends_with_6_naming_trial_and_file(
    helper: Helper,
    calm: Calm,
    tmp_path: Path,
    damage: Callable[[Path], None],
    suffix: str,
    complaint: str,
) -> None:
    folder = copied(calm.template, tmp_path / "run")
    check_finished(folder, helper.run(folder), calm)
    winner = calm.document["best"]["trial"]
    ((digest,),) = sql(
        folder / "hpo.db", "SELECT digest FROM hpo_selections WHERE number = ?", winner
    )
    path = folder / "hpo.artifacts" / f"{digest}{suffix}"
    good = path.read_bytes()
    damage(path)
    refused = helper.run(folder)
    says = complaint.format(path=path)
    assert (refused.code, said_in_one_line(refused)) == (6, f"hpo: trial {winner}: {says}")
    assert refused.out == ""
    path.unlink(missing_ok=True)
    path.write_bytes(good)
    check_finished(folder, helper.run(folder), calm)
