"""What goes to stdout, and how wide it may be."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterable

import click

from hpo.errors import UsageError


def emit(text: str) -> None:
    """Print a result."""
    try:
        try:
            click.echo(text)
        except UnicodeEncodeError:  # a file's name that is no text, or a terminal without UTF-8
            click.echo(text.encode("utf-8", "surrogateescape"))
    except BrokenPipeError:
        # Whoever read our output has enough; Python must not complain while it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        raise UsageError(f"the result cannot be written: {error.strerror}") from error


def room() -> int | None:
    """Columns of the terminal, or as ``COLUMNS`` says; None where lines may have any length."""
    if os.environ.get("COLUMNS", "").isdigit() or sys.stdout.isatty():
        return max(20, shutil.get_terminal_size().columns)
    return None


def wrapped(lines: Iterable[str], width: int | None) -> list[str]:
    """The lines, broken between words where they are too long; what follows is indented."""
    if width is None:
        return list(lines)
    return [part for line in lines for part in _broken(line, width)]


def _broken(line: str, width: int) -> list[str]:
    if len(line) <= width:
        return [line]
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.wrap(
        line,
        width,
        subsequent_indent=indent,
        break_long_words=False,  # a path or a URL that is broken cannot be copied
        break_on_hyphens=False,
    )


def plain(text: str) -> str:
    """``text`` without what could steer a terminal: names and reasons come from anywhere."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
