"""Fixtures of several folders."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import settings

from hpo.cli.app import run
from tests.running import Hpo, Ran
from tests.storage.databases import KINDS, Database, Shelf, fresh_database

# Or it is imported while a test has replaced what it takes from others.
import_module("hpo.rehearsal")

# The same examples in every run, so that a gate that was green stays green; no deadline, because
# cores are shared.
settings.register_profile("gate", derandomize=True, deadline=None)
settings.load_profile("gate")


MEMORY, ROOM = Path("/dev/shm"), 2**31


def pytest_configure() -> None:
    """Keep the folders of tests in memory where there is room, and the BLAS to one thread.

    The processes that run tests have a core each, and threads that wait spin. To write to a disk
    for good takes most of the time of a test that stores a study, and no test cuts the power.
    """
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.fixture
def hpo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Hpo:
    """Run the command in this process, in an empty folder; training stays in it too."""
    monkeypatch.chdir(tmp_path)
    ours = (name for name in os.environ if name.startswith("HPO_") and "HPO_TEST_" not in name)
    for name in [*ours, "COLUMNS"]:
        monkeypatch.delenv(name, raising=False)

    def command(*arguments: object) -> Ran:
        capsys.readouterr()
        workers = () if "--workers" in arguments else ("--workers", "1")
        code = run([*map(str, arguments), *(workers if arguments[:1] == ("search",) else ())])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return command


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """An empty folder that other users reach, too: pytest's own are shut."""
    folder = Path(mkdtemp()).resolve()
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.fixture(params=KINDS)
def bare_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without tables, of each kind in turn; ``indirect`` parameters choose kinds."""
    with fresh_database(request.param, tmp_path) as fresh:
        yield fresh


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    """Keeps the databases for ``database``."""
    opened = Shelf(tmp_path_factory.mktemp("shelf"))
    yield opened
    opened.close()


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path, shelf: Shelf) -> Database:
    """A database whose tables are empty, likewise."""
    return shelf.take(request.param, tmp_path)
