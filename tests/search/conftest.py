"""What tests of the search share."""

from __future__ import annotations

from collections.abc import Iterator

import optuna
import pytest


@pytest.fixture
def quiet_optuna() -> Iterator[None]:
    """Optuna tells of errors only."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(verbosity)
