"""Optuna's own tests of a storage."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from optuna.storages._rdb import models
from optuna.testing.pytest_storages import StorageTestCase

from storage.trials import RoundStorage


@pytest.fixture(scope="module")
def opened(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoundStorage]:
    path = shutil.copy(template, tmp_path_factory.mktemp("suite"))
    storage = RoundStorage(f"sqlite:///{path}")
    yield storage
    storage.scoped_session.remove()
    storage.engine.dispose()


@pytest.fixture
def storage(opened: RoundStorage) -> RoundStorage:
    """An empty database; one engine for all tests, which knows its statements already."""
    with opened.transaction() as connection:
        for table in reversed(models.BaseModel.metadata.sorted_tables):
            if table.name != "version_info":
                connection.execute(table.delete())
    return opened


class TestRoundStorage(StorageTestCase):
    """All of them."""
