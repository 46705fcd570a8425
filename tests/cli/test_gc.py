"""``hpo gc``: what nobody refers to goes, everything else stays."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import optuna
import pytest

from hpo.cleaning import clean
from hpo.inventory import whose
from storage import leases, schema
from storage.artifacts import Artifact, ArtifactFolder, Artifacts
from storage.trials import RoundStorage
from tests.filling import age
from tests.running import QUICK, Hpo
from tests.storage.databases import Database
from tests.storage.looking import content, sql

OURS = sorted(table.name for table in schema.metadata.tables.values())


@pytest.fixture
def searched(two_searches: Path, tmp_path: Path) -> Path:
    """The folder of the networks of two studies, iris and wine, in ``hpo.db``."""
    shutil.copytree(two_searches, tmp_path, dirs_exist_ok=True)
    return tmp_path / "hpo.artifacts"


def uid_of(folder: Path, study: str) -> str:
    found = sql(
        folder.parent / "hpo.db",
        "SELECT value_json FROM study_user_attributes JOIN studies USING (study_id) "
        "WHERE key = 'hpo:experiment' AND study_name = ?",
        study,
    )
    return str(json.loads(found[0][0]))


def network_of(uid: str | None, folder: Path, number: int = 0) -> str:
    """A stored network that says it is of this experiment; returns its digest."""
    document = {} if uid is None else {"trial": {"experiment": uid, "number": number}}
    artifact = Artifact(b"arrays %d" % number, json.dumps(document).encode())
    return ArtifactFolder(folder).save(artifact)


def rows(path: Path) -> dict[str, int]:
    """How many rows each of our tables has."""
    return {name: sql(path, f"SELECT count(*) FROM {name}")[0][0] for name in OURS}


def delete_study(name: str, url: str = "sqlite:///hpo.db") -> None:
    """As Optuna's command line and its dashboard do it."""
    storage = RoundStorage(url)
    optuna.delete_study(study_name=name, storage=storage)
    storage.close()


# Networks


def test_what_is_referred_to_stays_however_old(hpo: Hpo, searched: Path) -> None:
    age(searched)
    before = content(searched.parent)
    ran = hpo("gc", "--older-than", 0)
    assert (ran.code, ran.out) == (0, "nothing to remove\n")
    assert content(searched.parent) == before


def test_a_network_that_was_never_entered_goes_when_it_is_old(hpo: Hpo, searched: Path) -> None:
    before = content(searched)
    digest = network_of(uid_of(searched, "iris"), searched)
    ran = hpo("gc")
    assert ran.out == (
        "nothing to remove\nstays: 1 network that nobody refers to, younger than 3600 s\n"
    )
    assert (searched / f"{digest}.npz").exists()
    age(searched, f"{digest}.*")
    written = content(searched)
    n_bytes = sum(len(each) for each in written.values()) - sum(map(len, before.values()))
    ran = hpo("gc", "--dry-run")
    assert ran.out == f"would remove 1 network, {n_bytes} B\n"
    assert content(searched) == written
    assert hpo("gc").out == f"removed 1 network, {n_bytes} B\n"
    assert content(searched) == before


def test_a_half_that_a_crash_left_is_told_by_its_document(hpo: Hpo, searched: Path) -> None:
    before = content(searched)
    digest = network_of(uid_of(searched, "wine"), searched)
    (searched / f"{digest}.npz").unlink()
    assert hpo("gc", "--older-than", 0).out.startswith("removed 1 network, ")
    assert content(searched) == before


def test_the_winner_that_was_tried_on_the_test_rows_stays_when_it_is_kept_no_more(
    hpo: Hpo, searched: Path
) -> None:
    path = searched.parent / "hpo.db"
    models = {model for (model,) in sql(path, "SELECT model FROM hpo_test_looks")}
    sql(path, "DELETE FROM hpo_artifacts")
    hpo("gc", "--older-than", 0)
    assert {each.stem for each in searched.glob("*.npz")} == models
    assert len(models) == 2


