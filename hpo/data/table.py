"""A data set in memory: columns of numbers and of coded texts, and those that are no features."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hpo.data.wording import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from hpo.data.steering import SplitColumn


@dataclass(frozen=True, eq=False)
class Table:
    """The feature columns of a data set.

    Attributes
    ----------
    columns : the names of all columns, in the order of the file
    numeric : (rows, n_numeric) float64, NaN where a cell is missing; uint8 for grey-level images
    numeric_names : the names of the columns of `numeric`
    codes : (rows, n_text) int32, indices into the column's vocabulary; -1 where a cell is missing
    text_names : the names of the columns of `codes`
    vocabularies : for each text column its distinct texts, sorted
    image_shape : (height, width) or (height, width, channels) when `numeric` holds pixels
    """

    columns: tuple[str, ...]
    numeric: NDArray[Any]
    numeric_names: tuple[str, ...]
    codes: NDArray[np.int32]
    text_names: tuple[str, ...]
    vocabularies: tuple[tuple[str, ...], ...]
    image_shape: tuple[int, ...] | None = None

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        return len(self.numeric)

    @classmethod
    def of_numbers(
        cls,
        numeric: NDArray[Any],
        names: tuple[str, ...],
        image_shape: tuple[int, ...] | None = None,
    ) -> Table:
        """Return a table without text columns; `numeric` is (rows, len(names))."""
        no_codes = np.empty((len(numeric), 0), dtype=np.int32)
        return cls(names, numeric, names, no_codes, (), (), image_shape)

    def pop(self, name: str) -> tuple[Table, Column]:
        """Return the table without the column of this name, and that column.

        Raises
        ------
        KeyError
            There is no such column.
        """
        if name in self.numeric_names:
            i = self.numeric_names.index(name)
            column = Column(name, self.numeric[:, i].astype(np.float64), None)
            rest = replace(
                self,
                numeric=np.delete(self.numeric, i, axis=1),
                numeric_names=_without(self.numeric_names, i),
            )
        elif name in self.text_names:
            i = self.text_names.index(name)
            codes = self.codes[:, i]
            values = np.where(codes < 0, np.nan, codes)
            column = Column(name, values, self.vocabularies[i])
            rest = replace(
                self,
                codes=np.delete(self.codes, i, axis=1),
                text_names=_without(self.text_names, i),
                vocabularies=_without(self.vocabularies, i),
            )
        else:
            raise KeyError(name)
        return replace(rest, columns=_without(self.columns, self.columns.index(name))), column


@dataclass(frozen=True, eq=False)
class Column:
    """A single column.

    Attributes
    ----------
    name : its name
    values : (rows,) float64; of texts the indices into `vocabulary`. NaN where missing
    vocabulary : the sorted distinct texts; None when the column is numbers
    """

    name: str
    values: NDArray[np.float64]
    vocabulary: tuple[str, ...] | None

    def label(self, value: float) -> str:
        """Return what the user wrote for `value`: a text, or a number such as `3` or `0.5`."""
        if self.vocabulary is not None:
            return self.vocabulary[int(value)]
        return str(int(value)) if float(value).is_integer() else repr(float(value))


class Target(Column):
    """The column to predict."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Features and target of the same rows.

    Attributes
    ----------
    name : the name of a shipped set, or the file's stem
    source : the name of a shipped set, or the file's absolute path
    features, target : the columns
    warnings : one line each; what was decided about the data without being asked
    steering : the column that says how rows are split, if one does; it is no feature
    test : the test rows when they have a file of their own, with the same columns; else None
    """

    name: str
    source: str
    features: Table
    target: Target
    warnings: tuple[str, ...]
    steering: SplitColumn | None = None
    test: Dataset | None = None


def fingerprint(dataset: Dataset) -> dict[str, Any]:
    """Return plain values that tell one content from another: rows, columns, target and hashes.

    Only what was parsed counts: names, their order, cells, and which column is the target. Line
    endings, quotes, the way a number is written and the place of the file do not. A column that
    says how rows are split counts as any other; test rows of another file have the key `test`.
    """
    target = dataset.target
    columns = list(column_hashes(dataset.features).items())
    if dataset.steering is not None:
        column = dataset.steering.column
        found = (column.name, _hash(column.values, column.vocabulary))
        columns.insert(dataset.steering.position, found)
    summary: dict[str, Any] = {
        "rows": dataset.features.n_rows,
        "target": target.name,
        # Apart from the features, one of which may have the same name.
        "target_sha256": _hash(target.values, target.vocabulary),
        "columns": dict(columns),
    }
    if dataset.test is not None:
        summary["test"] = fingerprint(dataset.test)
    overall = json.dumps(summary, ensure_ascii=True, separators=(",", ":"))
    return {**summary, "sha256": hashlib.sha256(overall.encode()).hexdigest()}


def column_hashes(table: Table) -> dict[str, str]:
    """Return the SHA-256 of each column's content, in the order of the file."""
    return {name: _hash(values, texts) for name, values, texts in _contents(table)}


def describe_change(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return one line that says how two fingerprints differ; empty when they are equal."""
    before, after = (
        {**each["columns"], each["target"]: each["target_sha256"]} for each in (old, new)
    )
    same_rows = old["rows"] == new["rows"]
    changed = [name for name in before if name in after and before[name] != after[name]]
    parts = [
        "" if same_rows else f"rows {old['rows']} -> {new['rows']}",
        f"columns changed: {listed(changed)}" if same_rows and changed else "",
        _names("new", [name for name in after if name not in before]),
        _names("gone", [name for name in before if name not in after]),
        "" if old["target"] == new["target"] else f"target {old['target']} -> {new['target']}",
    ]
    parts.append(_describe_test(old.get("test"), new.get("test")))
    line = "; ".join(part for part in parts if part)
    return line or ("" if old["sha256"] == new["sha256"] else "columns in another order")


def _describe_test(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> str:
    """Say how the test rows of a file of their own differ; empty when they do not."""
    if old is None or new is None:
        rows = [f"{each['rows']} rows" if each else "none" for each in (old, new)]
        return "" if old is new else f"test file {rows[0]} -> {rows[1]}"
    change = describe_change(old, new)
    return f"test file: {change}" if change else ""


def _names(title: str, names: list[str]) -> str:
    return f"{title}: {listed(names)}" if names else ""


def _without(entries: tuple[Any, ...], at: int) -> tuple[Any, ...]:
    return entries[:at] + entries[at + 1 :]


def _contents(table: Table) -> Iterator[tuple[str, NDArray[Any], tuple[str, ...] | None]]:
    """Yield name, values and vocabulary of each column in the order of the file."""
    numeric = {name: i for i, name in enumerate(table.numeric_names)}
    text = {name: i for i, name in enumerate(table.text_names)}
    for name in table.columns:
        if name in numeric:
            yield name, table.numeric[:, numeric[name]], None
        else:
            yield name, table.codes[:, text[name]], table.vocabularies[text[name]]


def _hash(values: NDArray[Any], vocabulary: tuple[str, ...] | None) -> str:
    """Return the SHA-256 of a column; the same on every machine for the same content."""
    digest = hashlib.sha256(json.dumps(vocabulary).encode())
    numbers = values.astype("<f8") + 0.0  # -0.0 becomes 0.0
    numbers[np.isnan(numbers)] = np.nan  # one of the many NaNs
    digest.update(numbers.tobytes())
    return digest.hexdigest()
