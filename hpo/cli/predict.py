"""``hpo predict``: predictions of a stored model for new rows."""

from __future__ import annotations

import os
import secrets
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from hpo.cli.frame import say
from hpo.cli.options import artifacts_option, model_option, storage_option, study_argument
from hpo.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator


@click.command(short_help="Predict new rows with a stored model.")
@study_argument
@storage_option
@click.option("--input", "source", metavar="FILE", required=True, help="The new rows.")
@click.option(
    "--output", metavar="FILE", help="Where predictions go, as CSV. Default: to the terminal."
)
@model_option
@click.option("--proba", is_flag=True, help="Write the probability of each class too.")
@artifacts_option
def predict(
    study: str | None,
    storage: str,
    source: str,
    output: str | None,
    model: str | None,
    proba: bool,
    artifacts: str | None,
) -> None:
    """Predict the rows of a file with a model of STUDY.

    \b
    Example:
      hpo predict penguins --input new.csv --output predictions.csv --proba

    There is a line for each row, in its order. The file needs the columns that the study learnt
    from; others are passed over. Missing cells and texts that were never seen are dealt with as
    the model has learnt it. STUDY may be left out where there is only one.
    """
    from hpo import prediction

    found, ready, fitted = prediction.stored_model(study, storage, model, artifacts)
    if proba and not fitted.target.classes:
        raise UsageError(f"--proba: {found.name} predicts numbers, which have no probabilities")
    rows = prediction.new_rows(source, found, fitted)
    with _opened(output) as file:
        count = prediction.write(prediction.predicted(fitted, rows, proba=proba), file)
    where = "" if output is None else f" in {output}"
    say(f"{count} predictions{where} by the model {ready.name!r} of {found.name}")


@contextmanager
def _opened(path: str | None) -> Iterator[TextIO]:
    """A file that is there when it is whole, or stdout."""
    if path is None:
        try:
            yield sys.stdout
            sys.stdout.flush()
        except BrokenPipeError:
            # Whoever read our output has enough; Python must not complain while it flushes.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    target = Path(path)
    unfinished = target.with_name(f".{target.name}.{secrets.token_hex(4)}.new")
    try:
        with unfinished.open("x", encoding="utf-8", newline="") as file:
            yield file
        unfinished.replace(target)
    except OSError as error:
        raise UsageError(f"--output {path}: {error.strerror}") from error
    finally:
        unfinished.unlink(missing_ok=True)
