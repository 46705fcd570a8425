"""Storages to look at; a copy of one is made much faster than another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpo.cli.app import run
from storage.trials import RoundStorage
from tests.running import QUICK


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with all tables and no study."""
    path = tmp_path_factory.mktemp("empty") / "hpo.db"
    RoundStorage(f"sqlite:///{path}").close()
    return path


@pytest.fixture(scope="session")
def two_searches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``hpo.db``, in which iris and wine were searched, four trials each."""
    folder = tmp_path_factory.mktemp("searched")
    quick = (*map(str, QUICK), "--workers", "1")
    for name in ("iris", "wine"):
        place = ("--storage", f"sqlite:///{folder / 'hpo.db'}")
        assert run(["search", name, *quick, *place]) == 0
    return folder
