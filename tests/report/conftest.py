"""A search whose names are an attack, with failures and an ensemble, and its report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hpo.cli.app import run

COLUMN = "<script>alert('column')</script>"
CLASSES = ("<b>one</b>", '"two"')
STUDY = "<i>evil</i> & co"
NAME = "<u>both</u>"


def table(path: Path) -> None:
    """Two classes that lie apart, with a little noise."""
    rng = np.random.default_rng(0)
    lines = [f"{COLUMN},other,kind"]
    for row in range(120):
        x = rng.normal() + 2 * (row % 2)
        name = CLASSES[row % 2].replace('"', '""')
        lines.append(f'{x:.4f},{rng.normal():.4f},"{name}"')
    path.write_text("\n".join(lines) + "\n")


SEARCH = (
    "--target", "kind", "--study", STUDY, "--trials", "36", "--rounds", "3", "--hidden", "6",
    "--epochs", "6", "--repeats", "2", "--optimizer", "sgd", "--seed", "3",
    "--space", "learning_rate=1e-3..1e20:log", "--space", "activation=relu|tanh",
)  # fmt: skip


@pytest.fixture(scope="session")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``hpo.db`` and its data."""
    folder = tmp_path_factory.mktemp("evil")
    table(folder / "evil.csv")
    place = ("--storage", f"sqlite:///{folder / 'hpo.db'}")
    alone = ("--workers", "1")
    assert run(["search", str(folder / "evil.csv"), *SEARCH, *place, *alone]) == 0
    build = ("--with", "logistic", "--methods", "greedy", "--folds", "2", "--name", NAME)
    assert run(["ensemble", STUDY, *build, *place, *alone]) == 0
    return folder
