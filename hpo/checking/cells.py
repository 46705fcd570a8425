"""Cells that say nothing: missing ones, constant columns, categories that nobody has learnt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from hpo.checking.columns import Feature
from hpo.checking.finding import Finding
from hpo.checking.identifiers import identifies
from hpo.checking.subject import Part, Subject
from hpo.data.remarks import empty_and_constant, repeated
from hpo.data.table import Table
from hpo.data.wording import counted, listed, shown

MOSTLY = 0.5
"""A column with so large a share of missing cells says little."""

NEW = 0.1
"""A share of a part's rows with new categories in a column, from which on that is much."""


def check_missing(columns: Sequence[Feature], n_rows: int) -> Iterator[Finding]:
    """Missing cells, by column; of columns that have any value."""
    share = {
        each.name: 1 - len(each.values) / n_rows
        for each in columns
        if 0 < len(each.values) < n_rows
    }
    if not share:
        yield Finding("ok", "missing", "no cell is missing")
        return
    mostly = [name for name in share if share[name] >= MOSTLY]
    for name in mostly:
        yield Finding(
            "warning",
            "missing",
            f"{shown(name)}: {share[name]:.0%} of its cells are missing",
            "delete the column if the others say as much",
            (name,),
        )
    few = sorted((name for name in share if name not in mostly), key=lambda name: -share[name])
    if few:
        shares = [f"{shown(name)[1:-1]} {_percent(share[name])}" for name in few]
        what = f"missing cells, which are filled from the training rows: {listed(shares, 6)}"
        yield Finding("note", "missing", what, columns=tuple(few))


def check_content(table: Table) -> Iterator[Finding]:
    """Columns that are empty, constant, or equal to an earlier one; pixels are passed over."""
    if table.image_shape is not None:
        return
    empty, constant = empty_and_constant(table)
    same = repeated(table, {*empty, *constant})
    found = {
        "columns without any value, left out": (empty, empty),
        "columns with one value in every row, left out": (constant, constant),
        "columns that repeat another": (same, [each.split(" = ")[0] for each in same]),
    }
    for what, (texts, names) in found.items():
        if texts:
            yield Finding("note", "content", f"{what}: {listed(texts)}", columns=tuple(names))
    if not any(texts for texts, _ in found.values()):
        yield Finding("ok", "content", "no column is empty, constant or a copy of another")


def check_new_categories(subject: Subject, columns: Sequence[Feature]) -> Iterator[Finding]:
    """Categories of validation and test rows that no training row has."""
    passed_over = {each.name for each in columns if identifies(each) or each.is_dates}
    first, *others = subject.parts
    if not first.table.text_names:
        return
    found = False
    for part in others:
        new = {
            name: n_new
            for i, name in enumerate(part.table.text_names)
            if name not in passed_over and (n_new := _new_rows(first, part, i))
        }
        for level, names in (
            ("warning", [name for name in new if new[name] >= NEW * len(part.rows)]),
            ("note", [name for name in new if new[name] < NEW * len(part.rows)]),
        ):
            if names:
                found = True
                rows = listed([f"{shown(name)[1:-1]} ({new[name]:,})" for name in names], 6)
                yield Finding(
                    "warning" if level == "warning" else "note",
                    "categories",
                    f"{counted(len(part.rows), f'{part.name} row')}, of which some have categories "
                    f"that no training row has: {rows}",
                    "write rare ones as one" if level == "warning" else "",
                    tuple(names),
                )
    if not found:
        yield Finding("ok", "categories", "every category has a training row")


def _new_rows(training: Part, part: Part, column: int) -> int:
    """How many rows of a part have a text that no training row has; missing cells are none."""
    texts = training.table.vocabularies[column]
    known = {
        texts[code]
        for code in np.unique(training.table.codes[training.rows, column]).tolist()
        if code >= 0
    }
    own = part.table.vocabularies[column]
    is_new = np.array([*(text not in known for text in own), False])
    return int(is_new[part.table.codes[part.rows, column]].sum())


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.095 else f"{share:.1%}"
