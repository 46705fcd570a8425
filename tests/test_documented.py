"""Every command, option and public name is documented; help begins with an example, and quickly."""

from __future__ import annotations

import re
import resource
import subprocess
import sys
from pathlib import Path

import click
import pytest

import ensembles
import hpo
from hpo.cli.app import cli, run

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = "\n".join(page.read_text() for page in PAGES)


@pytest.mark.parametrize("command", cli.commands.values(), ids=cli.commands)
def test_a_command_is_documented_with_every_option(
    command: click.Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"hpo {command.name}" in TEXT
    flags = [each for p in command.params for each in p.opts if each.startswith("--")]
    absent = [flag for flag in flags if not re.search(rf"(?<![\w-]){flag}(?![\w-])", TEXT)]
    assert absent == []
    unsaid = [p.name for p in command.params if isinstance(p, click.Option) and not p.help]
    assert [name for name in unsaid if name not in {"optimizer", "schedule"}] == []
    assert run([]) == 0
    listed = capsys.readouterr().out
    assert re.search(rf"^  {command.name} +\w", listed, flags=re.MULTILINE)


@pytest.mark.parametrize("command", [cli, *cli.commands.values()], ids=["hpo", *cli.commands])
def test_help_begins_with_an_example(command: click.Command) -> None:
    assert command.help is not None
    first, example = command.help.split("\n\n")[:2]
    assert first.strip().endswith(".")
    lines = example.replace("\b", "").split("\n")
    lines = [line.strip() for line in lines if line.strip()]
    assert lines[0] == "Example:"
    of = "hpo search" if command is cli else f"hpo {command.name}"
    assert all(line.startswith(of) for line in lines[1:])
    assert len(lines) > 1


@pytest.mark.parametrize("name", [*hpo.__all__, *ensembles.__all__])
def test_a_public_name_is_documented(name: str) -> None:
    # Of each pair the tables name the classifier, and the regressor as `…Regressor`.
    twin = name.replace("Regressor", "Classifier")
    told = f"`{twin}`, `…Regressor`" in TEXT and name != twin
    assert told or re.search(rf"\b{name}\b", TEXT) or name == "__version__"


def test_help_imports_nothing_slow() -> None:
    """What --help took when it imported them: NumPy 0.1 s, Optuna and scikit-learn a second."""
    script = (
        "import sys; from hpo.cli.app import run; code = run(['--help']); "
        "slow = {'numpy', 'optuna', 'sklearn', 'sqlalchemy', 'rich'} & set(sys.modules); "
        "sys.exit(f'{code} {slow}' if code or slow else 0)"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_help_is_quick() -> None:
    """In seconds of a processor, for this one may be busy; the quickest of five."""
    command = [sys.executable, "-m", "hpo", "--help"]
    taken = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    assert min(taken) < 0.3
