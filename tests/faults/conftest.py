"""One warm process and one undisturbed run for all tests of faults."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults import killing
from tests.faults.killing import Calm, Helper


@pytest.fixture(scope="session")
def helper() -> Iterator[Helper]:
    """The process that runs the command in children of its own."""
    with killing.helper() as warm:
        yield warm


@pytest.fixture(scope="session")
def calm(helper: Helper, tmp_path_factory: pytest.TempPathFactory) -> Calm:
    """What an undisturbed run leaves."""
    return killing.undisturbed(helper, tmp_path_factory.mktemp("calm"))
