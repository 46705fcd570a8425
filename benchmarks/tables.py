"""Tables to learn from: the same rows, in the same encoding, for every contestant."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import OneHotEncoder

TEST_SHARE = 0.2

DIAMONDS = 10_000
"""Rows that are drawn from the table of diamonds."""


@dataclass(frozen=True)
class Split:
    """Encoded rows (rows, features) float32 without gaps, and what is to be predicted (rows,)."""

    X: NDArray[np.float32]
    y: NDArray[Any]
    X_test: NDArray[np.float32]
    y_test: NDArray[Any]

    @property
    def digest(self) -> str:
        """Tells this split from others."""
        sums = hashlib.blake2b(digest_size=8)
        for part in (self.X, self.y, self.X_test, self.y_test):
            sums.update(np.ascontiguousarray(part).tobytes())
        return sums.hexdigest()


@dataclass(frozen=True)
class Table:
    """Rows as they were found.

    ``numbers`` (rows, features) with NaN for gaps, ``texts`` (rows, features) with "" for gaps;
    ``y`` (rows,) class indices or values.
    """

    numbers: NDArray[np.float64]
    texts: NDArray[np.str_]
    y: NDArray[Any]

    @property
    def classifies(self) -> bool:
        """Whether ``y`` holds classes."""
        return self.y.dtype.kind == "i"

    def split(self, seed: int) -> Split:
        """Keep a fifth of the rows for the test, by classes if there are any.

        Learnt from the training rows: medians, which fill gaps in numbers and are marked in a
        column of their own, and categories, which become columns of 0 and 1.
        """
        training, test = train_test_split(
            np.arange(len(self.y)),
            test_size=TEST_SHARE,
            random_state=seed,
            stratify=self.y if self.classifies else None,
        )
        fill = SimpleImputer(strategy="median", add_indicator=True).fit(self.numbers[training])
        spread = OneHotEncoder(handle_unknown="ignore", sparse_output=False)

        def encoded(rows: NDArray[np.int64]) -> NDArray[np.float32]:
            parts = [fill.transform(self.numbers[rows])]
            if self.texts.shape[1]:
                parts.append(spread.transform(self.texts[rows]))
            return np.hstack(parts).astype(np.float32)

        if self.texts.shape[1]:
            spread.fit(self.texts[training])
        return Split(encoded(training), self.y[training], encoded(test), self.y[test])


class File(NamedTuple):
    """A file of comma-separated values; ``target`` is a column's name, or the last one if None."""

    name: str
    classifies: bool
    target: str | None = None
    rows: int | None = None


FILES = {
    "banknote": File("banknote_authentication.csv", classifies=True),
    "glass": File("glass.csv", classifies=True),
    "ecoli": File("ecoli.csv", classifies=True),
    "penguins": File("penguins.csv", classifies=True, target="species"),
    "housing": File("housing.csv", classifies=False),
    "diamonds": File("diamonds.csv", classifies=False, target="price", rows=DIAMONDS),
}

SHIPPED: dict[str, Callable[..., Any]] = {
    "digits": load_digits,
    "breast_cancer": load_breast_cancer,
    "wine": load_wine,
}
"""What scikit-learn brings along."""

NAMES = (*SHIPPED, *FILES)


def load(name: str, folder: Path | None) -> Table | None:
    """A table by its name; None for one that is a file, if there is no ``folder`` of files."""
    if name in SHIPPED:
        X, y = SHIPPED[name](return_X_y=True)
        return Table(X, np.empty((len(X), 0), dtype=np.str_), y.astype(np.int64))
    return None if folder is None else read(folder, FILES[name])


def read(folder: Path, file: File, sample: int = 0) -> Table:
    """The table of a file in ``folder`` or in its ``tabular``; ``sample`` seeds a draw of rows."""
    places = [folder / file.name, folder / "tabular" / file.name]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise FileNotFoundError(f"{folder} has no {file.name}")
    with path.open(encoding="utf-8", newline="") as lines:
        cells = list(csv.reader(lines))
    header = cells.pop(0) if file.target is not None else [str(i) for i in range(len(cells[0]))]
    if file.rows is not None:
        drawn = np.random.default_rng(sample).choice(len(cells), file.rows, replace=False)
        cells = [cells[row] for row in drawn]
    columns = dict(zip(header, map(list, zip(*cells, strict=True)), strict=True))
    target = columns.pop(file.target or header[-1])
    numbers = {name: values for name, values in columns.items() if _numeric(values)}
    texts = [values for name, values in columns.items() if name not in numbers]
    if file.classifies:
        y: NDArray[Any] = np.unique(target, return_inverse=True)[1].astype(np.int64)
    else:
        y = np.array(target, dtype=np.float64)
    return Table(
        np.array([[float(cell or "nan") for cell in each] for each in numbers.values()]).T,
        np.array(texts, dtype=np.str_).T.reshape(len(y), len(texts)),
        y,
    )


def _numeric(values: list[str]) -> bool:
    try:
        return bool([float(value) for value in values if value])
    except ValueError:
        return False
