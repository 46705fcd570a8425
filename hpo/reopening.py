"""A study that is there already, with its data read again as they were."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import Connection

from hpo.data.errors import DataError, OptionError
from hpo.data.loading import load
from hpo.data.table import Dataset
from hpo.errors import UsageError
from hpo.joined_study import JoinedStudy
from hpo.joining import DEFAULT_JOINING, Joining, joined
from hpo.leaderboard import choose
from hpo.ranking import EXPERIMENT_ATTRIBUTE
from hpo.settings import Settings
from storage import optuna_studies, our_experiments
from storage.our_experiments import Made
from storage.reader import opened


class Known(NamedTuple):
    """What a storage says of one study of ours."""

    name: str
    made: Made
    settings: Settings
    preparation: dict[str, Any]
    study_id: int


def known(connection: Connection, name: str | None) -> Known:
    """The study of this name, or the only one.

    Raises
    ------
    UsageError
        If there is none, or ``hpo search`` has not made it; says what there is.
    """
    study = choose(optuna_studies.studies(connection, EXPERIMENT_ATTRIBUTE), name)
    made = our_experiments.made(connection).get(study.experiment or "")
    if made is None:
        raise UsageError(f"study {study.name!r} was not made by hpo search, so it has no networks")
    settings = our_experiments.document(connection, made.uid, "settings")
    preparation = our_experiments.document(connection, made.uid, "preparation")
    return Known(study.name, made, Settings.from_json(settings), preparation, study.study_id)


@contextmanager
def reopened(
    name: str | None,
    url: str,
    *,
    data: str | None = None,
    labels: str | None = None,
    joining: Joining = DEFAULT_JOINING,
) -> Iterator[JoinedStudy]:
    """The experiment of a study that is there, of which this process becomes a search.

    ``data`` is where its data are now, None for where they were.

    Raises
    ------
    DataError
        If the data cannot be read.
    UsageError
        If there is no such study, or its data have changed.
    StorageError
        If the database cannot be used.
    """
    with opened(url) as reader:
        found = reader.read(lambda connection: known(connection, name))
    dataset = data_of(found, data, labels)
    settings, study = found.settings, found.name
    # What fixes the size of rounds is of no importance to a study that has begun.
    with joined(
        dataset, settings, study=study, url=url, trials=settings.rounds, joining=joining
    ) as experiment:
        yield experiment


def data_of(found: Known, data: str | None = None, labels: str | None = None) -> Dataset:
    """The data of a study, read again; ``data`` is where they are now, None for where they were.

    Whether they are still the same is not asked.

    Raises
    ------
    DataError
        If they cannot be read.
    UsageError
        If an option does not fit them.
    """
    settings = found.settings
    try:
        return load(
            data or found.made.source,
            target=settings.target,
            labels=labels,
            header=settings.header,
            numeric=settings.numeric,
            group=settings.group,
            time=settings.time,
            test_file=found.preparation["split"].get("test_file"),
        )
    except OptionError as error:
        raise UsageError(str(error)) from error
    except DataError as error:
        if data is not None:
            raise
        raise DataError(f"{error} (the data of study {found.name!r}; --data says where)") from error
