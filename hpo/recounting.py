"""What a storage holds of a search, as the plain values that its report is drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution
from sqlalchemy import Connection

from hpo import models
from hpo.leaderboard import Entry, Leaderboard, read_leaderboard
from hpo.plain_curves import plain_curves
from hpo.reopening import known
from hpo.report.records import (
    Data,
    Look,
    Parameter,
    Round,
    Selection,
    Study,
    Trial,
)
from hpo.reproduction import typed
from hpo.rounds import tally
from hpo.search.importance import importances
from hpo.search.space import SearchSpace
from storage import catalogue, ledger
from storage.records import ExperimentRecord, RoundRecord

DRAWN = 20
"""How many of the best trials have their curves read, and drawn."""

_FINISHED = ("complete", "pruned", "failed")


def recount(connection: Connection, name: str | None, storage: str) -> Study:
    """The study of this name, or the only one; ``storage`` is how its place is shown.

    Raises
    ------
    UsageError
        If there is none, or ``hpo search`` has not made it; says what there is.
    StorageError
        If an older version wrote it.
    """
    found = known(connection, name)
    models.check_version(connection)
    uid = found.made.uid
    record = catalogue.load_experiment(connection, uid)
    assert record is not None
    board = read_leaderboard(connection, found.name)
    space = SearchSpace.from_json(record.settings["space"])
    trials = _trials(connection, uid, board.entries, record.trials_per_round)
    rounds = catalogue.load_rounds(connection, uid)
    selection = _selection(connection, uid)
    study = Study(
        name=found.name,
        storage=storage,
        made=record.created_at,
        settings=record.settings,
        versions=record.versions,
        data=_data(record),
        network=board.network,
        weights=board.weights,
        trials_per_round=record.trials_per_round,
        parameters=[_parameter(*each) for each in space.distributions.items()],
        rounds=_rounds(rounds, trials, record.trials_per_round),
        trials=trials,
        counts=board.counts,
        importances=_importances(board, space),
        selection=selection,
        edges={},
        ensembles=[
            {"study": found.name, "name": each.name, **each.record} for each in board.ensembles
        ],
        looks=[Look(each.order, each.why, each.score) for each in ledger.looks(connection, uid)],
        commands=typed(connection, found.made, found.name, storage, len(trials)) or (),
    )
    return _with_edges(study, space, rounds)


def _with_edges(study: Study, space: SearchSpace, rounds: Sequence[RoundRecord]) -> Study:
    winner = study.winner
    if winner is None or not rounds:
        return study
    return replace(study, edges=space.edges(rounds[-1].ranges, dict(winner.params)))


def _data(record: ExperimentRecord) -> Data:
    told, split = record.fingerprint, record.preparation["split"]
    return Data(
        source=record.source,
        rows=told["rows"],
        columns=told["columns"],
        target=told["target"],
        target_sha256=told["target_sha256"],
        sha256=told["sha256"],
        parts=split["rows"],
        test_file=split.get("test_file"),
    )


def _parameter(name: str, distribution: BaseDistribution) -> Parameter:
    if isinstance(distribution, CategoricalDistribution):
        return Parameter(name, choices=tuple(distribution.choices))
    found: Any = distribution
    return Parameter(name, found.low, found.high, found.log)


def _trials(
    connection: Connection, uid: str, entries: Sequence[Entry], per_round: int
) -> list[Trial]:
    drawn = {each.number for each in entries if each.rank is not None and each.rank <= DRAWN}
    return [
        Trial(
            number=each.number,
            round=each.number // per_round,
            state=each.state,
            rank=each.rank,
            value=each.validation,
            train=each.train,
            seconds=each.seconds,
            params=each.params,
            reason=each.reason,
            costs=each.costs,
            on_front=each.on_front,
            curves=plain_curves(connection, uid, each.number) if each.number in drawn else {},
        )
        for each in entries
    ]


def _rounds(rounds: Sequence[RoundRecord], trials: Sequence[Trial], per_round: int) -> list[Round]:
    """``trials``: the best first."""
    finished = [each.number for each in trials if each.state in _FINISHED]
    ranked = [(each.number, each.value) for each in trials if each.rank is not None]
    counts, best = tally(finished, ranked, per_round)
    return [
        Round(each.round, each.ranges, counts[each.round], best.get(each.round)) for each in rounds
    ]


def _selection(connection: Connection, uid: str) -> Selection | None:
    """The latest one."""
    chosen = catalogue.load_selections(connection, uid)
    if not chosen:
        return None
    last = chosen[-1]
    return Selection(last.number, last.repeats, last.refit, last.record)


def _importances(board: Leaderboard, space: SearchSpace) -> Mapping[str, float]:
    scored = [
        (each.params, each.validation)
        for each in board.entries
        if each.rank is not None and each.validation is not None
    ]
    return importances(space.distributions, scored)
