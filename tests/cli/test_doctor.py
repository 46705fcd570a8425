"""``hpo doctor``: what is well with a storage and what is not, and what ``--repair`` does."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import optuna
import pytest

from hpo import __version__
from storage import leases, migrations, schema
from storage.artifacts import Artifact, ArtifactFolder, Stored
from storage.records import Owner
from storage.trials import RoundStorage
from tests.filling import age
from tests.running import QUICK, Hpo
from tests.storage.databases import Database
from tests.storage.looking import content, sql


@pytest.fixture
def path(two_searches: Path, tmp_path: Path) -> Path:
    """The database of both, with its networks beside it."""
    shutil.copytree(two_searches, tmp_path, dirs_exist_ok=True)
    return tmp_path / "hpo.db"


@pytest.fixture(scope="module")
def dead() -> Owner:
    """A search of this machine whose process is gone."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return leases.this_process()._replace(uid="d" * 32, pid=process.pid)


def uid_of(database: Database | Path, study: str) -> str:
    query = (
        "SELECT value_json FROM study_user_attributes a JOIN studies s "
        "ON a.study_id = s.study_id WHERE a.key = 'hpo:experiment' AND s.study_name = ?"
    )
    rows = sql(database, query, study) if isinstance(database, Path) else database.sql(query, study)
    return str(json.loads(rows[0][0]))


def let_run(url: str, study: str, owner: Owner, numbers: tuple[int, ...]) -> None:
    """Let trials of a study run, claimed by ``owner``, as if they had never been finished."""
    rounds = RoundStorage(url)
    study_id = rounds.get_study_id_from_name(study)
    uid = rounds.get_study_user_attrs(study_id)["hpo:experiment"]
    ids = {each.number: each._trial_id for each in rounds.get_all_trials(study_id)}
    rows = [
        {"experiment": uid, "number": number, "owner": owner.uid, "trial_id": ids[number]}
        for number in numbers
    ]
    with rounds.transaction() as connection:
        leases.beat(connection, uid, owner)
        connection.execute(schema.claims.insert(), rows)
        run = "UPDATE trials SET state = 'RUNNING' WHERE trial_id = {trial_id}"
        for row in rows:
            connection.exec_driver_sql(run.format(**row))
    rounds.close()


def states(database: Database, study: str) -> list[str]:
    return [each["state"] for _, each in sorted(database.stored_trials(study).items())]


# A storage that is well


def test_a_storage_that_is_well(hpo: Hpo, path: Path) -> None:
    before = content(path.parent)
    ran = hpo("doctor")
    assert ran.code == 0
    assert ran.err == ""
    lines = ran.out.splitlines()
    assert lines[0].startswith(f"hpo {__version__}, Python {platform.python_version()}, ")
    assert lines[1].startswith(f"NumPy {np.__version__}, ")
    assert f"Optuna {optuna.__version__}" in lines[2]
    assert lines[5].startswith(f"storage: {path}, ")
    assert ", wal journal, " in lines[5]
    assert lines[6:8] == [
        f"tables: Optuna's v3.2.0.a, hpo's {migrations.HEAD}",
        "checks: integrity and foreign keys are in order",
    ]
    assert lines[8] == "searches: none is running"
    n_bytes = sum(each.stat().st_size for each in (path.parent / "hpo.artifacts").glob("*.*[nz]"))
    assert lines[9] == f"networks: 8 networks in {path.parent / 'hpo.artifacts'}, {kb(n_bytes)}"
    assert lines[10:] == ["all is well"]
    assert content(path.parent) == before


def kb(n_bytes: int) -> str:
    return f"{n_bytes / 1000:.1f} kB"


