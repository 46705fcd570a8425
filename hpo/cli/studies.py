"""``hpo studies``: what a storage holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from hpo.cli.options import artifacts_option, json_option, storage_option
from hpo.cli.printing import emit, plain, room, wrapped

if TYPE_CHECKING:
    from hpo.cli.tables import Column, Value
    from hpo.inventory import Held, Holding


@click.command(short_help="What a storage holds.")
@storage_option
@artifacts_option
@json_option
def studies(storage: str, artifacts: str | None, as_json: bool) -> None:
    """List the studies of a storage: trials, best score, age, data, and bytes of disk.

    \b
    Example:
      hpo studies
      hpo studies --storage sqlite:///other.db

    The size is that of curves, predictions and stored networks. Nothing is written.
    """
    from hpo.inventory import look_over
    from storage.reader import opened
    from storage.urls import masked

    with opened(storage) as reader:
        holding = look_over(reader, artifacts)
        shown = str(reader.place)
    if as_json:
        document = {
            "storage": masked(storage),
            "bytes": holding.n_bytes,
            "studies": [each.document for each in holding.studies],
        }
        emit(json.dumps(document, allow_nan=False))
    else:
        emit("\n".join(_screen(holding, shown)))


def _screen(holding: Holding, shown: str) -> list[str]:
    from hpo.cli.tables import text_table
    from hpo.cli.words import size

    width = room()
    lines = []
    if holding.studies:
        table, hidden = text_table(_columns(holding.studies), width)
        lines += table
        if hidden:
            lines += wrapped([f"no room for {', '.join(hidden)}: --json has all"], width)
        lines.append("")
    count = len(holding.studies)
    studies = "1 study" if count == 1 else f"{count or 'no'} studies"
    lines += wrapped([f"{studies} in {plain(shown)}, {size(holding.n_bytes)}"], width)
    return lines


def _columns(held: list[Held]) -> list[Column]:
    from hpo.cli.tables import Column
    from hpo.cli.words import metric_word, score, size
    from hpo.leaderboard import STATES

    def count(value: Value) -> str:
        return str(value or 0)

    def n_bytes(value: Value) -> str:
        return size(float(value)) if value is not None else "-"

    bests = [
        f"{plain(metric_word(each.metric or ''))} {score(each.best)}".strip()
        if each.best is not None
        else None
        for each in held
    ]
    made = [each.made and each.made[:16].replace("T", " ") for each in held]
    used = [state for state in STATES.values() if any(each.counts.get(state) for each in held)]
    return [
        Column("study", [each.study for each in held], right=False, weight=9, shortest=12),
        *(
            Column(
                state,
                [each.counts.get(state) for each in held],
                count,
                weight=7 if state == "complete" else 5,
            )
            for state in used or ["complete"]
        ),
        Column("best", bests, right=False, weight=8),
        Column("made (UTC)", made, right=False, weight=3, short="made"),
        Column(
            "data", [each.source for each in held], right=False, weight=4, shortest=8, path=True
        ),
        Column("size", [each.n_bytes for each in held], n_bytes, weight=6),
    ]
