"""Where a benchmark's figures go: tables for people and, if asked for, everything as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, TextIO

from benchmarks.machine import machine

STANDARD_OUTPUT = "-"


def add_json(parser: argparse.ArgumentParser) -> None:
    """Give a benchmark its option ``--json``."""
    words = f"write everything there; {STANDARD_OUTPUT} for standard output"
    parser.add_argument("--json", metavar="FILE", help=words)


def screen(target: str | None) -> TextIO:
    """Where tables are printed, so that standard output holds nothing but the JSON."""
    return sys.stderr if target == STANDARD_OUTPUT else sys.stdout


def met(holds: bool) -> str:
    """Of a target, in words."""
    return "met" if holds else "not met"


def write(target: str | None, **found: Any) -> None:
    """Write what was found, and on which machine, to the place that ``--json`` named, if any."""
    if target is None:
        return
    text = json.dumps({"machine": machine()} | found, indent=1) + "\n"
    if target == STANDARD_OUTPUT:
        sys.stdout.write(text)
    else:
        Path(target).write_text(text, encoding="utf-8")
