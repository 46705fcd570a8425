"""Files that say when they are damaged."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.artifacts import (
    Artifact,
    ArtifactFolder,
    located,
    open_artifacts,
    open_to_write,
)
from storage.errors import ArtifactError, StorageError
from tests.storage.damaging import flip, link, truncate
from tests.storage.looking import content, open_files

ARTIFACT = Artifact(b"arrays \x00\xff" * 50, b'{"layers": [64]}')


@pytest.fixture
def store(tmp_path: Path) -> ArtifactFolder:
    return ArtifactFolder(tmp_path / "a.artifacts")


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=99), st.binary(max_size=99))
def test_a_round_trip(store: ArtifactFolder, arrays: bytes, document: bytes) -> None:
    digest = store.save(Artifact(arrays, document))
    assert store.load(digest) == Artifact(arrays, document)
    assert (store.folder / f"{digest}.npz").read_bytes() == arrays
    assert (store.folder / f"{digest}.json").read_bytes() == document


def test_the_name_is_the_hash_of_both_files(store: ArtifactFolder) -> None:
    expected = sha256((3).to_bytes(8, "little") + b"abc" + b"de").hexdigest()
    assert store.save(Artifact(b"abc", b"de")) == expected
    others = [Artifact(b"ab", b"cde"), Artifact(b"abcde", b""), Artifact(b"de", b"abc")]
    assert expected not in {store.save(other) for other in others}


def test_the_same_content_is_one_pair_of_files(store: ArtifactFolder) -> None:
    assert store.save(ARTIFACT) == store.save(ARTIFACT)
    assert len(content(store.folder)) == 2


def test_saving_again_repairs(store: ArtifactFolder) -> None:
    digest = store.save(ARTIFACT)
    (store.folder / f"{digest}.npz").write_bytes(b"")
    (store.folder / f"{digest}.json").unlink()
    store.save(ARTIFACT)
    assert store.load(digest) == ARTIFACT


def test_files_belong_to_their_owner(store: ArtifactFolder) -> None:
    previous = os.umask(0)
    try:
        store.save(ARTIFACT)
    finally:
        os.umask(previous)
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(each.stat().st_mode) for each in store.folder.iterdir()} == {0o600}


def empty(path: Path) -> None:
    path.write_bytes(b"")


def extend(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n")


def dangle(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def swell(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(2**31 + 1)


DAMAGES = [
    (truncate, "was changed or damaged after it was saved"),
    (flip, "was changed or damaged after it was saved"),
    (empty, "was changed or damaged after it was saved"),
    (extend, "was changed or damaged after it was saved"),
    (Path.unlink, "is missing"),
    (link, "is a link, or no file at all"),
    (dangle, "is a link, or no file at all"),
    (folder, "is a link, or no file at all"),
    (pipe, "is a link, or no file at all"),
    (swell, "is too large to be an artifact"),
]


@pytest.mark.parametrize("suffix", [".npz", ".json"])
@pytest.mark.parametrize(("damage", "complaint"), DAMAGES)
def test_damage_is_seen_and_the_file_named(
    store: ArtifactFolder, damage: Callable[[Path], None], complaint: str, suffix: str
) -> None:
    digest = store.save(ARTIFACT)
    path = store.folder / f"{digest}{suffix}"
    damage(path)
    with pytest.raises(ArtifactError) as caught:
        store.load(digest)
    assert complaint in str(caught.value)
    assert str(path.with_suffix("")) in str(caught.value)
    assert not open_files(store.folder)


def test_a_missing_folder(store: ArtifactFolder) -> None:
    digest = store.save(ARTIFACT)
    shutil.rmtree(store.folder)
    with pytest.raises(ArtifactError, match=f"{digest}.npz is missing"):
        store.load(digest)
    store.delete(digest)


@pytest.mark.parametrize(
    "name",
    ["", "a", "A" * 64, "g" * 64, "a" * 63, "a" * 65, "../" + "a" * 61, "/" + "a" * 63, "ａ" * 64],
)
def test_odd_names(store: ArtifactFolder, name: str) -> None:
    for call in (store.load, store.delete):
        with pytest.raises(ArtifactError) as caught:
            call(name)
        assert str(caught.value) == f"{name!r} is no name of an artifact"


def test_deleting(store: ArtifactFolder) -> None:
    digest, other = store.save(ARTIFACT), store.save(Artifact(b"", b""))
    store.delete(digest)
    store.delete(digest)
    assert set(content(store.folder)) == {f"{other}.npz", f"{other}.json"}


def test_a_file_that_cannot_be_deleted(store: ArtifactFolder) -> None:
    digest = store.save(ARTIFACT)
    folder(store.folder / f"{digest}.npz")
    with pytest.raises(StorageError, match=str(store.folder)):
        store.delete(digest)


def no_space(*_: object) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_no_half_file(
    store: ArtifactFolder, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    kept = store.save(Artifact(b"before", b""))
    before = content(store.folder)
    with monkeypatch.context() as patched:
        patched.setattr(Path if call == "replace" else os, call, no_space)
        with pytest.raises(StorageError) as caught:
            store.save(ARTIFACT)
    assert str(caught.value) == (
        f"disk full: {store.folder}; make room and run the same command again"
    )
    assert content(store.folder) == before
    assert not open_files(store.folder)
    assert store.load(store.save(ARTIFACT)) == ARTIFACT
    assert store.load(kept) == Artifact(b"before", b"")


def test_a_write_that_is_interrupted_leaves_no_half_file(
    store: ArtifactFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_descriptor: int) -> NoReturn:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            store.save(ARTIFACT)
    assert content(store.folder) == {}


def test_files_are_synced_before_they_get_their_name(
    store: ArtifactFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def log_fsync(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        events.append("sync folder" if is_folder else "sync file")
        fsync(descriptor)

    def log_replace(path: Path, target: Path) -> Path:
        events.append(f"rename {target.suffix}")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", log_fsync)
    monkeypatch.setattr(Path, "replace", log_replace)
    store.save(ARTIFACT)
    assert events == ["sync file", "sync file", "rename .json", "rename .npz", "sync folder"]


def test_something_else_in_the_folders_place(tmp_path: Path) -> None:
    (tmp_path / "a.artifacts").write_text("mine")
    with pytest.raises(StorageError, match=r"File exists: .*a\.artifacts"):
        ArtifactFolder(tmp_path / "a.artifacts").save(ARTIFACT)
    assert (tmp_path / "a.artifacts").read_text() == "mine"


def test_only_stale_unfinished_files_are_swept_away(store: ArtifactFolder) -> None:
    store.sweep()  # nothing is there yet, not even the folder
    digest = store.save(ARTIFACT)
    stale, fresh = store.folder / ".new-stale", store.folder / ".new-fresh"
    stale.write_bytes(b"")
    fresh.write_bytes(b"")
    old = fresh.stat().st_mtime - 7200
    for path in (stale, *store.folder.glob(f"{digest}.*")):
        os.utime(path, (old, old))
    store.sweep()
    assert not stale.exists()
    assert fresh.exists()
    assert store.load(digest) == ARTIFACT


def test_many_are_saved_at_once(store: ArtifactFolder) -> None:
    many = [Artifact(bytes([number]) * 9, b"{}") for number in range(5)]
    digests = store.save_all([*many, many[0]])
    assert digests == [*(each.digest for each in many), many[0].digest]
    assert [store.load(digest) for digest in digests[:5]] == many
    assert len(content(store.folder)) == 10


def test_saving_none_makes_no_folder(store: ArtifactFolder) -> None:
    assert store.save_all([]) == []
    assert not store.folder.exists()


def test_of_many_each_file_is_synced_before_any_gets_its_name(
    store: ArtifactFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So none is named that is not whole, whenever the power goes."""
    kept = store.save(ARTIFACT)
    before = content(store.folder)
    synced = []
    fsync = os.fsync

    def full_at_the_fourth(descriptor: int) -> None:
        synced.append(descriptor)
        if len(synced) == 4:
            no_space()
        fsync(descriptor)

    many = [Artifact(bytes([number]), b"{}") for number in range(3)]
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full_at_the_fourth)
        with pytest.raises(StorageError, match="disk full"):
            store.save_all(many)
    assert content(store.folder) == before
    assert store.load(kept) == ARTIFACT


