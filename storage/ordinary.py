"""The same as `storage.slots` and `storage.history`, by Optuna's own code, a trial at a time.

Our statements are written for one revision of Optuna's tables. Where the installed Optuna keeps
them in another one, its own code is asked instead: slower, but inside the same transaction, so that
leases and results hold together as ever.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import sqlalchemy as sa
from optuna.distributions import BaseDistribution
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import Connection
from sqlalchemy.orm import scoped_session, sessionmaker

from storage.errors import StorageError, StudyGoneError
from storage.records import Json, Result, Slot, Stage, TrialRecord

OPTION = "hpo_ordinary"
"""The execution option of a connection that holds the storage whose code is to be used."""

P = ParamSpec("P")
T = TypeVar("T")


def by_revision(
    function: Callable[Concatenate[Connection, P], T],
) -> Callable[Concatenate[Connection, P], T]:
    """Let the function of this name here do it, on a connection to tables that we do not know."""
    name = function.__name__

    @functools.wraps(function)
    def either(connection: Connection, *positional: P.args, **named: P.kwargs) -> T:
        storage = connection.get_execution_options().get(OPTION)
        if storage is None:
            return function(connection, *positional, **named)
        inside = _inside(storage, connection)
        try:
            result: T = globals()[name](inside, connection, *positional, **named)
        finally:
            inside.scoped_session.remove()
        return result

    return cast("Callable[Concatenate[Connection, P], T]", either)


def _inside(storage: RDBStorage, connection: Connection) -> RDBStorage:
    """The storage at work in our transaction: what it commits is a savepoint of ours."""
    make = sessionmaker(bind=connection, join_transaction_mode="create_savepoint")
    # Without its own words about copies, which open the database once more.
    inside = RDBStorage.__new__(RDBStorage)
    inside.__dict__ |= storage.__dict__ | {"scoped_session": scoped_session(make)}
    return inside


def studies(inside: RDBStorage, _connection: Connection) -> dict[str, int]:
    """See `storage.history`, as for all that follow."""
    return {each.study_name: each._study_id for each in inside.get_all_studies()}  # noqa: SLF001


def find_study(inside: RDBStorage, _connection: Connection, name: str) -> int | None:
    try:
        study_id: int = inside.get_study_id_from_name(name)
    except KeyError:
        return None
    if (found := inside.get_study_name_from_id(study_id)) != name:
        raise StorageError(
            f"the database takes the study names {found!r} and {name!r} for one: "
            "use another --study"
        )
    return study_id


def study_attributes(inside: RDBStorage, _connection: Connection, study_id: int) -> dict[str, Any]:
    try:
        return dict(inside.get_study_user_attrs(study_id))
    except KeyError:
        return {}


def attributes_named(inside: RDBStorage, _connection: Connection, key: str) -> dict[int, Any]:
    return {
        each._study_id: each.user_attrs[key]  # noqa: SLF001
        for each in inside.get_all_studies()
        if key in each.user_attrs
    }


def count(inside: RDBStorage, _connection: Connection, study_id: int) -> int:
    try:
        return len(inside.get_all_trials(study_id, deepcopy=False))
    except KeyError as error:
        raise StudyGoneError("the study was deleted while it was searched") from error


def states(inside: RDBStorage, _connection: Connection, study_id: int) -> dict[str, int]:
    found: dict[str, int] = {}
    for trial in _trials(inside, study_id):
        found[trial.state.name] = found.get(trial.state.name, 0) + 1
    return found


def trials(
    inside: RDBStorage,
    _connection: Connection,
    study_id: int,
    since: int = 0,
    attributes: Sequence[str] | None = None,
    *,
    intermediate: bool = False,
) -> list[TrialRecord]:
    return [
        TrialRecord(
            number=trial.number,
            state=trial.state.name,
            value=_values(trial)[0] if _values(trial) else None,
            params=dict(trial.params),
            attributes={
                key: value
                for key, value in trial.user_attrs.items()
                if attributes is None or key in attributes
            },
            trial_id=_id(trial),
            intermediate=dict(sorted(trial.intermediate_values.items())) if intermediate else {},
            costs=tuple(_values(trial)[1:]),
        )
        for trial in _trials(inside, study_id, since)
    ]


def stages(
    inside: RDBStorage, _connection: Connection, study_id: int, since: int = 0
) -> list[Stage]:
    return [
        Stage(trial.number, trial.state.name, _id(trial))
        for trial in _trials(inside, study_id, since)
    ]


def waiting(
    inside: RDBStorage,
    connection: Connection,
    study_id: int,
    below: int,
    since: int,
    taken: sa.Select[tuple[int]],
) -> list[tuple[int, int]]:
    claimed = set(_ids(connection, taken))
    return [
        (trial.number, _id(trial))
        for trial in _trials(inside, study_id, since, TrialState.WAITING)
        if trial.number < below and _id(trial) not in claimed
    ]


def unfinished(
    inside: RDBStorage, _connection: Connection, study_id: int, below: int, since: int = 0
) -> set[str]:
    left = _trials(inside, study_id, since, TrialState.WAITING, TrialState.RUNNING)
    return {trial.state.name for trial in left if trial.number < below}


def params_of(
    inside: RDBStorage, _connection: Connection, ids: list[int]
) -> dict[int, dict[str, Any]]:
    found = [_trial(inside, each) for each in ids]
    return {trial.number: dict(trial.params) for trial in found if trial and trial.params}


def running(
    inside: RDBStorage, connection: Connection, ids: sa.Select[tuple[int]]
) -> dict[int, int]:
    found = [_trial(inside, each) for each in _ids(connection, ids)]
    still = [trial for trial in found if trial and trial.state == TrialState.RUNNING]
    return {trial.number: _id(trial) for trial in sorted(still, key=lambda each: each.number)}


def create_study(
    inside: RDBStorage,
    _connection: Connection,
    name: str,
    metric: str,
    attributes: Mapping[str, Json],
    costs: Sequence[str] = (),
) -> int:
    directions = [StudyDirection.MAXIMIZE, *(StudyDirection.MINIMIZE for _ in costs)]
    study_id: int = inside.create_new_study(directions, name)
    for key, value in attributes.items():
        inside.set_study_user_attr(study_id, key, value)
    inside.set_study_system_attr(study_id, "study:metric_names", [metric, *costs])
    return study_id


def lock_study(inside: RDBStorage, connection: Connection, study_id: int, attribute: str) -> Json:
    # On SQLite the transaction holds the whole database; elsewhere Optuna's lock stands in code
    # that adds a trial, so this one is among ourselves.
    from storage.schema import experiments  # noqa: PLC0415

    found = study_attributes(inside, connection, study_id).get(attribute)
    mine = sa.select(experiments.c.uid).where(experiments.c.uid == str(found))
    connection.execute(mine.with_for_update()).first()
    return found


def create(
    inside: RDBStorage,
    connection: Connection,
    study_id: int,
    slots: Sequence[Slot],
    distributions: Mapping[str, BaseDistribution],
) -> bool:
    present = count(inside, connection, study_id)
    if present > slots[0].number:
        return False
    if present < slots[0].number:
        raise StorageError(
            f"the study holds {present} trials where {slots[0].number} were expected: another "
            "program removed some; use another --study"
        )
    for slot in slots:
        mine = {name: distributions[name] for name in slot.params}
        trial = create_trial(state=TrialState.WAITING, params=dict(slot.params), distributions=mine)
        inside.create_new_trial(study_id, trial)
    return True


def start(inside: RDBStorage, connection: Connection, ids: sa.Select[tuple[int]]) -> None:
    for each in _ids(connection, ids):
        if inside.get_trial(each).state == TrialState.WAITING:
            inside.set_trial_state_values(each, TrialState.RUNNING)


def free(
    inside: RDBStorage,
    connection: Connection,
    study_id: int,
    claimed: sa.Select[tuple[int]],
    since: int = 0,
) -> int:
    held = set(_ids(connection, claimed))
    loose = [
        _id(trial)
        for trial in _trials(inside, study_id, since, TrialState.RUNNING)
        if _id(trial) not in held
    ]
    for each in loose:
        inside.set_trial_state_values(each, TrialState.WAITING)
    return len(loose)


def finish(
    inside: RDBStorage, _connection: Connection, ids: Mapping[int, int], results: Sequence[Result]
) -> None:
    for result in results:
        trial_id = ids[result.number]
        for step, value in result.intermediate.items():
            inside.set_trial_intermediate_value(trial_id, step, value)
        for key, attribute in result.attributes.items():
            inside.set_trial_user_attr(trial_id, key, attribute)
        inside.set_trial_state_values(
            trial_id, TrialState[result.state], list(result.values) or None
        )


def _trials(
    inside: RDBStorage, study_id: int, since: int = 0, *states: TrialState
) -> list[FrozenTrial]:
    """Trials from Optuna's id ``since`` on, in the order of their numbers; none without a study."""
    try:
        found = inside.get_all_trials(study_id, deepcopy=False, states=states or None)
    except KeyError:
        return []
    return sorted((each for each in found if _id(each) >= since), key=lambda each: each.number)


def _values(trial: FrozenTrial) -> list[float]:
    """Those of a trial that is complete."""
    return trial.values if trial.state == TrialState.COMPLETE else []


def _trial(inside: RDBStorage, trial_id: int) -> FrozenTrial | None:
    try:
        return inside.get_trial(trial_id)
    except KeyError:
        return None


def _ids(connection: Connection, query: sa.Select[Any]) -> list[int]:
    return list(connection.execute(query).scalars())


def _id(trial: FrozenTrial) -> int:
    return int(trial._trial_id)  # noqa: SLF001
