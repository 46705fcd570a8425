"""Optuna's storage, with whole rounds written in one transaction.

Optuna, its command line and its dashboard read and write the same tables; only what would take a
transaction per trial is written here directly, through SQLAlchemy Core.
"""

from __future__ import annotations

import json
import weakref
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import sqlalchemy as sa
from optuna.distributions import BaseDistribution, distribution_to_json, json_to_distribution
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import TrialState
from sqlalchemy import Connection
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

from storage import migrations
from storage.engine import (
    BUSY_SECONDS,
    check_before_writing,
    check_revision,
    connect,
    explained,
    prepare,
    reading,
    sqlite_path,
    transaction,
)
from storage.errors import StorageError, StudyGoneError
from storage.locks import file_lock
from storage.records import Result, Slot, TrialRecord

KNOWN_SCHEMA = "v3.2.0.a"
"""The revision of Optuna's tables that the statements below are written for."""

_TRIALS: sa.Table = models.TrialModel.__table__
_PARAMS: sa.Table = models.TrialParamModel.__table__
_VALUES: sa.Table = models.TrialValueModel.__table__
_INTERMEDIATE: sa.Table = models.TrialIntermediateValueModel.__table__
_ATTRIBUTES: sa.Table = models.TrialUserAttributeModel.__table__
_STUDIES: sa.Table = models.StudyModel.__table__
_STUDY_ATTRIBUTES: sa.Table = models.StudyUserAttributeModel.__table__


class RoundStorage(RDBStorage):
    """An Optuna storage on a SQLite file that also holds our tables.

    ``path`` is the file, ``folder`` the one beside it where artifacts and locks stand. Raises
    ``StorageError`` for a file that is not ours to write in.
    """

    def __init__(self, url: str) -> None:
        self.path = sqlite_path(url)
        # Only .db is cut off: study.v1 and study.v2 are two databases.
        self.folder = self.path.with_name(self.path.name.removesuffix(".db") + ".artifacts")
        check_before_writing(self.path, KNOWN_SCHEMA)
        # Two processes that create the tables at the same time would hinder each other.
        with explained(self.path), file_lock(self.folder, "tables", BUSY_SECONDS):
            try:
                self._open(URL.create("sqlite", database=str(self.path)).render_as_string())
            except BaseException:
                if "engine" in self.__dict__:
                    self.engine.dispose()
                raise

    def _open(self, url: str) -> None:
        creator = partial(connect, self.path)
        _create_tables(sa.create_engine(url, creator=creator, poolclass=NullPool))
        super().__init__(
            url.replace("{", "{{").replace("}", "}}"),
            engine_kwargs={"creator": creator},
            # It imports every migration that Optuna ever had; ours below is as strict.
            skip_compatibility_check=True,
            skip_table_creation=True,
        )
        prepare(self.engine)
        # A storage that nobody holds any more is closed, at the latest when the process ends.
        weakref.finalize(self, self.engine.dispose)
        # Optuna's sessions read before they write; begun deferred, such a one fails at once, and
        # not after a wait, when another process has written in between.
        self.scoped_session.remove()
        self.scoped_session.configure(bind=self.engine.execution_options(immediate=True))
        check_revision(self.path, self.get_current_version(), KNOWN_SCHEMA)
        with transaction(self.engine) as connection:
            migrations.upgrade(connection)

    def __reduce__(self) -> tuple[type[RoundStorage], tuple[str]]:
        return RoundStorage, (self.url,)

    def transaction(self) -> AbstractContextManager[Connection]:
        """A writing transaction over Optuna's tables and ours: all of it happens, or nothing."""
        return transaction(self.engine)

    def reading(self) -> AbstractContextManager[Connection]:
        """A connection for reading."""
        return reading(self.engine)


def _create_tables(engine: sa.Engine) -> None:
    """Create Optuna's tables, all or none: some alone look like those of another program."""
    prepare(engine)
    with transaction(engine) as connection:
        models.BaseModel.metadata.create_all(connection)


def create_slots(
    connection: Connection,
    study_id: int,
    slots: Sequence[Slot],
    distributions: Mapping[str, BaseDistribution],
) -> None:
    """Enter ``slots`` as WAITING trials with their parameters and full distributions.

    Raises ``StorageError`` if the study's next number is not that of the first slot, as when
    another program added trials of its own.
    """
    present = count(connection, study_id)
    if present != slots[0].number:
        raise StorageError(
            f"the study holds {present} trials where {slots[0].number} were expected: another "
            "program added or removed some; use another --study"
        )
    rows = [{"number": slot.number, "study_id": study_id, "state": "WAITING"} for slot in slots]
    connection.execute(_TRIALS.insert(), rows)
    ids = _ids(connection, study_id, [slot.number for slot in slots])
    described = {name: distribution_to_json(each) for name, each in distributions.items()}
    connection.execute(
        _PARAMS.insert(),
        [
            {
                "trial_id": ids[slot.number],
                "param_name": name,
                "param_value": distributions[name].to_internal_repr(value),
                "distribution_json": described[name],
            }
            for slot in slots
            for name, value in slot.params.items()
        ],
    )


