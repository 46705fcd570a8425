"""Looking at a storage without changing it: nothing is created, written or migrated.

It works where only reading is allowed, and while searches run. Optuna's tables are named here by
the few columns that are read, because its own models take longer to import than a look takes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from storage import migrations, schema, servers, sqlite
from storage.causes import explained, known_cause
from storage.engine import prepare, reading
from storage.errors import StorageError
from storage.records import TrialRecord
from storage.urls import Place, locate

_STUDIES = sa.table("studies", sa.column("study_id"), sa.column("study_name"))
_DIRECTIONS = sa.table(
    "study_directions", sa.column("study_id"), sa.column("objective"), sa.column("direction")
)
_STUDY_USER = sa.table(
    "study_user_attributes", sa.column("study_id"), sa.column("key"), sa.column("value_json")
)
_STUDY_SYSTEM = sa.table(
    "study_system_attributes", sa.column("study_id"), sa.column("key"), sa.column("value_json")
)
_TRIALS = sa.table(
    "trials",
    sa.column("trial_id"),
    sa.column("number"),
    sa.column("study_id"),
    sa.column("state"),
    sa.column("datetime_start", sa.DateTime()),
    sa.column("datetime_complete", sa.DateTime()),
)
_VALUES = sa.table(
    "trial_values",
    sa.column("trial_id"),
    sa.column("objective"),
    sa.column("value"),
    sa.column("value_type"),
)
_PARAMS = sa.table(
    "trial_params",
    sa.column("param_id"),
    sa.column("trial_id"),
    sa.column("param_name"),
    sa.column("param_value"),
    sa.column("distribution_json"),
)
_ATTRIBUTES = sa.table(
    "trial_user_attributes", sa.column("trial_id"), sa.column("key"), sa.column("value_json")
)
_OPTUNAS_VERSION = sa.table("alembic_version", sa.column("version_num"))

_METRIC_NAMES = "study:metric_names"
_READ_ONLY = {
    "postgresql": "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
}
_INFINITIES = {"INF_POS": float("inf"), "INF_NEG": float("-inf")}

T = TypeVar("T")


class Study(NamedTuple):
    """A study of Optuna's. ``directions`` are MAXIMIZE or MINIMIZE, one for each value.

    ``metrics`` are the names of its values, if it has any; ``experiment`` is the user attribute
    that was asked for, None if it has none.
    """

    study_id: int
    name: str
    directions: tuple[str, ...]
    metrics: tuple[str, ...]
    experiment: str | None


class Made(NamedTuple):
    """When and from what an experiment was made, and where its networks are, as in its record."""

    uid: str
    created_at: str
    source: str
    artifacts: str | None


class Reader:
    """A storage that is only looked at.

    Raises ``StorageError`` for a database that is not there, cannot be read, or holds no studies.
    """

    def __init__(self, url: str) -> None:
        self.place = locate(url)
        path = self.place.path
        if path is not None:
            with explained(path):
                if not path.exists():
                    raise StorageError(
                        f"there is no database {path}: hpo search makes it, "
                        "or choose another --storage"
                    )
                if not path.is_file():
                    raise StorageError(f"{path} is no file: choose another --storage")
                sqlite.refuse_short(path)
        self._engine = _engine(self.place)
        self._calm = _engine(self.place, calm=True)

    def read(self, work: Callable[[Connection], T]) -> T:
        """What ``work`` returns for a connection that writes nothing; it sees one moment.

        ``work`` may be called twice.
        """
        path = self.place.path
        if path is None or (before := sqlite.calm_state(path)) is None:
            return self._read(self._engine, work)
        # Ordinary reading leaves a -wal and a -shm file behind, or needs them; this leaves and
        # needs nothing, but is only right if nobody wrote meanwhile.
        try:
            found = self._read(self._calm, work)
        except Exception:
            if sqlite.calm_state(path) == before:
                raise
        else:
            if sqlite.calm_state(path) == before:
                return found
        return self._read(self._engine, work)

    def _read(self, engine: Engine, work: Callable[[Connection], T]) -> T:
        with reading(engine, self.place) as connection:
            if not {"studies", "trials"} <= tables(connection):
                raise StorageError(
                    f"the database holds no studies: {self.place}; hpo search makes one, "
                    "or choose another --storage"
                )
            try:
                return work(connection)
            except SQLAlchemyError as error:
                if known_cause(error) is None and (why := _other_version(connection, self.place)):
                    raise StorageError(why) from error
                raise

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()
        self._calm.dispose()


@contextmanager
def opened(url: str) -> Iterator[Reader]:
    """A reader of the storage, closed in the end."""
    reader = Reader(url)
    try:
        yield reader
    finally:
        reader.close()


def tables(connection: Connection) -> set[str]:
    """The names of all tables."""
    return set(sa.inspect(connection).get_table_names())


def studies(connection: Connection, attribute: str) -> list[Study]:
    """Every study, the oldest first; ``attribute`` names the one that holds its experiment."""
    directions: dict[int, list[str]] = {}
    for row in connection.execute(sa.select(_DIRECTIONS).order_by(_DIRECTIONS.c.objective)):
        directions.setdefault(row.study_id, []).append(str(row.direction))
    metrics = _of_studies(connection, _STUDY_SYSTEM, _METRIC_NAMES)
    experiments = _of_studies(connection, _STUDY_USER, attribute)
    return [
        Study(
            row.study_id,
            row.study_name,
            tuple(directions.get(row.study_id, ())),
            tuple(map(str, metrics.get(row.study_id) or ())),
            _text(experiments.get(row.study_id)),
        )
        for row in connection.execute(sa.select(_STUDIES).order_by(_STUDIES.c.study_id))
    ]


def states(connection: Connection) -> dict[int, dict[str, int]]:
    """Optuna's id of a study -> name of a state -> how many trials are in it."""
    query = sa.select(_TRIALS.c.study_id, _TRIALS.c.state, sa.func.count()).group_by(
        _TRIALS.c.study_id, _TRIALS.c.state
    )
    found: dict[int, dict[str, int]] = {}
    for study_id, state, count in connection.execute(query):
        found.setdefault(study_id, {})[str(state)] = count
    return found


