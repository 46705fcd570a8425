"""Files that say when they are damaged."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.artifacts import Artifact, ArtifactStore
from storage.errors import ArtifactError, StorageError
from tests.storage.looking import content, open_files

ARTIFACT = Artifact(b"arrays \x00\xff" * 50, b'{"layers": [64]}')


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "a.artifacts")


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=99), st.binary(max_size=99))
def test_a_round_trip(store: ArtifactStore, arrays: bytes, document: bytes) -> None:
    digest = store.save(Artifact(arrays, document))
    assert store.load(digest) == Artifact(arrays, document)
    assert (store.folder / f"{digest}.npz").read_bytes() == arrays
    assert (store.folder / f"{digest}.json").read_bytes() == document


def test_the_name_is_the_hash_of_both_files(store: ArtifactStore) -> None:
    expected = sha256((3).to_bytes(8, "little") + b"abc" + b"de").hexdigest()
    assert store.save(Artifact(b"abc", b"de")) == expected
    others = [Artifact(b"ab", b"cde"), Artifact(b"abcde", b""), Artifact(b"de", b"abc")]
    assert expected not in {store.save(other) for other in others}


def test_the_same_content_is_one_pair_of_files(store: ArtifactStore) -> None:
    assert store.save(ARTIFACT) == store.save(ARTIFACT)
    assert len(content(store.folder)) == 2


def test_saving_again_repairs(store: ArtifactStore) -> None:
    digest = store.save(ARTIFACT)
    (store.folder / f"{digest}.npz").write_bytes(b"")
    (store.folder / f"{digest}.json").unlink()
    store.save(ARTIFACT)
    assert store.load(digest) == ARTIFACT


def test_files_belong_to_their_owner(store: ArtifactStore) -> None:
    previous = os.umask(0)
    try:
        store.save(ARTIFACT)
    finally:
        os.umask(previous)
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(each.stat().st_mode) for each in store.folder.iterdir()} == {0o600}


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def extend(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n")


def link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


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
    store: ArtifactStore, damage: Callable[[Path], None], complaint: str, suffix: str
) -> None:
    digest = store.save(ARTIFACT)
    path = store.folder / f"{digest}{suffix}"
    damage(path)
    with pytest.raises(ArtifactError) as caught:
        store.load(digest)
    assert complaint in str(caught.value)
    assert str(path.with_suffix("")) in str(caught.value)
    assert not open_files(store.folder)


def test_a_missing_folder(store: ArtifactStore) -> None:
    digest = store.save(ARTIFACT)
    shutil.rmtree(store.folder)
    with pytest.raises(ArtifactError, match=f"{digest}.npz is missing"):
        store.load(digest)
    store.delete(digest)


@pytest.mark.parametrize(
    "name",
    ["", "a", "A" * 64, "g" * 64, "a" * 63, "a" * 65, "../" + "a" * 61, "/" + "a" * 63, "ａ" * 64],
)
def test_odd_names(store: ArtifactStore, name: str) -> None:
    for call in (store.load, store.delete):
        with pytest.raises(ArtifactError) as caught:
            call(name)
        assert str(caught.value) == f"{name!r} is no name of an artifact"


def test_deleting(store: ArtifactStore) -> None:
    digest, other = store.save(ARTIFACT), store.save(Artifact(b"", b""))
    store.delete(digest)
    store.delete(digest)
    assert set(content(store.folder)) == {f"{other}.npz", f"{other}.json"}


def test_a_file_that_cannot_be_deleted(store: ArtifactStore) -> None:
    digest = store.save(ARTIFACT)
    folder(store.folder / f"{digest}.npz")
    with pytest.raises(StorageError, match=str(store.folder)):
        store.delete(digest)


def no_space(*_: object) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_no_half_file(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch, call: str
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
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_descriptor: int) -> NoReturn:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            store.save(ARTIFACT)
    assert content(store.folder) == {}


def test_files_are_synced_before_they_get_their_name(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
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
    assert events == ["sync file", "rename .npz", "sync file", "rename .json", "sync folder"]


def test_something_else_in_the_folders_place(tmp_path: Path) -> None:
    (tmp_path / "a.artifacts").write_text("mine")
    with pytest.raises(StorageError, match=r"File exists: .*a\.artifacts"):
        ArtifactStore(tmp_path / "a.artifacts").save(ARTIFACT)
    assert (tmp_path / "a.artifacts").read_text() == "mine"


def test_only_stale_unfinished_files_are_swept_away(store: ArtifactStore) -> None:
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
