"""``hpo report``: one page of HTML that tells of a search."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hpo.cli.options import json_option, storage_option, study_argument
from hpo.cli.printing import emit, plain
from hpo.errors import UsageError

if TYPE_CHECKING:
    from hpo.report.records import Study


@click.command(short_help="One HTML file that tells of a search, with pictures.")
@study_argument
@storage_option
@click.option(
    "--output",
    metavar="FILE.html",
    help="Where it is written; - for stdout. Default: STUDY-report.html.",
)
@json_option
def report(study: str | None, storage: str, output: str | None, as_json: bool) -> None:
    """Write a report of STUDY: what was searched, what came out, and what not to conclude.

    \b
    Example:
      hpo report digits
      hpo report digits --output digits.html

    One file that opens without a network, with tables and pictures, from what is stored: it can be
    written while searches run. STUDY may be left out where there is only one.
    """
    from hpo.report.page import report as page
    from storage.urls import masked

    if output == "-" and as_json:
        raise UsageError("--output - writes the page to stdout, where --json prints; leave one out")
    told = told_of(study, storage)
    text = page(told)
    if output == "-":
        emit(text.rstrip("\n"))
        return
    path = output or f"{_file_name(told.name)}-report.html"
    n_bytes = _write(path, text)
    if as_json:
        document = {"study": told.name, "storage": masked(storage), "output": path}
        emit(json.dumps({**document, "bytes": n_bytes}))
    else:
        emit(plain(path))


def told_of(study: str | None, storage: str) -> Study:
    """What the storage holds of the study, and the command that searches it again."""
    from hpo.recounting import recount
    from storage.reader import opened
    from storage.urls import masked

    with opened(storage) as reader:
        return reader.read(lambda connection: recount(connection, study, masked(storage)))


def _file_name(study: str) -> str:
    """A name that a file may have on any system."""
    return re.sub(r"[^\w.-]+", "_", study).strip("._") or "study"


def _write(path: str, text: str) -> int:
    content = text.encode("utf-8", "backslashreplace")
    try:
        Path(path).write_bytes(content)
    except OSError as error:
        raise UsageError(f"--output {path}: {error.strerror}") from error
    return len(content)
