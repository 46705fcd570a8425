"""``hpo show``: one study or one trial, whole."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from hpo.cli.completion import complete_study
from hpo.cli.options import json_option, storage_option
from hpo.cli.printing import emit, room
from hpo.errors import UsageError

if TYPE_CHECKING:
    from sqlalchemy import Connection


@click.command(short_help="One study or one trial, whole.")
@click.argument("study", metavar="[STUDY[/TRIAL]]", required=False, shell_complete=complete_study)
@storage_option
@json_option
def show(study: str | None, storage: str, as_json: bool) -> None:
    """Show all that is kept of a study, or of one of its trials.

    \b
    Example:
      hpo show digits
      hpo show digits/41

    Of a study: data, split, settings, rounds with their ranges, the best trials, how the winner was
    chosen, ensembles, looks at the test rows, and the command that makes it again. Of a trial:
    parameters, scores, curves, its place, and why it failed if it did. Nothing is written. STUDY
    may be left out where there is only one: hpo show /41.
    """
    from hpo.cli.study_screen import study_lines
    from hpo.cli.trial_screen import trial_lines
    from storage.reader import opened

    with opened(storage) as reader:
        document = reader.read(lambda connection: _read(connection, study, storage))
    if as_json:
        emit(json.dumps(document, allow_nan=False))
    else:
        lines = trial_lines if "trial" in document else study_lines
        emit("\n".join(lines(document, room())))


def _read(connection: Connection, study: str | None, storage: str) -> dict[str, Any]:
    """The study of this name; else what stands before the last slash is one, and behind a trial."""
    from hpo.ranking import EXPERIMENT_ATTRIBUTE
    from hpo.whole_study import read_study
    from hpo.whole_trial import read_trial
    from storage import optuna_studies
    from storage.urls import masked

    names = {each.name for each in optuna_studies.studies(connection, EXPERIMENT_ATTRIBUTE)}
    if study is None or study in names or "/" not in study:
        return read_study(connection, study, masked(storage))
    name, _, number = study.rpartition("/")
    if not (number.isascii() and number.isdigit()):
        raise UsageError(
            f"{study!r}: behind the slash stands the number of a trial, as in "
            f"{name or next(iter(names), 'digits')}/0"
        )
    return read_trial(connection, name or None, int(number), masked(storage))