def claim_slots(connection: Connection, study_id: int, below: int) -> list[Slot]:
    """Set the WAITING trials numbered under ``below`` RUNNING and return them, in order.

    Raises ``StorageError`` for a trial without parameters, as other programs enqueue them.
    """
    waiting = sa.and_(
        _TRIALS.c.study_id == study_id,
        _TRIALS.c.state == TrialState.WAITING,
        _TRIALS.c.number < below,
    )
    query = sa.select(_TRIALS.c.number).where(waiting).order_by(_TRIALS.c.number)
    claimed = list(connection.execute(query).scalars())
    params = _params(connection, waiting)
    for number in claimed:
        if number not in params:
            raise StorageError(
                f"trial {number} waits without parameters: another program added it; "
                "use another --study"
            )
    start = {_TRIALS.c.state: TrialState.RUNNING, _TRIALS.c.datetime_start: _now()}
    connection.execute(_TRIALS.update().where(waiting).values(start))
    return [Slot(number, params[number]) for number in claimed]


def release_slots(connection: Connection, study_id: int) -> None:
    """Give RUNNING trials back to WAITING, with number and parameters, for a search to claim."""
    running = sa.and_(_TRIALS.c.study_id == study_id, _TRIALS.c.state == TrialState.RUNNING)
    back = {_TRIALS.c.state: TrialState.WAITING, _TRIALS.c.datetime_start: None}
    connection.execute(_TRIALS.update().where(running).values(back))


def finish_slots(connection: Connection, study_id: int, results: Sequence[Result]) -> None:
    """Write results and set their trials COMPLETE, or FAIL where there is no value.

    Raises ``StudyGoneError`` if one of the trials is not there and RUNNING any more.
    """
    if not results:
        return
    numbers = [result.number for result in results]
    ids = _ids(connection, study_id, numbers, TrialState.RUNNING)
    if len(ids) < len(numbers):
        raise StudyGoneError(
            "the study was deleted, or its trials were changed, while they were trained"
        )
    _insert(connection, _VALUES, [_value_row(ids, result) for result in results])
    _insert(connection, _INTERMEDIATE, [_intermediate_rows(ids, result) for result in results])
    _insert(connection, _ATTRIBUTES, [_attribute_rows(ids, result) for result in results])
    end = {_TRIALS.c.state: sa.bindparam("end"), _TRIALS.c.datetime_complete: _now()}
    update = _TRIALS.update().where(_TRIALS.c.trial_id == sa.bindparam("id")).values(end)
    connection.execute(update, [_end_row(ids, result) for result in results])


def trials(connection: Connection, study_id: int) -> list[TrialRecord]:
    """Every trial of the study in the order of its number."""
    params = _params(connection, _TRIALS.c.study_id == study_id)
    values = _values(connection, study_id)
    attributes = _attributes(connection, study_id)
    rows = connection.execute(
        sa.select(_TRIALS.c.number, _TRIALS.c.state)
        .where(_TRIALS.c.study_id == study_id)
        .order_by(_TRIALS.c.number)
    )
    return [
        TrialRecord(
            number=number,
            state=state.name,
            value=values.get(number),
            params=params.get(number, {}),
            attributes=attributes.get(number, {}),
        )
        for number, state in rows
    ]


def count(connection: Connection, study_id: int) -> int:
    """How many trials the study has; raises ``StudyGoneError`` if it was deleted."""
    if not study_exists(connection, study_id):
        raise StudyGoneError("the study was deleted while it was searched")
    query = sa.select(sa.func.count()).where(_TRIALS.c.study_id == study_id)
    return int(connection.execute(query).scalar_one())


def best(connection: Connection, study_id: int, limit: int, having: str) -> list[tuple[int, float]]:
    """Number and value of the greatest complete trials that have the user attribute ``having``.

    The greatest first, of equal ones the lower number.
    """
    query = (
        sa.select(_TRIALS.c.number, _VALUES.c.value)
        .join_from(_TRIALS, _VALUES, _TRIALS.c.trial_id == _VALUES.c.trial_id)
        .join(_ATTRIBUTES, _TRIALS.c.trial_id == _ATTRIBUTES.c.trial_id)
        .where(_TRIALS.c.study_id == study_id, _TRIALS.c.state == TrialState.COMPLETE)
        .where(_ATTRIBUTES.c.key == having, _VALUES.c.value.is_not(None))
        .order_by(_VALUES.c.value.desc(), _TRIALS.c.number)
        .limit(limit)
    )
    return [(row.number, row.value) for row in connection.execute(query)]


