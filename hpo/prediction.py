"""Predictions of a stored model for new rows, written row by row."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TextIO

from numpy.typing import NDArray

from hpo import models
from hpo.data.loading import stream_features
from hpo.data.table import Table
from hpo.inventory import where_of
from hpo.models import BLOCK, Model, Ready, predictions
from hpo.reopening import Known, known
from storage.artifacts import open_artifacts
from storage.reader import opened


def stored_model(
    study: str | None, url: str, name: str | None, artifacts: str | None = None
) -> tuple[Known, Ready, Model]:
    """The study, and its model of this name, or that with the best promised score; read only.

    ``artifacts`` is where models are, None for where the study keeps them.

    Raises
    ------
    ArtifactError
        If the model is missing or damaged.
    NoFiniteTrialError
        If the study has no model.
    UsageError
        If there is no such study or model.
    """
    with opened(url) as reader:
        found = reader.read(lambda connection: known(connection, study))
        ready = reader.read(lambda connection: models.ready(connection, found.made.uid))
        where = artifacts or where_of(found.made, reader.place)
    chosen = models.choose(ready, name)
    return found, chosen, models.load(open_artifacts(where), chosen)


def new_rows(source: str, found: Known, model: Model) -> Iterator[Table]:
    """The rows of a file with the columns that the model knows; others are passed over.

    Those of a text file come block by block, so that it may be larger than the memory.

    Raises ``DataError`` if a column is missing, or holds a text where numbers must be.
    """
    encoding = model.encoding
    return stream_features(
        source,
        numeric=encoding.numeric_names,
        text=encoding.text_names,
        header=found.settings.header,
        height=BLOCK,
    )


def predicted(model: Model, tables: Iterable[Table], *, proba: bool) -> Iterator[list[Any]]:
    """The head, and then a line for each row: what is predicted, and each class' probability.

    Nothing comes before the first rows were read without a fault.
    """
    classes = model.target.classes
    for place, table in enumerate(tables):
        if place == 0:
            yield ["prediction", *(f"proba_{each}" for each in classes if proba)]
        for block in predictions(model, table):
            yield from _lines(block, classes, proba=proba)


def _lines(prediction: NDArray[Any], classes: Sequence[str], *, proba: bool) -> Iterator[list[Any]]:
    if not classes:
        yield from ([repr(float(value))] for value in prediction[:, 0])
        return
    for row in prediction:
        yield [classes[int(row.argmax())], *(repr(float(each)) for each in row if proba)]


def write(lines: Iterator[list[Any]], file: TextIO) -> int:
    """Write CSV; returns how many rows there were besides the head."""
    writer = csv.writer(file, lineterminator="\n")
    count = 0
    writer.writerow(next(lines))
    for line in lines:
        writer.writerow(line)
        count += 1
    return count
