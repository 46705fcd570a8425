"""``hpo gc``: remove what nobody refers to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from hpo.cli.options import Number, artifacts_option, json_option, storage_option
from hpo.cli.printing import emit, plain, room, wrapped
from hpo.data.wording import counted

if TYPE_CHECKING:
    from hpo.cleaning import Cleaned


@click.command(short_help="Remove files and rows that nobody refers to.")
@storage_option
@artifacts_option
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@click.option(
    "--older-than",
    type=Number(0),
    metavar="SECONDS",
    default=3600,
    show_default=True,
    help="Leave files that are younger: a search may be about to enter them.",
)
@json_option
def gc(
    storage: str, artifacts: str | None, dry_run: bool, older_than: float, as_json: bool
) -> None:
    """Remove stored networks, unfinished files and rows that no study refers to.

    \b
    Example:
      hpo gc --dry-run
      hpo gc

    These are networks that a search wrote and did not live to enter, and all that is left of
    studies that were deleted. A network of which this storage does not know the study stays, for
    another storage may use the same folder or bucket.
    """
    from hpo.cleaning import clean
    from storage.errors import StorageError

    cleaned = clean(storage, artifacts, older_than, dry_run=dry_run)
    if as_json:
        emit(json.dumps(vars(cleaned)))
    else:
        emit("\n".join(wrapped(_lines(cleaned, older_than), room())))
    if cleaned.failures:
        raise StorageError("; ".join(cleaned.failures.values()))


def _lines(cleaned: Cleaned, older_than: float) -> list[str]:
    from hpo.cli.words import size

    verb = "would remove" if cleaned.dry_run else "removed"
    lines = []
    if cleaned.networks:
        lines.append(
            f"{verb} {counted(cleaned.networks, 'network')}, {size(cleaned.network_bytes)}"
        )
    if cleaned.unfinished:
        files = counted(cleaned.unfinished, "unfinished file")
        lines.append(f"{verb} {files}, {size(cleaned.unfinished_bytes)}")
    lines += [
        f"{verb} {counted(each['rows'], 'row')} of a deleted study of {plain(each['source'])}, "
        f"made {each['made'][:16].replace('T', ' ')}"
        for each in cleaned.experiments
    ]
    if not lines:
        lines.append("nothing to remove")
    if cleaned.young:
        lines.append(
            f"stays: {counted(cleaned.young, 'network')} that nobody refers to, "
            f"younger than {older_than:g} s"
        )
    lines += [
        f"stays: {counted(count, 'network')} in {plain(where)}, {size(n_bytes)}, "
        "of no study that this storage knows"
        for where, (count, n_bytes) in cleaned.unknown.items()
    ]
    return lines + [f"stays: {plain(each)}" for each in cleaned.unseen]
