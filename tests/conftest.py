"""Fixtures of several folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpo.cli.app import run
from tests.running import Hpo, Ran


@pytest.fixture
def hpo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Hpo:
    """Run the command in this process, in an empty folder; training stays in it too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HPO_STORAGE", raising=False)

    def command(*arguments: object) -> Ran:
        capsys.readouterr()
        workers = () if "--workers" in arguments else ("--workers", "1")
        code = run([*map(str, arguments), *(workers if arguments[0] == "search" else ())])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return command