def test_the_document(hpo: Hpo, path: Path) -> None:
    document = hpo("doctor", "--json").document
    assert document["healthy"] is True
    assert document["error"] is None
    for name in ("searches", "unheld", "deleted", "lost", "damage", "notes"):
        assert document[name] == []
    assert document["repaired"] is None
    versions = document["versions"]
    assert versions["numpy"] == np.__version__
    assert versions["sqlalchemy"] == importlib.metadata.version("sqlalchemy")
    assert versions["blas"][0]["threads"] >= 1
    for name, version in versions["drivers"].items():
        assert importlib.metadata.version(name) == version
    storage = document["storage"]
    assert (storage["kind"], storage["place"]) == ("sqlite", str(path))
    assert (storage["hpo_tables"], storage["journal"]) == (migrations.HEAD, "wal")
    assert storage["bytes"] == path.stat().st_size
    assert storage["free"] > 0
    assert [(each["networks"], each["unreferenced"]) for each in document["networks"]] == [(8, 0)]


def test_every_kind_of_database(hpo: Hpo, database: Database) -> None:
    place = ("--storage", database.url)
    hpo("search", "iris", *QUICK, *place, "--artifacts", "networks")
    ran = hpo("doctor", *place)
    assert ran.code == 0
    assert "networks: 4 networks in " in ran.out
    assert ran.out.splitlines()[-1] == "all is well"
    storage = hpo("doctor", *place, "--json").document["storage"]
    version = database.sql(f"SELECT {'sqlite_' * (database.kind == 'sqlite')}version()")[0][0]
    assert storage["version"] == version
    assert storage["kind"] == database.kind


# Searches


def test_a_dead_search_is_shown_and_its_trials_wait_again_when_asked(
    hpo: Hpo, database: Database, dead: Owner
) -> None:
    place = ("--storage", database.url)
    hpo("search", "iris", *QUICK, *place, "--artifacts", "networks")
    hpo("search", "wine", *QUICK, *place, "--artifacts", "networks")
    let_run(database.url, "iris", dead, (1, 3))
    living = leases.this_process()
    let_run(database.url, "iris", living, (2,))
    ran = hpo("doctor", *place)
    assert ran.code == 0
    where = f"process {dead.pid} on {dead.host}"
    told = rf"search: iris, {re.escape(where)}, 2 trials, heard \d s ago, dead\n"
    assert re.search(told, ran.out)
    assert f"search: iris, process {living.pid} on {living.host}, 1 trial, " in ran.out
    assert ", alive\n" in ran.out
    assert ran.out.splitlines()[-1] == (
        f"note: a search of study 'iris' is dead ({where}) and holds 2 trials: the study's next "
        "search, or --repair, lets them wait again"
    )
    assert states(database, "iris") == ["COMPLETE", "RUNNING", "RUNNING", "RUNNING"]
    ran = hpo("doctor", "--repair", *place)
    assert ran.code == 0
    assert "repaired: 2 trials of study 'iris' wait again (1 dead search)\nall is well\n" in ran.out
    assert states(database, "iris") == ["COMPLETE", "WAITING", "RUNNING", "WAITING"]
    assert states(database, "wine") == ["COMPLETE"] * 4
    assert database.sql("SELECT uid FROM hpo_owners") == [(living.uid,)]
    assert database.sql("SELECT number FROM hpo_claims") == [(2,)]
    again = hpo("doctor", "--repair", *place)
    assert "repaired: nothing, no search is dead\nall is well\n" in again.out


def test_running_trials_that_nobody_holds(hpo: Hpo, path: Path) -> None:
    sql(path, "UPDATE trials SET state = 'RUNNING' WHERE study_id = 1 AND number IN (0, 2)")
    document = hpo("doctor", "--json").document
    assert document["unheld"] == [{"study": "iris", "trials": [0, 2]}]
    assert document["healthy"] is False
    assert hpo("doctor").out.splitlines()[-1] == (
        "note: nobody holds 2 running trials of study 'iris': its next search, or --repair, "
        "lets them wait again"
    )
    document = hpo("doctor", "--repair", "--json").document
    assert document["repaired"] == [{"study": "iris", "searches": 0, "trials": 2}]
    assert (document["unheld"], document["healthy"]) == ([], True)
    waiting = sql(path, "SELECT number FROM trials WHERE state = 'WAITING'")
    assert waiting == [(0,), (2,)]


def test_running_trials_of_other_programs_are_left_to_them(hpo: Hpo, path: Path) -> None:
    rounds = RoundStorage(f"sqlite:///{path}")
    optuna.create_study(storage=rounds, study_name="theirs").ask()
    rounds.close()
    assert hpo("doctor", "--repair", "--json").document["repaired"] == []
    assert sql(path, "SELECT count(*) FROM trials WHERE state = 'RUNNING'") == [(1,)]


