"""Fixtures of several folders."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from hpo.cli.app import run
from tests.running import Hpo, Ran

# The same examples in every run, so that a gate that was green stays green; no deadline, because
# cores are shared.
settings.register_profile("gate", derandomize=True, deadline=None)
settings.load_profile("gate")


@pytest.fixture
def hpo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Hpo:
    """Run the command in this process, in an empty folder; training stays in it too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HPO_STORAGE", raising=False)

    def command(*arguments: object) -> Ran:
        capsys.readouterr()
        workers = () if "--workers" in arguments else ("--workers", "1")
        code = run([*map(str, arguments), *(workers if arguments[:1] == ("search",) else ())])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return command
