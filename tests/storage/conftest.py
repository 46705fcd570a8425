"""Databases to test on, and plain looks at them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import optuna
import pytest
from optuna.storages import RDBStorage

from storage.trials import RoundStorage
from tests.running import stock_optuna
from tests.storage.making import experiment

Stock = Callable[[], AbstractContextManager[RDBStorage]]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh database; to copy it is much faster than to create another one."""
    path = tmp_path_factory.mktemp("template") / "fresh.db"
    RoundStorage(f"sqlite:///{path}").engine.dispose()
    return path


@pytest.fixture
def path(template: Path, tmp_path: Path) -> Path:
    """A fresh database that nobody has opened."""
    (tmp_path / "data").mkdir()
    return Path(shutil.copy(template, tmp_path / "data" / "hpo.db"))


@pytest.fixture
def shared(template: Path, open_folder: Path) -> Path:
    """A fresh database in a folder that others reach."""
    path = Path(shutil.copy(template, open_folder / "hpo.db"))
    path.chmod(0o644)
    return path


@pytest.fixture
def rounds(path: Path) -> Iterator[RoundStorage]:
    """The storage over ``path``."""
    opened = RoundStorage(f"sqlite:///{path}")
    yield opened
    opened.close()


@pytest.fixture
def study_id(rounds: RoundStorage) -> int:
    """An empty study named ``study``."""
    return rounds.create_new_study([optuna.study.StudyDirection.MAXIMIZE], "study")


@pytest.fixture
def uid(rounds: RoundStorage) -> str:
    """A new experiment to hang records on."""
    return experiment(rounds)


@pytest.fixture
def stock(path: Path) -> Stock:
    """Optuna's own storage over ``path``: what its dashboard and command line see."""
    return lambda: stock_optuna(path)