def study_exists(connection: Connection, study_id: int) -> bool:
    """Whether the study is still there."""
    query = sa.select(_STUDIES.c.study_id).where(_STUDIES.c.study_id == study_id)
    return connection.execute(query).first() is not None


def study_attribute(connection: Connection, study_id: int, key: str) -> Any:
    """A user attribute of the study; None if it, or the study, is not there."""
    query = sa.select(_STUDY_ATTRIBUTES.c.value_json).where(
        _STUDY_ATTRIBUTES.c.study_id == study_id, _STUDY_ATTRIBUTES.c.key == key
    )
    text = connection.execute(query).scalar()
    return None if text is None else json.loads(text)


def _ids(
    connection: Connection, study_id: int, numbers: Sequence[int], state: TrialState | None = None
) -> dict[int, int]:
    """Number -> Optuna's id, of the trials that exist (in ``state``)."""
    # A range, because a statement takes a limited number of variables.
    query = sa.select(_TRIALS.c.number, _TRIALS.c.trial_id).where(
        _TRIALS.c.study_id == study_id, _TRIALS.c.number.between(min(numbers), max(numbers))
    )
    if state is not None:
        query = query.where(_TRIALS.c.state == state)
    wanted = set(numbers)
    return {row.number: row.trial_id for row in connection.execute(query) if row.number in wanted}


def _params(connection: Connection, chosen: sa.ColumnElement[bool]) -> dict[int, dict[str, Any]]:
    query = (
        sa.select(
            _TRIALS.c.number,
            _PARAMS.c.param_name,
            _PARAMS.c.param_value,
            _PARAMS.c.distribution_json,
        )
        .join_from(_TRIALS, _PARAMS, _TRIALS.c.trial_id == _PARAMS.c.trial_id)
        .where(chosen)
        .order_by(_PARAMS.c.param_id)
    )
    known: dict[str, BaseDistribution] = {}
    params: dict[int, dict[str, Any]] = {}
    for number, name, value, text in connection.execute(query):
        distribution = known.get(text) or known.setdefault(text, json_to_distribution(text))
        params.setdefault(number, {})[name] = distribution.to_external_repr(value)
    return params


def _values(connection: Connection, study_id: int) -> dict[int, float]:
    query = (
        sa.select(_TRIALS.c.number, _VALUES.c.value, _VALUES.c.value_type)
        .join_from(_TRIALS, _VALUES, _TRIALS.c.trial_id == _VALUES.c.trial_id)
        .where(_TRIALS.c.study_id == study_id, _TRIALS.c.state == TrialState.COMPLETE)
    )
    decode = models.TrialValueModel.stored_repr_to_value
    return {number: decode(value, kind) for number, value, kind in connection.execute(query)}


def _attributes(connection: Connection, study_id: int) -> dict[int, dict[str, Any]]:
    query = (
        sa.select(_TRIALS.c.number, _ATTRIBUTES.c.key, _ATTRIBUTES.c.value_json)
        .join_from(_TRIALS, _ATTRIBUTES, _TRIALS.c.trial_id == _ATTRIBUTES.c.trial_id)
        .where(_TRIALS.c.study_id == study_id)
    )
    found: dict[int, dict[str, Any]] = {}
    for number, key, text in connection.execute(query):
        found.setdefault(number, {})[key] = json.loads(text)
    return found


def _end_row(ids: Mapping[int, int], result: Result) -> dict[str, Any]:
    state = TrialState.FAIL if result.value is None else TrialState.COMPLETE
    return {"id": ids[result.number], "end": state}


def _value_row(ids: Mapping[int, int], result: Result) -> list[dict[str, Any]]:
    if result.value is None:
        return []
    stored, kind = models.TrialValueModel.value_to_stored_repr(result.value)
    row = {"trial_id": ids[result.number], "objective": 0, "value": stored, "value_type": kind}
    return [row]


def _intermediate_rows(ids: Mapping[int, int], result: Result) -> list[dict[str, Any]]:
    encode = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr
    encoded = ((step, *encode(value)) for step, value in result.intermediate.items())
    return [
        {
            "trial_id": ids[result.number],
            "step": step,
            "intermediate_value": stored,
            "intermediate_value_type": kind,
        }
        for step, stored, kind in encoded
    ]


def _attribute_rows(ids: Mapping[int, int], result: Result) -> list[dict[str, Any]]:
    return [
        {"trial_id": ids[result.number], "key": key, "value_json": json.dumps(value)}
        for key, value in result.attributes.items()
    ]


def _insert(connection: Connection, table: sa.Table, groups: list[list[dict[str, Any]]]) -> None:
    rows = [row for group in groups for row in group]
    if rows:
        connection.execute(table.insert(), rows)


def _now() -> datetime:
    """Optuna keeps times in UTC, without saying so."""
    return datetime.now(UTC).replace(tzinfo=None)
