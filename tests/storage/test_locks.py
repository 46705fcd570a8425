"""One holder at a time, and none that is dead."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from storage.errors import StorageError
from storage.locks import file_lock

HOLD = """
import sys
from pathlib import Path
from storage.locks import file_lock
with file_lock(Path(sys.argv[1]), "tables", 0):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_holder_is_refused(tmp_path: Path) -> None:
    with file_lock(tmp_path / "a", "tables", 0):
        start = time.monotonic()
        with pytest.raises(StorageError) as caught, file_lock(tmp_path / "a", "tables", 0):
            pytest.fail("two hold it")
        assert time.monotonic() - start < 1
    assert str(caught.value) == f"another process holds {tmp_path}/a/tables.lock"
    with file_lock(tmp_path / "a", "tables", 0):
        pass


def test_an_error_inside_frees_the_lock(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), file_lock(tmp_path, "tables", 0):
            raise ZeroDivisionError


def test_an_error_of_the_disk_inside_is_not_one_of_the_lock(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), file_lock(tmp_path, "tables", 0):
        raise FileNotFoundError


def test_other_locks_and_folders_are_free(tmp_path: Path) -> None:
    with (
        file_lock(tmp_path / "a", "tables", 0),
        file_lock(tmp_path / "a", "others", 0),
        file_lock(tmp_path / "b", "tables", 0),
    ):
        pass


def test_a_killed_holder_frees_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StorageError), file_lock(tmp_path, "tables", 0):
            pytest.fail("two hold it")
        holder.send_signal(signal.SIGKILL)
        holder.wait(10)
        with file_lock(tmp_path, "tables", 0):
            pass


def test_a_lock_is_waited_for(tmp_path: Path) -> None:
    with file_lock(tmp_path, "tables", 0):
        start = time.monotonic()
        with (
            pytest.raises(StorageError, match=r"another process holds .*tables\.lock"),
            file_lock(tmp_path, "tables", 0.2),
        ):
            pytest.fail("two hold it")
        assert time.monotonic() - start >= 0.2


def test_locks_belong_to_their_owner(tmp_path: Path) -> None:
    with file_lock(tmp_path / "a", "tables", 0):
        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700
        modes = {stat.S_IMODE(each.stat().st_mode) for each in (tmp_path / "a").iterdir()}
    assert modes == {0o600}


def test_a_lock_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    with (
        pytest.raises(StorageError, match=f"^File exists: {tmp_path}/a$"),
        file_lock(tmp_path / "a", "tables", 0),
    ):
        pytest.fail("held")
