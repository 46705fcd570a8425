"""The live block as it stands on a terminal: redrawn in its place, and left clean."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from hpo.cli.app import run
from hpo.cli.block import ENDED
from hpo.cli.live_block import LiveBlock, rows_more
from tests.cli.terminal import Screen
from tests.cli.test_block import RUNNING, shown
from tests.faults.killing import wait_until
from tests.running import stored_trials, trials_so_far

CYAN, BOLD = "36", "1"


class Shown:
    """A live block on a terminal that is looked at after each refresh."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, width: int, **environment: str) -> None:
        self.file = io.StringIO()
        self.screen = Screen(width)
        # Rich draws into what it believes to be a terminal; the environment says which one.
        for name in ("NO_COLOR", "COLUMNS", "LINES", "FORCE_COLOR"):
            monkeypatch.delenv(name, raising=False)
        self.console = Console(
            file=self.file,
            force_terminal=True,
            width=width,
            height=24,
            _environ={"TERM": "xterm-256color", **environment},
        )
        self.progress = SimpleNamespace(standing=RUNNING, passing=lambda: ENDED)
        self.block = LiveBlock(self.console, self.progress)  # type: ignore[arg-type]
        # Nothing is drawn unless the test says so.
        self.block._live.auto_refresh = False

    def look(self) -> list[str]:
        """Refresh, and see what stands there then."""
        self.block._live.refresh()
        return self.seen()

    def seen(self) -> list[str]:
        """What stands there."""
        self.screen.write(self.file.getvalue())
        self.file.truncate(self.file.seek(0))
        return self.screen.shown


def test_a_block_is_drawn_in_its_place_and_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    on = Shown(monkeypatch, 80)
    with on.block:
        assert on.seen() == shown(RUNNING)
        assert on.screen.has_cursor, "a process that is killed could not bring it back"
        on.progress.standing = replace(RUNNING, finished=48, ranges={})
        assert on.look() == shown(on.progress.standing)
        print("a note")  # noqa: T201  # above the block, where it stays
        assert on.seen() == ["a note", *shown(on.progress.standing)]
        on.progress.standing = RUNNING
    assert on.seen() == ["a note", *shown(RUNNING)]
    assert on.screen.has_cursor
    assert on.screen.column == 0
    assert CYAN in on.screen.styles


def test_a_block_survives_its_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    on = Shown(monkeypatch, 80)
    with pytest.raises(KeyboardInterrupt), on.block:
        raise KeyboardInterrupt
    assert on.seen() == shown(RUNNING)
    assert (on.screen.has_cursor, on.screen.column) == (True, 0)


@pytest.mark.parametrize("width", [79, 60, 40, 20, 11])
def test_a_terminal_that_becomes_narrower_or_wider_is_left_clean(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    on = Shown(monkeypatch, 80)
    on.screen.write("$ hpo search\n")
    with on.block:
        on.seen()
        for each in (width, 80, width):
            on.screen.resize(each)
            on.console.width = each
            assert on.look()[-len(shown(RUNNING, width=each)) :] == shown(RUNNING, width=each)
            assert sum("earning_r" in row for row in on.seen()) <= 1, "the old one is gone"
            assert "".join(on.seen()).startswith("$ hpo search"), "what stood above is still there"


def test_how_many_rows_lines_take_in_a_width() -> None:
    # 80 cells are 2 rows of 40, 41 are 2, 40 are 1, and an empty line is one too.
    assert rows_more([80, 41, 40, 0], 40) == 2
    assert rows_more([80, 41, 40, 0], 80) == 0
    assert rows_more([3], 0) == 2


def test_no_colours_where_none_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    on = Shown(monkeypatch, 80, NO_COLOR="1")
    with on.block:
        assert on.seen() == shown(RUNNING)
    assert BOLD in on.screen.styles
    assert not [each for each in on.screen.styles if each.startswith(("3", "4", "9"))]


ONCE = (
    "--trials", 6, "--rounds", 2, "--hidden", 4, "--epochs", 2, "--repeats", 2, "--workers", 1,
    "--json",
)  # fmt: skip


class Terminal(io.StringIO):
    """A file that says that it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def left_by(
    monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: object, encoding: str = "utf-8"
) -> Screen:
    """What a search of iris in the folder leaves on a terminal of 80 columns."""
    file = Terminal()
    monkeypatch.setattr(file, "encoding", encoding)
    monkeypatch.setattr(sys, "stderr", file)
    for name, value in (("COLUMNS", "80"), ("LINES", "24"), ("TTY_COMPATIBLE", "")):
        monkeypatch.setenv(name, value)
    place = ("--storage", f"sqlite:///{folder / 'hpo.db'}")
    assert run(["search", "iris", *map(str, (*ONCE, *arguments)), *place]) == 0
    screen = Screen(80)
    screen.write(file.getvalue())
    return screen


def test_a_finished_study_shows_the_block_that_stood_there_when_it_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    lines = left_by(monkeypatch, tmp_path).shown
    assert lines[0] == "iris: round 2/2, 6/6 trials"
    titles = [each.split()[0] for each in lines[1:-2]]
    assert titles == ["searched", "learning_rate", "weight_decay"]
    values = {
        number: each["values"][0][1]
        for number, each in stored_trials(tmp_path / "hpo.db", "iris").items()
    }
    best = max(values, key=lambda number: (values[number], -number))
    assert lines[-2] == f"best val acc {values[best]:.3f} (trial {best})"
    assert lines[-1].startswith("winner: trial ")
    assert left_by(monkeypatch, tmp_path).shown == lines
    in_ascii = left_by(monkeypatch, tmp_path, encoding="ascii").shown
    assert all(row.isascii() for row in in_ascii)
    assert in_ascii[0] == lines[0]


def test_a_dumb_terminal_has_plain_lines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TERM", "dumb")
    screen = left_by(monkeypatch, tmp_path)
    assert screen.styles == set()
    text = "".join(screen.rows)
    assert text.count("6/6 trials, best val acc") >= 2
    assert text.endswith(", training the best 6 again to choose the winner, 12/12 networks")
    assert left_by(monkeypatch, tmp_path).shown == [""], "there is nothing to tell"


def test_ctrl_c_leaves_the_terminal_clean_and_says_how_to_go_on(tmp_path: Path) -> None:
    endless = ("--epochs", 10**6, "--patience", 0, "--trials", 2, "--rounds", 1, "--workers", 1)
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 20, 0, 0))
    left_out = {"NO_COLOR", "COLUMNS", "LINES", "FORCE_COLOR"}
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    here = {"PYTHONPATH": str(Path(__file__).parents[2]), "TERM": "xterm-256color"}
    process = subprocess.Popen(
        [sys.executable, "-m", "hpo", "search", "iris", *map(str, endless)],
        cwd=tmp_path,
        env=kept | here,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=its,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    os.close(its)
    wait_until(lambda: len(trials_so_far(tmp_path / "hpo.db", "iris")) == 2, "it trains", 60)
    process.send_signal(signal.SIGINT)
    screen = Screen(20)
    screen.write(printed(ours))
    assert (process.wait(60), screen.has_cursor, screen.column) == (130, True, 0)
    assert screen.shown[0] == "iris: round 1/1,"
    said = "".join(screen.rows).partition("hpo: ")[2]
    assert said == "interrupted; the same command goes on from here"


def printed(terminal: int) -> str:
    """Everything that was printed on a terminal until nobody held it open any more."""
    found = b""
    with os.fdopen(terminal, "rb", buffering=0) as file, suppress(OSError):  # is its end on Linux
        while more := file.read(1 << 16):
            found += more
    return found.decode()