def trials(
    connection: Connection, study_id: int, attributes: Sequence[str] = ()
) -> list[TrialRecord]:
    """The trials in the order of their numbers, with these of their attributes.

    The value is the first one, if there are several.
    """
    of_study = _TRIALS.c.study_id == study_id
    values = _values(connection, of_study)
    params = _params(connection, of_study)
    known = _attributes(connection, of_study, attributes) if attributes else {}
    query = sa.select(_TRIALS.c.trial_id, _TRIALS.c.number, _TRIALS.c.state).where(of_study)
    return [
        TrialRecord(
            number,
            str(state),
            values.get(trial_id) if str(state) == "COMPLETE" else None,
            params.get(trial_id, {}),
            known.get(trial_id, {}),
            trial_id,
        )
        for trial_id, number, state in connection.execute(query.order_by(_TRIALS.c.number))
    ]


def seconds(connection: Connection, study_id: int) -> dict[int, float]:
    """Number of a trial -> seconds from its start to its end, of those that have both."""
    query = sa.select(_TRIALS.c.number, _TRIALS.c.datetime_start, _TRIALS.c.datetime_complete)
    return {
        number: (end - start).total_seconds()
        for number, start, end in connection.execute(query.where(_TRIALS.c.study_id == study_id))
        if isinstance(start, datetime) and isinstance(end, datetime)
    }


def made(connection: Connection) -> dict[str, Made]:
    """Uid -> how it came about, of every experiment of ours; also of an older schema."""
    table = schema.experiments
    if table.name not in tables(connection):
        return {}
    columns = {each["name"] for each in sa.inspect(connection).get_columns(table.name)}
    where = table.c.artifacts if "artifacts" in columns else sa.null()
    query = sa.select(table.c.uid, table.c.created_at, table.c.source, where.label("artifacts"))
    return {
        row.uid: Made(row.uid, row.created_at, row.source, row.artifacts)
        for row in connection.execute(query.order_by(table.c.created_at))
    }


def document(connection: Connection, uid: str, name: str) -> Any:
    """One of the JSON documents of an experiment, ``settings`` say; None if it is not there."""
    table = schema.experiments
    if table.name not in tables(connection):
        return None
    text = connection.execute(sa.select(table.c[name]).where(table.c.uid == uid)).scalar()
    return None if text is None else json.loads(text)


