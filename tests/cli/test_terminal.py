"""What a real terminal gets: colours and a live block, but for NO_COLOR and TERM=dumb."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running import QUICK

COLOUR = re.compile(r"\x1b\[(?:\d;)*(?:3[0-7]|9[0-7]|4[0-7])(?:;\d+)*m")


def on_a_terminal(folder: Path, variables: dict[str, str], *arguments: object) -> str:
    """What a command writes on a terminal, both its streams."""
    ours, theirs = pty.openpty()
    kept = {
        name: each
        for name, each in os.environ.items()
        if name not in {"NO_COLOR", "COLUMNS", "FORCE_COLOR"} and not name.startswith("HPO_")
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "hpo", *map(str, arguments)],
        cwd=folder,
        env=kept | {"PYTHONPATH": str(Path(__file__).parents[2])} | variables,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    written = b""
    try:
        while part := os.read(ours, 65536):
            written += part
    except OSError:  # Linux says so when nobody holds the other end any more
        pass
    os.close(ours)
    assert process.wait(timeout=60) == 0, written.decode()
    return written.decode()


@pytest.mark.parametrize(
    ("variables", "coloured", "live"),
    [
        ({"TERM": "xterm-256color"}, True, True),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, False, True),
        ({"TERM": "dumb"}, False, False),
    ],
)
def test_a_search(tmp_path: Path, variables: dict[str, str], coloured: bool, live: bool) -> None:
    written = on_a_terminal(tmp_path, variables, "search", "iris", *QUICK, "--workers", 1)
    assert bool(COLOUR.search(written)) == coloured
    assert ("\x1b[?25l" in written) == live, "the live block hides the cursor"
    assert ("\x1b" in written) == live
    assert "winner: trial" in written