def test_networks_of_another_storage_in_the_same_folder_stay(hpo: Hpo, searched: Path) -> None:
    """A study on a server keeps its networks in ``hpo.artifacts`` too, if nothing else is said."""
    other = "sqlite:///other.db"
    hpo("search", "iris", *QUICK, "--storage", other, "--artifacts", searched)
    theirs = network_of("e" * 32, searched)
    nameless = network_of(None, searched, 1)
    before = content(searched)
    ran = hpo("gc", "--older-than", 0)
    sizes = (len(data) for name, data in before.items() if name[:64] not in known(searched))
    assert ran.out == (
        f"nothing to remove\nstays: 6 networks in {searched}, {sum(sizes) / 1000:.1f} kB, "
        "of no study that this storage knows\n"
    )
    assert content(searched) == before
    assert hpo("gc", "--older-than", 0, "--storage", other).code == 0
    assert content(searched) == before
    assert {theirs, nameless} <= {name[:64] for name in before}


def known(folder: Path) -> set[str]:
    return {row[0] for row in sql(folder.parent / "hpo.db", "SELECT digest FROM hpo_artifacts")}


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"no json",
        b"[" * 100_000,
        b"[]",
        b"null",
        b'{"trial": 1}',
        b'{"trial": {"experiment": ["UID"]}}',
        b"\xff\xfe",
    ],
)
def test_a_document_that_says_nothing_is_left(hpo: Hpo, searched: Path, document: bytes) -> None:
    uid = uid_of(searched, "iris").encode()
    ArtifactFolder(searched).save(Artifact(b"", document.replace(b"UID", uid)))
    before = content(searched)
    ran = hpo("gc", "--older-than", 0)
    assert ran.code == 0
    assert "stays: 1 network in " in ran.out
    assert content(searched) == before


def test_links_and_files_of_other_names_are_not_touched(
    hpo: Hpo, searched: Path, tmp_path: Path
) -> None:
    """Also links that are named like a network of ours, and what they lead to."""
    precious = tmp_path / "precious"
    precious.mkdir()
    uid = uid_of(searched, "iris")
    digest = network_of(uid, precious)
    for suffix in (".npz", ".json"):
        (searched / f"{digest}{suffix}").symlink_to(precious / f"{digest}{suffix}")
    (searched / ".new-link").symlink_to(precious / f"{digest}.npz")
    (searched / f"{'a' * 64}.npz").mkdir()
    document = (precious / f"{digest}.json").read_bytes()
    for name in ("notes.json", f"{'A' * 64}.json", f"{'a' * 63}.json", f"{'b' * 64}.txt", "new-x"):
        (searched / name).write_bytes(document)
    age(searched)
    age(precious)
    before, target = content(searched), content(precious)
    ran = hpo("gc")
    assert (ran.code, ran.out) == (0, "nothing to remove\n")
    assert content(searched) == before
    assert content(precious) == target
    assert (searched / f"{digest}.npz").is_symlink()


def test_unfinished_files_go_when_they_are_old(hpo: Hpo, searched: Path) -> None:
    before = content(searched)
    for name, size in ((".new-old", 10), (".new-older", 20), (".new-young", 30)):
        (searched / name).write_bytes(bytes(size))
    age(searched, ".new-old*")
    assert hpo("gc", "--dry-run").out == "would remove 2 unfinished files, 30 B\n"
    assert hpo("gc").out == "removed 2 unfinished files, 30 B\n"
    assert set(content(searched)) == {*before, ".new-young"}