# Files


def test_networks_that_are_missing_damaged_or_replaced(hpo: Hpo, path: Path) -> None:
    folder = path.parent / "hpo.artifacts"
    query = "SELECT digest FROM hpo_artifacts WHERE experiment = ? ORDER BY number"
    digests = [row[0] for row in sql(path, query, uid_of(path, "iris"))]
    for suffix in (".npz", ".json"):
        (folder / f"{digests[0]}{suffix}").unlink()
    (folder / f"{digests[1]}.json").unlink()
    with (folder / f"{digests[2]}.npz").open("ab") as file:
        file.write(b"x")
    target = path.parent / "target"
    (folder / f"{digests[3]}.npz").rename(target)
    (folder / f"{digests[3]}.npz").symlink_to(target)
    before = content(path.parent)
    problems = [
        f"{digests[0]} is missing",
        f"{folder / digests[1]}.json is missing",
        f"{folder / digests[2]}.npz or its .json was changed or damaged after it was saved",
        f"{folder / digests[3]}.npz is a link, or no file at all",
    ]
    ran = hpo("doctor")
    assert ran.code == 0, "the database itself is well"
    assert ran.out.splitlines()[-4:] == [
        f"note: study 'iris', trial {trial}: {problem}; restore it from a copy"
        for trial, problem in enumerate(problems)
    ]
    assert [each["trial"] for each in hpo("doctor", "--json").document["lost"]] == [0, 1, 2, 3]
    assert content(path.parent) == before


def test_networks_in_another_folder_are_found_where_the_option_says(
    hpo: Hpo, path: Path, tmp_path: Path
) -> None:
    (tmp_path / "hpo.artifacts").rename(tmp_path / "moved")
    assert len(hpo("doctor", "--json").document["lost"]) == 8
    document = hpo("doctor", "--json", "--artifacts", "moved").document
    assert document["lost"] == []
    assert document["healthy"] is True


def test_networks_that_nobody_refers_to_and_a_study_that_was_deleted(hpo: Hpo, path: Path) -> None:
    folder = path.parent / "hpo.artifacts"
    for uid in (uid_of(path, "iris"), "e" * 32):
        text = json.dumps({"trial": {"experiment": uid}})
        ArtifactFolder(folder).save(Artifact(b"", text.encode()))
    rounds = RoundStorage(f"sqlite:///{path}")
    optuna.delete_study(study_name="wine", storage=rounds)
    rounds.close()
    (young,) = hpo("doctor", "--json").document["networks"]
    assert (young["networks"], young["unreferenced"], young["unknown"]) == (10, 0, 1)
    age(folder)
    document = hpo("doctor", "--json").document
    assert [(each["source"]) for each in document["deleted"]] == ["wine"]
    assert (document["networks"][0]["unreferenced"], document["networks"][0]["unknown"]) == (5, 1)
    *_, line, first, second = hpo("doctor").out.splitlines()
    assert line.startswith(f"networks: 10 networks in {folder}, ")
    assert line.endswith(" kB, 1 of studies that this storage does not know")
    assert first.startswith("note: a study of wine, made 20")
    assert first.endswith("was deleted, and its rows are still there: hpo gc removes them")
    assert second == f"note: nobody refers to 5 networks in {folder}: hpo gc removes them"
    hpo("gc")
    assert hpo("doctor", "--json").document["healthy"] is True


