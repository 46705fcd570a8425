"""Optuna's own tests of a storage."""

from __future__ import annotations

import pytest
from optuna.testing.pytest_storages import StorageTestCase

from storage.trials import RoundStorage


@pytest.fixture
def storage(rounds: RoundStorage) -> RoundStorage:
    return rounds


class TestRoundStorage(StorageTestCase):
    """All of them."""
