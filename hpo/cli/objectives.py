"""``--objectives``: what a search works towards besides a good score."""

from __future__ import annotations

import click

from hpo.settings import OBJECTIVES

_SCORE = OBJECTIVES[0]


def _parse(_context: click.Context, _option: click.Parameter, text: str) -> tuple[str, ...]:
    """Names such as ``score,size``, in the order in which a study keeps their values."""
    names = [part.strip() for part in text.split(",")]
    unknown = [name for name in names if name not in OBJECTIVES]
    if unknown:
        raise click.BadParameter(f"{unknown[0]!r} is none: choose of {', '.join(OBJECTIVES)}")
    if len(set(names)) < len(names):
        raise click.BadParameter(f"{text!r} names one twice")
    if _SCORE not in names:
        raise click.BadParameter(f"{text!r} leaves the score out: write {_SCORE},{','.join(names)}")
    return tuple(name for name in OBJECTIVES if name in names)


objectives_option = click.option(
    "--objectives",
    metavar="NAMES",
    callback=_parse,
    default=_SCORE,
    show_default=True,
    help="score, and size or latency after a comma; needs a sampler for several.",
)