def test_a_network_that_a_search_removes_meanwhile_is_not_lost(
    hpo: Hpo, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fell out of the best between the look at the tables and that at the files."""
    uid = uid_of(path, "iris")
    (digest,) = sql(path, "SELECT digest FROM hpo_artifacts WHERE experiment = ? LIMIT 1", uid)[0]
    stored = ArtifactFolder.stored

    def interleaved(artifacts: ArtifactFolder) -> list[Stored]:
        sql(path, "DELETE FROM hpo_artifacts WHERE digest = ?", digest)
        artifacts.delete(digest)
        return stored(artifacts)

    monkeypatch.setattr(ArtifactFolder, "stored", interleaved)
    assert hpo("doctor", "--json").document["lost"] == []


# Damage


def test_a_row_that_refers_to_nothing_is_damage(hpo: Hpo, path: Path) -> None:
    sql(path, "DELETE FROM studies WHERE study_name = 'iris'")
    ran = hpo("doctor")
    assert ran.code == 4
    assert ran.err.startswith("hpo: the database is damaged: foreign keys: ")
    assert ran.err.count("\n") == 1
    assert "\ndamage: foreign keys: 4 rows of trials refer to rows that are not there\n" in ran.out
    assert "all is well" not in ran.out
    document = hpo("doctor", "--json").document
    assert document["healthy"] is False
    assert document["damage"]


def test_a_corrupt_file_is_damage_and_is_not_repaired(hpo: Hpo, path: Path) -> None:
    (root,) = sql(path, "SELECT rootpage FROM sqlite_master WHERE name = 'trials'")[0]
    (size,) = sql(path, "PRAGMA page_size")[0]
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * 200)
    before = content(path.parent)
    ran = hpo("doctor", "--repair")
    assert ran.code == 4
    assert ran.err.startswith("hpo: the database is damaged: ")
    assert ran.err.endswith("; restore it from a copy\n")
    assert ran.err.count("\n") == 1
    assert "\ndamage: " in ran.out
    assert content(path.parent) == before


@pytest.mark.parametrize("as_json", [False, True])
def test_a_storage_that_cannot_be_reached_still_tells_the_versions(
    hpo: Hpo, tmp_path: Path, as_json: bool
) -> None:
    url = "mysql://me:hush-hush@127.0.0.1:9/x"
    for place in (("--storage", url), ()):  # a server that is not there, and a file
        ran = hpo("doctor", *place, *(["--json"] * as_json))
        assert ran.code == 4
        assert ran.err.count("\n") == 1
        assert platform.python_version() in ran.out
        assert "hush" not in ran.out + ran.err
        if as_json:
            assert ran.err == f"hpo: {ran.document['error']}\n"
            assert ran.document["healthy"] is False
    assert list(tmp_path.iterdir()) == []


# Versions and room


@pytest.mark.parametrize(
    ("table", "version", "says"),
    [
        ("hpo_alembic_version", "0001", "a search makes them version"),
        ("hpo_alembic_version", "9999", "newer than this hpo: upgrade hpo"),
        ("alembic_version", "v9.9.9", "use the version that made them"),
    ],
)
def test_tables_of_another_version_are_a_note(
    hpo: Hpo, path: Path, table: str, version: str, says: str
) -> None:
    sql(path, f"UPDATE {table} SET version_num = ?", version)
    before = content(path.parent)
    ran = hpo("doctor")
    assert ran.code == 0
    (note,) = (line for line in ran.out.splitlines() if line.startswith("note: "))
    assert version in note
    assert says in note
    assert content(path.parent) == before


def test_a_disk_that_is_nearly_full_is_a_note(
    hpo: Hpo, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpo.health.LITTLE_ROOM", 1 << 62)
    assert hpo("doctor").out.splitlines()[-1] == (
        "note: the disk is nearly full: make room before the next search"
    )


def test_a_network_file_system_is_a_note(
    hpo: Hpo, path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 2 0:1 / {tmp_path} rw - nfs4 server:/data rw\n")
    monkeypatch.setattr("storage.sqlite.MOUNTS", mounts)
    assert "note: the file lies on a network file system (nfs4), " in hpo("doctor").out


@pytest.mark.parametrize("width", [40, 80])
def test_no_line_is_wider_than_the_terminal_but_for_paths(
    hpo: Hpo, path: Path, dead: Owner, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    let_run(f"sqlite:///{path}", "iris", dead, (1, 3))
    monkeypatch.setenv("COLUMNS", str(width))
    lines = hpo("doctor").out.splitlines()
    assert all(len(line) <= width or line.count(" ") <= 5 for line in lines), "but for long words"
    assert sum(line.startswith("note: ") for line in lines) == 1
