"""The stories of a storage's studies, read again when something has changed."""

from __future__ import annotations

from threading import Lock
from typing import Any

from sqlalchemy import Connection

from hpo.errors import UsageError
from hpo.recounting import recount
from hpo.report.records import Study
from storage import catalogue, ledger, optuna_studies, our_experiments
from storage.errors import StorageError
from storage.reader import Reader


class Recounted:
    """Studies by name; ``attribute`` names the one of a study that holds its experiment."""

    def __init__(self, source: Reader, storage: str, attribute: str) -> None:
        self._source, self._storage = source, storage
        self._attribute = attribute
        self._known: dict[str, tuple[Any, Study | None]] = {}
        self._lock = Lock()

    def study(self, name: str) -> Study | None:
        """The study, the same object as long as nothing changes; None if it is not one of ours."""
        with self._lock:
            pulse = self._source.read(lambda connection: self._pulse(connection, name))
            known = self._known.get(name)
            if known is None or known[0] != pulse:
                known = pulse, None if pulse is None else self._read(name)
                self._known[name] = known
            return known[1]

    def _read(self, name: str) -> Study | None:
        try:
            return self._source.read(lambda each: recount(each, name, self._storage))
        except (UsageError, StorageError):  # another version's; the trials are shown all the same
            return None

    def _pulse(self, connection: Connection, name: str) -> Any:
        """What differs once something has happened to a study of ours; None of another's."""
        studies = optuna_studies.studies(connection, self._attribute)
        found = next((each for each in studies if each.name == name), None)
        if found is None or found.experiment not in our_experiments.made(connection):
            return None
        uid = found.experiment
        assert uid is not None
        return (
            optuna_studies.states(connection).get(found.study_id),
            [each.trials for each in catalogue.load_selections(connection, uid)],
            [each[:2] for each in our_experiments.ensembles(connection, uid)],
            ledger.looks(connection, uid),
        )
