"""Where networks are kept: a folder is checked before anything is trained for it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from storage.artifacts import located, open_to_write
from tests.running import QUICK, Hpo
from tests.storage.looking import as_nobody, content, error_line, sql


def test_a_folder_that_is_there_or_can_be_made_is_taken_and_not_made_yet(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for name in ("there", "new"):
        assert str(open_to_write(str(tmp_path / name))) == str(tmp_path / name)
    assert content(tmp_path) == {"there/": b""}


def test_a_folder_that_cannot_be_written_to(open_folder: Path) -> None:
    open_folder.chmod(0o555)
    with as_nobody():
        for path in (open_folder, open_folder / "new"):
            assert error_line(partial(open_to_write, str(path))) == (
                f"the storage cannot be written: {path}; check its permissions and its folder's"
            )


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("none/new", "there is no folder {here}/none: make or mount it, or choose other "),
        ("file", "{here}/file is no folder: choose other --artifacts"),
        ("file/new", "there is no folder {here}/file: make or mount it, or choose other "),
        ("ftp://host/x", "artifacts are kept in a folder or in s3://BUCKET/PREFIX"),
    ],
)
def test_a_search_with_no_place_for_its_networks_ends_before_it_begins(
    hpo: Hpo, tmp_path: Path, where: str, says: str
) -> None:
    (tmp_path / "file").write_text("mine")
    ran = hpo("search", "iris", *QUICK, "--artifacts", where)
    assert (ran.code, ran.out) == (4, "")
    assert ran.err.startswith("hpo: " + says.format(here=tmp_path))
    assert ran.err.count("\n") == 1
    assert content(tmp_path) == {"file": b"mine"}


def test_a_folder_is_the_same_from_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path)
    assert located("nets") == str(tmp_path / "nets")
    assert located("link/nets") == str(tmp_path / "nets")
    assert located("s3://nets/a") == "s3://nets/a"


def test_two_searches_of_one_study_share_a_folder_wherever_they_start(
    hpo: Hpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one is not told where: the study remembers it by its whole path."""
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    storage = ("--storage", f"sqlite:///{tmp_path / 'hpo.db'}")
    monkeypatch.chdir(tmp_path / "here")
    hpo("search", "iris", *QUICK, *storage, "--artifacts", "../common")
    monkeypatch.chdir(tmp_path / "there")
    assert hpo("search", "iris", "--trials", 6, *QUICK[2:], *storage).code == 0
    kept = {digest for (digest,) in sql(tmp_path / "hpo.db", "SELECT digest FROM hpo_artifacts")}
    assert {each.stem for each in (tmp_path / "common").glob("*.npz")} == kept
    assert len(kept) == 6
    assert content(tmp_path / "here") == content(tmp_path / "there") == {}


def test_the_option_comes_before_the_variable_and_this_before_what_the_study_remembers(
    hpo: Hpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hpo("search", "iris", *QUICK, "--artifacts", "first")
    monkeypatch.setenv("HPO_ARTIFACTS", str(tmp_path / "second"))
    assert hpo("search", "iris", "--trials", 6, *QUICK[2:], "--keep-sealed").code == 0
    assert len(list((tmp_path / "first").glob("*.npz"))) == 4
    assert len(list((tmp_path / "second").glob("*.npz"))) == 2
    hpo("search", "wine", *QUICK, "--artifacts", "third")
    assert len(list((tmp_path / "third").glob("*.npz"))) == 4
    assert len(list((tmp_path / "second").glob("*.npz"))) == 2
