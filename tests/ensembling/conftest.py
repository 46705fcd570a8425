"""Learners that take no time, and a search to build from."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

from hpo.cli.app import run
from hpo.ensembling import learners
from hpo.joined_study import JoinedStudy
from hpo.reopening import reopened

QUICK = ("--trials", "6", "--rounds", "2", "--hidden", "8", "--epochs", "12", "--repeats", "0")


@pytest.fixture(autouse=True)
def few_trees(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(learners, "TREES", 8)
    monkeypatch.setattr(learners, "STAGES", 8)
    with threadpool_limits(1):  # tests run side by side, and waiting threads spin
        yield


@pytest.fixture(scope="session")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``hpo.db``, in which iris and diabetes were searched."""
    folder = tmp_path_factory.mktemp("searched")
    place = ("--storage", f"sqlite:///{folder / 'hpo.db'}", "--workers", "1")
    for name in ("iris", "diabetes"):
        assert run(["search", name, *QUICK, *place]) == 0
    return folder


@pytest.fixture
def folder(searched: Path, tmp_path: Path) -> Path:
    """A copy of it in an empty folder."""
    shutil.copy(searched / "hpo.db", tmp_path / "hpo.db")
    shutil.copytree(searched / "hpo.artifacts", tmp_path / "hpo.artifacts")
    return tmp_path


@pytest.fixture(params=["iris", "diabetes"])
def experiment(request: pytest.FixtureRequest, folder: Path) -> Iterator[JoinedStudy]:
    """The study of either, joined."""
    with reopened(request.param, f"sqlite:///{folder}/hpo.db") as found:
        yield found