def test_the_document_alone_is_read_whatever_became_of_the_arrays(store: ArtifactFolder) -> None:
    digest = store.save(ARTIFACT)
    (store.folder / f"{digest}.npz").unlink()
    assert store.document(digest) == ARTIFACT.document
    link(store.folder / f"{digest}.json")
    with pytest.raises(ArtifactError, match="is a link, or no file at all"):
        store.document(digest)


def test_what_is_stored_with_its_size_and_age(store: ArtifactFolder) -> None:
    assert store.stored() == []
    whole, half = store.save(ARTIFACT), store.save(Artifact(b"12345", b"{}"))
    (store.folder / f"{half}.json").unlink()
    os.utime(store.folder / f"{half}.npz", (time.time() - 1000,) * 2)
    os.utime(store.folder / f"{whole}.npz", (time.time() - 1000,) * 2)
    for name in ("notes.txt", "tables.lock", f"{'g' * 64}.npz", f"{whole}.txt", ".new-x"):
        (store.folder / name).write_bytes(b"other")
    (store.folder / f"{'a' * 64}.npz").symlink_to(store.folder / "notes.txt")
    (store.folder / f"{'b' * 64}.npz").mkdir()
    found = {each.digest: each for each in store.stored()}
    assert found.keys() == {whole, half}
    assert found[whole].size == len(ARTIFACT.arrays) + len(ARTIFACT.document)
    assert found[half].size == 5
    assert 0 <= found[whole].age < 60, "as young as its youngest file"
    assert 1000 <= found[half].age < 1060


