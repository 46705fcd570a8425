"""Data sets that searches are measured on: those of scikit-learn, and tables in a folder."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np

from hpo.data.loading import load
from hpo.data.table import Dataset

SHIPPED = ("wine", "breast_cancer", "diabetes", "digits")
FILES = {
    "penguins": ("penguins.csv", "species"),
    "banknote": ("banknote_authentication.csv", None),
    "glass": ("glass.csv", None),
    "ecoli": ("ecoli.csv", None),
    "wheat-seeds": ("wheat-seeds.csv", None),
    "housing": ("housing.csv", None),
    "diamonds": ("diamonds.csv", "price"),
}
"""File and target; without a target the file has no header, and the last column is it."""

ROWS = {"diamonds": 10_000}
"""How many rows are drawn, where it is not all of them."""


def add_data(parser: argparse.ArgumentParser) -> None:
    """Give a benchmark its option ``--data``."""
    parser.add_argument(
        "--data", metavar="DIR", help="folder with the files; or HPO_BENCHMARK_DATA"
    )


def data_folder(options: argparse.Namespace) -> str | None:
    """The folder that was given, by the option or by the environment."""
    folder: str | None = options.data or os.environ.get("HPO_BENCHMARK_DATA")
    return folder


def read(name: str, folder: str | None) -> Dataset:
    """The data set of this name; its file is in ``folder`` or in its ``tabular``."""
    if name in SHIPPED:
        return load(name)
    file, target = FILES[name]
    path = _path(file, folder)
    if name not in ROWS:
        return _loaded(path, target)
    with tempfile.TemporaryDirectory() as sample:
        drawn = Path(sample) / file
        drawn.write_text(_some_lines(path, ROWS[name]))
        return _loaded(drawn, target)


def _path(file: str, folder: str | None) -> Path:
    places = [Path(folder or ".") / file, Path(folder or ".") / "tabular" / file]
    return next((each for each in places if each.is_file()), places[0])


def _loaded(path: Path, target: str | None) -> Dataset:
    return load(str(path), target=target or "-1", header=target is not None)


def _some_lines(path: Path, rows: int) -> str:
    """The head of a file and so many of its other lines, in their order, always the same ones."""
    head, *lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    drawn = np.sort(np.random.default_rng(0).choice(len(lines), rows, replace=False))
    return head + "".join(lines[row] for row in drawn)
