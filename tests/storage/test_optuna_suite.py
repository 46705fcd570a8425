"""Optuna's own tests of a storage, on every kind of database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from optuna.storages._rdb import models
from optuna.testing.pytest_storages import StorageTestCase

from storage.trials import RoundStorage
from tests.storage.databases import fresh_database, quick_on

TABLES = [
    table
    for table in reversed(models.BaseModel.metadata.sorted_tables)
    if table.name != "version_info"
]


@pytest.fixture(scope="module", params=quick_on("sqlite", "postgresql"))
def opened(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RoundStorage]:
    """One engine for all tests of a database, which knows its statements already."""
    with fresh_database(request.param, tmp_path_factory.mktemp("suite")) as database:
        storage = RoundStorage(database.url)
        yield storage
        storage.close()


@pytest.fixture
def storage(opened: RoundStorage) -> RoundStorage:
    """Without a study."""
    with opened.transaction() as connection:
        for table in TABLES:
            connection.execute(table.delete())
    return opened


class TestRoundStorage(StorageTestCase):
    """All of them."""


def test_the_suite_starts_each_test_with_empty_tables(storage: RoundStorage) -> None:
    with storage.reading() as connection:
        assert [connection.execute(table.select()).all() for table in TABLES] == [[]] * len(TABLES)