def versions(connection: Connection) -> tuple[str | None, str | None]:
    """The revisions of Optuna's tables and of ours; None where there are none."""
    found = None
    if _OPTUNAS_VERSION.name in tables(connection):
        found = connection.execute(sa.select(_OPTUNAS_VERSION.c.version_num)).scalar()
    return found, migrations.current(connection)


def _engine(place: Place, *, calm: bool = False) -> Engine:
    if place.path is not None:
        connect = partial(sqlite.connect_to_read, place.path, calm=calm)
        engine = sa.create_engine(place.url, creator=connect, poolclass=NullPool)
    else:
        engine = sa.create_engine(place.url, **servers.engine_options(place))

        @event.listens_for(engine, "connect")
        def forbid_writing(connection: Any, _record: Any) -> None:
            with connection.cursor() as cursor:
                cursor.execute(_READ_ONLY[place.kind])
            connection.commit()

    prepare(engine, place)
    return engine


def _other_version(connection: Connection, place: Place) -> str | None:
    """Why a statement may have failed: the tables are of another version than ours."""
    from storage.revisions import KNOWN  # noqa: PLC0415  # slow to import

    connection.rollback()
    optunas, ours = versions(connection)
    if optunas not in {None, KNOWN}:
        return (
            f"{place} has Optuna's tables in version {optunas}, but {KNOWN} is needed: "
            "use the version of Optuna that made it, or choose another --storage"
        )
    if ours not in {None, migrations.HEAD}:
        return f"{place} has hpo's tables in version {ours}, not {migrations.HEAD}: upgrade hpo"
    return None


def _text(value: object) -> str | None:
    """Another program may have written anything under the name of our attribute."""
    return value if isinstance(value, str) else None


def _of_studies(connection: Connection, table: sa.TableClause, key: str) -> dict[int, Any]:
    query = sa.select(table.c.study_id, table.c.value_json).where(table.c.key == key)
    return {study_id: json.loads(text) for study_id, text in connection.execute(query)}


def _values(connection: Connection, chosen: sa.ColumnElement[bool]) -> dict[int, float]:
    query = (
        sa.select(_VALUES.c.trial_id, _VALUES.c.value, _VALUES.c.value_type)
        .join_from(_TRIALS, _VALUES, _TRIALS.c.trial_id == _VALUES.c.trial_id)
        .where(chosen, _VALUES.c.objective == 0)
    )
    return {
        trial_id: _INFINITIES.get(str(kind), value)
        for trial_id, value, kind in connection.execute(query)
    }