def test_sweeping_may_be_tried_first_and_takes_only_what_is_old_enough(
    store: ArtifactFolder,
) -> None:
    store.save(ARTIFACT)
    left = store.folder / ".new-left"
    left.write_bytes(b"123")
    before = content(store.folder)
    os.utime(left, (time.time() - 100,) * 2)
    assert store.sweep() == (0, 0)
    assert store.sweep(1000, dry_run=True) == (0, 0)
    assert store.sweep(10, dry_run=True) == (1, 3)
    assert content(store.folder) == before
    assert store.sweep(10) == (1, 3)
    assert store.sweep(10) == (0, 0)
    assert not left.exists()


@pytest.mark.parametrize("where", ["gs://bucket/x", "http://host", "s3:x://"])
def test_other_places_for_artifacts_are_refused(where: str) -> None:
    with pytest.raises(StorageError, match=r"^artifacts are kept in a folder or in s3://BUCKET/P"):
        open_artifacts(where)


def test_a_folder_is_named_by_its_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert str(open_artifacts("nets")) == located("nets") == str(tmp_path.resolve() / "nets")
    assert located("s3://bucket/prefix") == "s3://bucket/prefix"


def test_a_place_that_cannot_be_written_to_is_refused_before_anything_is_trained(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StorageError, match="is no folder: choose other --artifacts"):
        open_to_write(str(tmp_path / "file"))
    with pytest.raises(StorageError, match=f"there is no folder {tmp_path}/none: make or mount"):
        open_to_write(str(tmp_path / "none" / "nets"))
    open_to_write(str(tmp_path / "nets")).save(ARTIFACT)
    assert (tmp_path / "file").read_text() == "mine"
