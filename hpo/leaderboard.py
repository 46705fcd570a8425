"""A study's trials in the order of their scores, read without joining the search."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from hpo.data.wording import did_you_mean
from hpo.errors import UsageError
from hpo.pareto import pareto_front
from hpo.ranking import EXPERIMENT_ATTRIBUTE, OURS, rank
from storage import optuna_studies, optuna_trials, our_experiments
from storage.optuna_studies import Study
from storage.records import EnsembleRecord, TrialRecord

STATES = {
    "COMPLETE": "complete",
    "PRUNED": "pruned",
    "RUNNING": "running",
    "WAITING": "waiting",
    "FAIL": "failed",
}
"""Optuna's name of a state -> ours, in the order of a leaderboard."""

_TOLD = ("method", "expected", "expected_se", "loss", "methods", "members", "folds", "rows")
"""What the document says of an ensemble."""

_SHOWN = 5
"""How many studies an error names."""


@dataclass(frozen=True)
class Entry:
    """A trial on the leaderboard. ``rank`` counts from 1; None if it has no score to be ranked by.

    ``validation`` and ``train`` are the study's metric on these rows; ``reason`` is why it failed.
    ``costs`` are the other values of a study with several objectives; ``on_front`` is whether no
    other trial beats it in all of them.
    """

    rank: int | None
    number: int
    state: str
    validation: float | None
    train: float | None
    seconds: float | None
    params: Mapping[str, Any]
    reason: str | None
    costs: tuple[float, ...] = ()
    on_front: bool = False

    @property
    def gap(self) -> float | None:
        """How much better it is on the rows that it was trained on."""
        if self.train is None or self.validation is None:
            return None
        return self.train - self.validation


@dataclass(frozen=True)
class Leaderboard:
    """The trials, best first, failed ones last. ``counts``: state -> trials, zeros left out.

    ``network`` are the numbers of units, layer by layer, and ``weights`` how many numbers such a
    network learns; None where they are not stored. ``maximised`` says which values are better.
    ``cv`` is the number of folds that scored each trial, None where the validation rows did.
    ``costs`` are the names of the objectives besides the score. ``ensembles`` are those that were
    built of the study, the best promised score first.
    """

    study: str
    metric: str
    maximised: bool
    network: tuple[int, ...] | None
    weights: int | None
    counts: Mapping[str, int]
    entries: Sequence[Entry]
    cv: int | None = None
    costs: tuple[str, ...] = ()
    ensembles: Sequence[EnsembleRecord] = ()

    def document(self, storage: str, top: int | None = None) -> dict[str, Any]:
        """The JSON object of ``--json``, with the best ``top`` trials, or with all."""
        return {
            "study": self.study,
            "storage": storage,
            "metric": self.metric,
            "direction": "maximize" if self.maximised else "minimize",
            "cv": self.cv,
            "network": self.network and list(self.network),
            "weights": self.weights,
            "trials": {state: self.counts.get(state, 0) for state in STATES.values()},
            "leaderboard": [self.described(each) for each in self.best(top)],
            "ensembles": [
                {"name": each.name} | {name: each.record[name] for name in _TOLD}
                for each in self.ensembles
            ],
        }

    def best(self, top: int | None) -> Sequence[Entry]:
        """The best ``top`` trials; without a number all, whatever became of them."""
        if top is None:
            return self.entries
        return [each for each in self.entries[:top] if each.rank is not None]

    def described(self, entry: Entry) -> dict[str, Any]:
        """A trial in that object."""
        return {
            "rank": entry.rank,
            "trial": entry.number,
            "state": entry.state,
            "validation": _finite(entry.validation),
            "train": _finite(entry.train),
            "gap": _finite(entry.gap),
            "seconds": entry.seconds,
            "weights": self.weights,
            "params": dict(entry.params),
            "reason": entry.reason,
            **(self._described_costs(entry) if self.costs else {}),
        }

    def _described_costs(self, entry: Entry) -> dict[str, Any]:
        costs = dict(zip(self.costs, entry.costs, strict=False))  # a failed trial has none
        return {"costs": costs, "pareto": entry.on_front}


