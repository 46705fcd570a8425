"""Pages of pictures that commands write."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from hpo.errors import UsageError

Page = Callable[[Mapping[str, Any]], str]

pictures_option = click.option(
    "--pictures", metavar="FILE", help="Draw it, as a page of HTML that needs no network."
)


def page_of(name: str, path: str) -> Page:
    """What draws the page of this name, which will be written to ``path``.

    It is asked for before time is spent on what cannot be drawn, or has no place.
    """
    if not Path(path).absolute().parent.is_dir():
        raise UsageError(f"--pictures {path}: there is no such folder")
    try:
        page: Page = import_module(f"hpo.report.{name}").page
    except ImportError as error:
        raise UsageError("--pictures needs plotly: pip install 'hpo-stacks[pictures]'") from error
    return page


def write_page(path: str, text: str) -> None:
    """Write a page."""
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--pictures {path}: {error.strerror}") from error
