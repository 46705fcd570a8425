"""Tables with and without faults, split as a search would split them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.checking.finding import Finding
from hpo.checking.subject import Subject
from hpo.data.remarks import remarks
from hpo.data.schema import infer_task
from hpo.data.splitting import Split, split_rows
from hpo.data.table import Dataset, Table, Target

Columns = dict[str, Any]


def table(columns: Columns) -> Table:
    """Columns of numbers, and of texts (None where one is missing)."""
    numbers = {name: each for name, each in columns.items() if not _is_text(each)}
    texts = {name: list(each) for name, each in columns.items() if _is_text(each)}
    n_rows = len(next(iter(columns.values())))
    vocabularies = tuple(tuple(sorted({*each} - {None})) for each in texts.values())
    codes = np.full((n_rows, len(texts)), -1, dtype=np.int32)
    for i, (each, known) in enumerate(zip(texts.values(), vocabularies, strict=True)):
        codes[:, i] = [-1 if text is None else known.index(text) for text in each]
    values = np.empty((n_rows, len(numbers)))
    for i, cells in enumerate(numbers.values()):
        values[:, i] = cells
    return Table(tuple(columns), values, tuple(numbers), codes, tuple(texts), vocabularies)


def subject(
    columns: Columns, target: Sequence[str] | NDArray[Any], split: Split | None = None
) -> Subject:
    """The columns and a target, split by lot and without strata if not otherwise."""
    features = table(columns)
    labels = np.asarray(target)
    vocabulary = tuple(np.unique(labels).tolist()) if labels.dtype.kind == "U" else None
    values = np.unique(labels, return_inverse=True)[1] if vocabulary else labels
    aim = Target("y", values.astype(np.float64), vocabulary)
    split = split or split_rows(features.n_rows, None)[0]
    data = Dataset("made", "made.csv", features, aim, remarks(features))
    return Subject(data, split, infer_task(aim))


def clean(n_rows: int = 400, seed: int = 0) -> tuple[Columns, NDArray[Any]]:
    """Columns and classes without any fault: no column alone tells the class."""
    rng = np.random.default_rng(seed)
    columns = {
        "width": rng.normal(size=n_rows),
        "height": rng.gamma(2.0, size=n_rows),
        "age": rng.integers(18, 90, size=n_rows).astype(float),
        "ward": rng.choice(["A", "B", "C"], size=n_rows),
    }
    ill = columns["width"] + columns["height"] + rng.normal(size=n_rows) > 2
    return columns, np.where(ill, "ill", "well")


def faults(found: Sequence[Finding]) -> list[tuple[str, str, tuple[str, ...]]]:
    """Level, check and columns of what is not in order."""
    return [(each.level, each.check, each.columns) for each in found if each.level != "ok"]


def _is_text(cells: Any) -> bool:
    return isinstance(cells[0], str) or cells[0] is None