def read_leaderboard(connection: Connection, name: str | None) -> Leaderboard:
    """The leaderboard of the study ``name``, or of the only one.

    Raises
    ------
    UsageError
        If there is no such study, or its trials have several values and are another program's; says
        what there is.
    """
    study = choose(optuna_studies.studies(connection, EXPERIMENT_ATTRIBUTE), name)
    settings = our_experiments.document(connection, study.experiment or "", "settings")
    if len(study.directions) != 1 and not settings:
        raise UsageError(
            f"study {study.name!r} has {len(study.directions)} values for each trial, and a "
            "leaderboard needs one"
        )
    trials = optuna_trials.trials(connection, study.study_id, (OURS, "seconds", "reason"))
    maximised = study.directions[:1] == ("MAXIMIZE",)
    costs = study.metrics[1:] if settings else ()
    front = {each.number for each in pareto_front(trials)} if costs else set()
    if settings:
        metric = str(settings["metric"])
        ranked = rank(trials)
        seconds = {each.number: each.attributes.get("seconds") for each in trials}
    else:
        metric = study.metrics[0] if study.metrics else "value"
        ranked = _rank_others(trials, maximised=maximised)
        seconds = dict(optuna_trials.seconds(connection, study.study_id))
    places = {trial.number: place for place, trial in enumerate(ranked, start=1)}
    rest = sorted(
        (each for each in trials if each.number not in places),
        key=lambda each: (list(STATES).index(each.state), each.number),
    )
    entries = [
        _entry(each, places.get(each.number), seconds, front, ours=bool(settings))
        for each in (*ranked, *rest)
    ]
    counts = Counter(entry.state for entry in entries)
    network, weights = _network(connection, study.experiment)
    cv = settings.get("cv") if settings else None
    built = our_experiments.ensembles(connection, study.experiment or "")
    built.sort(key=lambda each: math.inf if (e := each.record["expected"]) is None else -e)
    return Leaderboard(
        study.name, metric, maximised, network, weights, counts, entries, cv, costs, built
    )


def choose(studies: Sequence[Study], name: str | None) -> Study:
    """The study of this name, or the only one; raises ``UsageError`` and says what there is."""
    names = [study.name for study in studies]
    if not studies:
        raise UsageError("the storage holds no study yet: hpo search digits makes one")
    if name is None:
        if len(studies) > 1:
            raise UsageError(f"the storage holds {len(studies)} studies, name one: {_some(names)}")
        return studies[0]
    for study in studies:
        if study.name == name:
            return study
    near = did_you_mean(name, names)
    raise UsageError(f"there is no study {name!r}: the storage holds {_some(names)}{near}")


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(repr(name) for name in names[:_SHOWN]) + more


def _rank_others(trials: Sequence[TrialRecord], *, maximised: bool) -> list[TrialRecord]:
    """Likewise of a study that another program made: those with a finite value."""
    sign = -1 if maximised else 1
    finite = [each for each in trials if _finite(each.value) is not None]
    return sorted(finite, key=lambda each: (sign * (each.value or 0.0), each.number))


def _entry(
    trial: TrialRecord,
    place: int | None,
    seconds: Mapping[int, Any],
    front: Container[int],
    *,
    ours: bool,
) -> Entry:
    reason = None
    if trial.state == "FAIL":
        reason = str(trial.attributes.get("reason", "no reason was kept"))
    return Entry(
        rank=place,
        number=trial.number,
        state=STATES[trial.state],
        validation=trial.value,
        train=_number(trial.attributes.get(OURS)) if ours else None,
        seconds=_number(seconds.get(trial.number)),
        params=trial.params,
        reason=reason,
        costs=trial.costs,
        on_front=trial.number in front,
    )


def _network(
    connection: Connection, experiment: str | None
) -> tuple[tuple[int, ...] | None, int | None]:
    """The layers of a study's networks and how many numbers one has, if that is stored."""
    from hpo.nn.architecture import Architecture  # noqa: PLC0415  # NumPy, for this alone

    preparation = our_experiments.document(connection, experiment or "", "preparation")
    try:
        architecture = Architecture.from_json(preparation["architecture"])
    except (TypeError, KeyError, ValueError):  # none, or another version's
        return None, None
    return architecture.sizes, architecture.n_params


def _number(value: object) -> float | None:
    """What another program wrote under one of our names may be anything."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