def test_a_network_that_is_entered_while_it_is_removed_stays(
    hpo: Hpo, searched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the first look at the tables and the removal a search enters one, and renews one."""
    uid = uid_of(searched, "iris")
    entered, renewed, dead = (network_of(uid, searched, number) for number in range(3))
    age(searched)
    calls: list[str] = []

    def interleaved(artifacts: Artifacts, digest: str) -> str | None:
        if not calls:
            row = "INSERT INTO hpo_artifacts VALUES (?, 77, ?, 0.5)"
            sql(searched.parent / "hpo.db", row, uid, entered)
            network_of(uid, searched, 1)
        calls.append(digest)
        return whose(artifacts, digest)

    monkeypatch.setattr("hpo.cleaning.whose", interleaved)
    assert hpo("gc").out.startswith("removed 1 network, ")
    assert set(calls) == {entered, renewed, dead}
    left = {each.stem for each in searched.glob("*.npz")}
    assert {entered, renewed} <= left
    assert dead not in left


# Rows


def test_a_deleted_study_goes_with_its_rows_and_networks(
    hpo: Hpo, database: Database, tmp_path: Path
) -> None:
    place = ("--storage", database.url)
    for name in ("iris", "wine"):
        hpo("search", name, *QUICK, *place, "--artifacts", "nets")
    count = {name: database.count(name) for name in OURS}
    assert count["hpo_experiments"] == 2
    delete_study("iris", database.url)
    kept = {row[0] for row in database.sql("SELECT digest FROM hpo_artifacts WHERE number >= 0")}
    assert len(kept) == 8
    ran = hpo("gc", *place)
    assert ran.out == (
        "nothing to remove\nstays: 4 networks that nobody refers to, younger than 3600 s\n"
    )
    assert {name: database.count(name) for name in OURS} == count
    age(tmp_path / "nets")
    total = sum(count.values()) // 2
    dry = hpo("gc", *place, "--dry-run").out
    assert {name: database.count(name) for name in OURS} == count
    done = hpo("gc", *place).out
    assert done == dry.replace("would remove", "removed")
    assert f"\nremoved {total} rows of a deleted study of iris, made 20" in done
    assert done.startswith("removed 4 networks, ")
    assert {name: 2 * database.count(name) for name in OURS} == count
    left = {row[0] for row in database.sql("SELECT digest FROM hpo_artifacts")}
    assert {each.stem for each in (tmp_path / "nets").glob("*.npz")} == left
    assert hpo("gc", *place, "--older-than", 0).out == "nothing to remove\n"
    again = hpo("search", "wine", *QUICK, *place, "--artifacts", "nets")
    assert again.code == 0, again.err


def test_a_study_that_was_made_again_under_its_name_is_another_one(
    hpo: Hpo, searched: Path
) -> None:
    delete_study("iris")
    assert hpo("search", "iris", *QUICK).code == 0
    assert rows(searched.parent / "hpo.db")["hpo_experiments"] == 3
    document = hpo("gc", "--older-than", 0, "--json").document
    assert (document["networks"], len(document["experiments"])) == (4, 1)
    assert rows(searched.parent / "hpo.db")["hpo_experiments"] == 2
    assert hpo("search", "iris", *QUICK).code == 0


def test_a_study_that_comes_back_while_its_rows_are_removed_keeps_them(
    hpo: Hpo, searched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody enters a copy of it between the look at the tables and the removal."""
    path = searched.parent / "hpo.db"
    uid = uid_of(searched, "iris")
    delete_study("iris")
    before = rows(path)

    def open_late(url: str) -> RoundStorage:
        rounds = RoundStorage(url)
        study = optuna.create_study(storage=rounds, study_name="iris")
        study.set_user_attr("hpo:experiment", uid)
        return rounds

    monkeypatch.setattr("hpo.cleaning.RoundStorage", open_late)
    assert hpo("gc", "--older-than", 0).code == 0
    assert rows(path) == before


def test_a_renamed_study_is_not_gone(hpo: Hpo, searched: Path) -> None:
    sql(searched.parent / "hpo.db", "UPDATE studies SET study_name = 'new' WHERE study_id = 1")
    assert hpo("gc", "--older-than", 0).out == "nothing to remove\n"


def test_a_deleted_study_that_is_still_searched_stays_for_now(hpo: Hpo, searched: Path) -> None:
    path = searched.parent / "hpo.db"
    uid = uid_of(searched, "iris")
    rounds = RoundStorage(f"sqlite:///{path}")
    rounds.write(lambda each: leases.beat(each, uid, leases.this_process()))
    rounds.close()
    delete_study("iris")
    before, files = rows(path), content(searched)
    ran = hpo("gc", "--older-than", 0)
    assert ran.out == "nothing to remove\nstays: a deleted study of iris, which is still searched\n"
    assert (rows(path), content(searched)) == (before, files)


def test_a_deleted_study_whose_networks_are_on_another_machine_is_left_to_that(
    hpo: Hpo, tmp_path: Path
) -> None:
    hpo("search", "iris", *QUICK, "--artifacts", "mounted")
    delete_study("iris")
    (tmp_path / "mounted").rename(tmp_path / "elsewhere")
    before = rows(tmp_path / "hpo.db")
    ran = hpo("gc", "--older-than", 0)
    assert ran.out == (
        "nothing to remove\n"
        f"stays: a deleted study of iris, whose networks in {tmp_path / 'mounted'} cannot be seen "
        "from here; name the folder with --artifacts\n"
    )
    assert rows(tmp_path / "hpo.db") == before
    ran = hpo("gc", "--older-than", 0, "--artifacts", "elsewhere")
    assert "removed 4 networks" in ran.out
    assert set(rows(tmp_path / "hpo.db").values()) == {0}
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_the_variable_says_where_networks_are_too(
    hpo: Hpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HPO_ARTIFACTS", str(tmp_path / "shared"))
    assert hpo("search", "iris", *QUICK).code == 0
    assert len(list((tmp_path / "shared").glob("*.npz"))) == 4
    network_of(uid_of(tmp_path / "shared", "iris"), tmp_path / "shared")
    assert hpo("gc", "--older-than", 0).out.startswith("removed 1 network, ")


def test_a_folder_that_was_named_from_another_folder_is_found_again(
    hpo: Hpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hpo("search", "iris", *QUICK, "--artifacts", "nets")
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    place = ("--storage", f"sqlite:///{tmp_path / 'hpo.db'}")
    ran = hpo("search", "iris", "--trials", 6, *QUICK[2:], *place)
    assert ran.code == 0, ran.err
    assert not (tmp_path / "hpo.artifacts" / "nets").exists()
    assert len(list((tmp_path / "nets").glob("*.npz"))) == 6
    assert list((tmp_path / "sub").iterdir()) == []


# What goes wrong


def test_a_storage_that_is_not_there_is_not_made(hpo: Hpo, tmp_path: Path) -> None:
    ran = hpo("gc")
    assert (ran.code, ran.out) == (4, "")
    assert ran.err.startswith("hpo: there is no database ")
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_needs_no_right_to_write_and_migrates_nothing(hpo: Hpo, searched: Path) -> None:
    path = searched.parent / "hpo.db"
    delete_study("iris")
    sql(path, "UPDATE hpo_alembic_version SET version_num = '0001'")
    before = content(searched.parent)
    assert "would remove 4 networks" in hpo("gc", "--dry-run", "--older-than", 0).out
    assert content(searched.parent) == before


def test_a_place_that_is_no_folder_is_named_and_the_others_are_cleaned(
    hpo: Hpo, searched: Path, tmp_path: Path
) -> None:
    network_of(uid_of(searched, "iris"), searched)
    (tmp_path / "file").write_text("mine")
    ran = hpo("gc", "--older-than", 0, "--artifacts", tmp_path / "file")
    assert ran.code == 4
    assert ran.out.startswith("removed 1 network, ")
    assert ran.err == f"hpo: Not a directory: {tmp_path / 'file'}\n"
    assert (tmp_path / "file").read_text() == "mine"


def test_a_crash_between_files_and_rows_is_made_good_by_the_next_one(
    hpo: Hpo, searched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = searched.parent / "hpo.db"
    delete_study("iris")

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("storage.removal.forget", crash)
        assert hpo("gc", "--older-than", 0).code == 130
    assert len(list(searched.glob("*.npz"))) == 4
    assert rows(path)["hpo_experiments"] == 2
    assert hpo("gc").out.startswith("removed ")
    assert rows(path)["hpo_experiments"] == 1


def test_one_line_for_each_thing_at_any_width(
    hpo: Hpo, searched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network_of("e" * 32, searched)
    delete_study("iris")
    monkeypatch.setenv("COLUMNS", "40")
    ran = hpo("gc", "--dry-run", "--older-than", 0)
    long = [line for line in ran.out.splitlines() if len(line) > 40]
    assert all(str(searched) in line for line in long), "only a path may be wider"
    assert "stays: " in ran.out


def test_the_function_alone_counts_what_the_command_says(searched: Path) -> None:
    network_of(uid_of(searched, "iris"), searched)
    url = f"sqlite:///{searched.parent / 'hpo.db'}"
    cleaned = clean(url, older_than=0, dry_run=True)
    assert (cleaned.networks, cleaned.dry_run) == (1, True)
    shutil.rmtree(searched)
    assert clean(url, older_than=0).networks == 0


def test_the_model_of_a_winner_stays_also_when_no_trial_has_it(hpo: Hpo, tmp_path: Path) -> None:
    assert hpo("search", "iris", *QUICK, "--repeats", 2, "--keep-sealed").code == 0
    ((digest,),) = sql(tmp_path / "hpo.db", "SELECT digest FROM hpo_selections")
    model = tmp_path / "hpo.artifacts" / f"{digest}.npz"
    for each in model.parent.iterdir():
        os.utime(each, (0, 0))
    assert hpo("gc").code == 0
    assert model.exists()
    model.unlink()
    assert f"{digest}.npz is missing" in hpo("doctor").out
    sql(tmp_path / "hpo.db", "DELETE FROM hpo_selections")
    assert hpo("gc").code == 0
    assert not model.with_suffix(".json").exists()
