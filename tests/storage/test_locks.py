"""One holder at a time, and none that is dead."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from storage.errors import StorageError, StudyBusyError
from storage.locks import file_lock, study_lock

HOLD = """
import sys
from pathlib import Path
from storage.locks import study_lock
with study_lock(Path(sys.argv[1]), sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_holder_is_refused_at_once(tmp_path: Path) -> None:
    with study_lock(tmp_path / "a", "digits"):
        start = time.monotonic()
        with pytest.raises(StudyBusyError) as caught, study_lock(tmp_path / "a", "digits"):
            pytest.fail("two hold it")
        assert time.monotonic() - start < 1
    assert str(caught.value) == (
        "another search of study 'digits' is running: wait until it ends, or use another --study"
    )
    with study_lock(tmp_path / "a", "digits"):
        pass


def test_an_error_inside_frees_the_lock(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), study_lock(tmp_path, "digits"):
            raise ZeroDivisionError


def test_a_busy_study_inside_is_not_this_one(tmp_path: Path) -> None:
    with (
        study_lock(tmp_path, "inner"),
        pytest.raises(StudyBusyError, match="'inner'"),
        study_lock(tmp_path, "outer"),
        study_lock(tmp_path, "inner"),
    ):
        pytest.fail("two hold it")


def test_other_studies_and_databases_are_free(tmp_path: Path) -> None:
    with (
        study_lock(tmp_path / "a", "digits"),
        study_lock(tmp_path / "a", "wine"),
        study_lock(tmp_path / "b", "digits"),
        file_lock(tmp_path / "a", "tables", 0),
    ):
        pass


def test_a_killed_holder_frees_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path), "digits"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StudyBusyError), study_lock(tmp_path, "digits"):
            pytest.fail("two hold it")
        holder.send_signal(signal.SIGKILL)
        holder.wait(10)
        with study_lock(tmp_path, "digits"):
            pass


@pytest.mark.parametrize(
    "study",
    [
        "",
        ".",
        "..",
        "../../etc/passwd",
        "a/b",
        "tables",
        "x" * 5000,
        "nul\0",
        "ü漢",
        "\udcff",
        "\n",
    ],
)
def test_odd_study_names(tmp_path: Path, study: str) -> None:
    folder = tmp_path / "a"
    with (
        study_lock(folder, study),
        file_lock(folder, "tables", 0),
        pytest.raises(StudyBusyError),
        study_lock(folder, study),
    ):
        pytest.fail("two hold it")
    assert {each.parent for each in tmp_path.rglob("*.lock")} == {folder}


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
    with study_lock(tmp_path / "a", "digits"):
        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700
        modes = {stat.S_IMODE(each.stat().st_mode) for each in (tmp_path / "a").iterdir()}
    assert modes == {0o600}


def test_a_lock_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    with pytest.raises(StorageError, match="File exists") as caught, study_lock(tmp_path / "a", ""):
        pytest.fail("held")
    assert not isinstance(caught.value, StudyBusyError)
    assert str(tmp_path / "a") in str(caught.value)
