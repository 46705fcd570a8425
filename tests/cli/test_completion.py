"""Completion in real shells: what the script asks for, and what it is answered."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running import Hpo

ROOT = Path(__file__).parents[2]


def completed(folder: Path, line: str) -> list[str]:
    """What bash is told for this line, whose last word is begun."""
    words = line.split(" ")
    variables = {
        "_HPO_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
        "PYTHONPATH": str(ROOT),
    }
    kept = {name: each for name, each in os.environ.items() if not name.startswith("HPO_")}
    done = subprocess.run(
        [sys.executable, "-m", "hpo"],
        cwd=folder,
        env=kept | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_commands_options_choices_and_data(tmp_path: Path) -> None:
    assert completed(tmp_path, "hpo le") == ["plain,leaderboard"]
    assert completed(tmp_path, "hpo search --trial") == ["plain,--trials"]
    assert completed(tmp_path, "hpo search --sampler n") == ["plain,narrowing", "plain,nsga2"]
    assert completed(tmp_path, "hpo search w") == ["plain,wine", "file,w"]


def test_studies(tmp_path: Path, two_searches: Path) -> None:
    assert completed(tmp_path, "hpo show i") == []
    shutil.copytree(two_searches, tmp_path, dirs_exist_ok=True)
    assert completed(tmp_path, "hpo show i") == ["plain,iris"]
    (tmp_path / "hpo.toml").write_text("nonsense = 1\n")
    assert completed(tmp_path, "hpo leaderboard w") == ["plain,wine"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_one_that_the_shell_reads(hpo: Hpo, shell: str) -> None:
    ran = hpo("completion", shell)
    assert ran.code == 0
    assert "_HPO_COMPLETE" in ran.out
    if shutil.which(shell) is not None:
        subprocess.run([shell, "-n"], input=ran.out, text=True, check=True)


def test_another_shell_is_refused(hpo: Hpo) -> None:
    ran = hpo("completion", "tcsh")
    assert ran.code == 2
    assert "'bash', 'zsh', 'fish'" in ran.err