def _params(connection: Connection, chosen: sa.ColumnElement[bool]) -> dict[int, dict[str, Any]]:
    from optuna.distributions import BaseDistribution, json_to_distribution  # noqa: PLC0415

    query = (
        sa.select(
            _PARAMS.c.trial_id,
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
    for trial_id, name, value, text in connection.execute(query):
        distribution = known.get(text) or known.setdefault(text, json_to_distribution(text))
        params.setdefault(trial_id, {})[name] = distribution.to_external_repr(value)
    return params


def _attributes(
    connection: Connection, chosen: sa.ColumnElement[bool], names: Sequence[str]
) -> dict[int, dict[str, Any]]:
    query = (
        sa.select(_ATTRIBUTES.c.trial_id, _ATTRIBUTES.c.key, _ATTRIBUTES.c.value_json)
        .join_from(_TRIALS, _ATTRIBUTES, _TRIALS.c.trial_id == _ATTRIBUTES.c.trial_id)
        .where(chosen, _ATTRIBUTES.c.key.in_(names))
    )
    found: dict[int, dict[str, Any]] = {}
    for trial_id, key, text in connection.execute(query):
        found.setdefault(trial_id, {})[key] = json.loads(text)
    return found


def extremes(
    connection: Connection, attribute: str | None = None
) -> dict[int, tuple[float, float]]:
    """Optuna's id of a study -> least and greatest value of its complete trials.

    Only of those that have the ``attribute``, if one is named; infinite values do not count.
    """
    # Written out, because PostgreSQL compares its enumerations with no text of a variable.
    complete = _TRIALS.c.state == sa.literal_column("'COMPLETE'")
    finite = _VALUES.c.value_type == sa.literal_column("'FINITE'")
    query = (
        sa.select(_TRIALS.c.study_id, sa.func.min(_VALUES.c.value), sa.func.max(_VALUES.c.value))
        .join_from(_TRIALS, _VALUES, _TRIALS.c.trial_id == _VALUES.c.trial_id)
        .where(complete, finite, _VALUES.c.objective == 0)
        .group_by(_TRIALS.c.study_id)
    )
    if attribute is not None:
        has = sa.and_(_ATTRIBUTES.c.trial_id == _TRIALS.c.trial_id, _ATTRIBUTES.c.key == attribute)
        query = query.where(sa.exists(sa.select(sa.literal(1)).select_from(_ATTRIBUTES).where(has)))
    return {study_id: (least, most) for study_id, least, most in connection.execute(query)}


def array_bytes(connection: Connection) -> dict[str, int]:
    """Uid of an experiment -> bytes of its curves and predictions."""
    # SQLite's length reads no blob, the others' octet_length none either.
    length = sa.func.length if connection.dialect.name == "sqlite" else sa.func.octet_length
    found: dict[str, int] = {}
    for table in (schema.curves, schema.predictions):
        if table.name in tables(connection):
            size = sa.func.sum(length(table.c.data))
            query = sa.select(table.c.experiment, size).group_by(table.c.experiment)
            for uid, n_bytes in connection.execute(query):
                found[uid] = found.get(uid, 0) + int(n_bytes)
    return found


def networks(connection: Connection) -> dict[str, dict[int, str]]:
    """Uid of an experiment -> number of a trial -> digest of its network, if it is kept."""
    table = schema.artifacts
    found: dict[str, dict[int, str]] = {}
    if table.name in tables(connection):
        query = sa.select(table.c.experiment, table.c.number, table.c.digest)
        for uid, number, digest in connection.execute(query.order_by(table.c.number)):
            found.setdefault(uid, {})[number] = digest
    return found


def looked_at(connection: Connection) -> dict[str, frozenset[str]]:
    """Uid of an experiment -> digests of the models that were tried on its test rows."""
    table = schema.test_looks
    found: dict[str, frozenset[str]] = {}
    if table.name in tables(connection):
        for uid, model in connection.execute(sa.select(table.c.experiment, table.c.model)):
            found[uid] = found.get(uid, frozenset()) | {model}
    return found


def database_bytes(connection: Connection, place: Place) -> int:
    """Bytes that the database takes on its disk: the file, or all tables on the server."""
    if place.path is not None:
        parts = (place.path.with_name(place.path.name + end) for end in ("", "-wal", "-shm"))
        return sum(part.stat().st_size for part in parts if part.exists())
    query = {
        "postgresql": "SELECT sum(pg_total_relation_size(oid)) FROM pg_class "
        "WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace",
        "mysql": "SELECT sum(data_length + index_length) FROM information_schema.tables "
        "WHERE table_schema = database()",
    }[place.kind]
    return int(connection.execute(sa.text(query)).scalar() or 0)


def unheld(connection: Connection, study_id: int, experiment: str) -> list[int]:
    """The numbers of the trials that are RUNNING and that no owner of ``experiment`` holds."""
    running = _TRIALS.c.state == sa.literal_column("'RUNNING'")
    query = sa.select(_TRIALS.c.number).where(_TRIALS.c.study_id == study_id, running)
    claims = schema.claims
    if claims.name in tables(connection):
        held = sa.select(claims.c.trial_id).where(claims.c.experiment == experiment)
        query = query.where(_TRIALS.c.trial_id.not_in(held))
    return list(connection.execute(query.order_by(_TRIALS.c.number)).scalars())


def server_version(connection: Connection) -> str:
    """What the server says it is; SQLite's version for a file."""
    of_server = sa.func.version()
    version = sa.func.sqlite_version() if connection.dialect.name == "sqlite" else of_server
    return str(connection.execute(sa.select(version)).scalar())


def damage(connection: Connection) -> list[str]:
    """What SQLite's own checks find wrong with the file, a line each; other databases have none."""
    if connection.dialect.name != "sqlite":
        return []
    found = connection.exec_driver_sql("PRAGMA integrity_check").scalars()
    wrong = [f"integrity check: {line}" for line in found if line != "ok"]
    orphans = Counter(row[0] for row in connection.exec_driver_sql("PRAGMA foreign_key_check"))
    return wrong + [
        f"foreign keys: {count} rows of {table} refer to rows that are not there"
        for table, count in orphans.items()
    ]
