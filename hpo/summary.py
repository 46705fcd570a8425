"""The end of a search as plain values: what ``--json`` prints and the tables are drawn from."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from hpo.joined_study import JoinedStudy
from hpo.pareto import pareto_front
from hpo.ranking import OURS, rank
from hpo.rounds import described
from storage.records import Look, SelectionRecord, TrialRecord
from storage.urls import masked

BEST = 10
"""How many trials the list of the best shows."""


@dataclass(frozen=True)
class Summary:
    """A finished search. ``look`` is the winner's look at the test rows, None if they stayed shut.

    ``selection`` tells how the winner was chosen, None if it is the first of the ranking.

    ``document`` is the JSON object of ``--json``.
    """

    document: dict[str, Any]
    best: list[TrialRecord]
    look: Look | None
    selection: SelectionRecord | None


def summarise(
    experiment: JoinedStudy,
    url: str,
    started: float,
    *,
    keep_sealed: bool,
    selection: SelectionRecord | None = None,
    stopped: str | None = None,
) -> Summary:
    """Look at the test rows with the winner unless they are to stay sealed, and collect.

    The winner is the one of ``selection``, or without any the first of the ranking.

    ``started`` is when the command began, by ``time.perf_counter``; ``stopped`` why the search
    ended before all trials were trained.

    Raises
    ------
    NoFiniteTrialError
        If every trial failed.
    ArtifactError
        If the winner's network is missing or damaged.
    """
    winner = experiment.winner()
    trials = experiment.store.trials()
    if selection is not None:
        winner = next(each for each in trials if each.number == selection.number)
    look = None if keep_sealed else experiment.test(winner, selection)
    states = Counter(trial.state for trial in trials)
    document = {
        "study": experiment.study,
        "storage": masked(url),
        "task": experiment.settings.task,
        "metric": experiment.settings.metric,
        "rows": experiment.prepared.rows,
        "cv": experiment.settings.cv,
        "trials": {
            "complete": states["COMPLETE"],
            "pruned": states["PRUNED"],
            "failed": states["FAIL"],
        },
        "rounds": described(experiment.rounds(), trials, experiment.narrowing.trials_per_round),
        "best": _best(experiment, winner, selection),
        "pareto": _pareto(experiment, trials),
        "selection": selection and _selection(selection),
        "test": {"score": look and look.score, "evaluations": len(experiment.looks())},
        "stopped": stopped,
        "seconds": round(time.perf_counter() - started, 3),
    }
    return Summary(document, rank(trials)[:BEST], look, selection)


def _best(
    experiment: JoinedStudy, winner: TrialRecord, selection: SelectionRecord | None
) -> dict[str, Any]:
    """The winner, and the score to expect of it."""
    if selection is None:
        expected, standard_error = experiment.expectation()
    else:
        expected, standard_error = selection.record["expected"], selection.record["expected_se"]
    return {
        "trial": winner.number,
        "validation": winner.value,
        "train": winner.attributes[OURS],
        "expected": expected,
        "expected_se": standard_error,
        "params": winner.params,
        "edges": _edges(experiment, winner),
    }


def _pareto(experiment: JoinedStudy, trials: list[TrialRecord]) -> list[dict[str, Any]] | None:
    """The trials that none beats in every objective, best score first; None if there is but one."""
    names = experiment.settings.objectives
    if len(names) == 1:
        return None
    return [
        {
            "trial": trial.number,
            "values": dict(zip(names, (trial.value, *trial.costs), strict=True)),
            "params": trial.params,
        }
        for trial in pareto_front(trials)
    ]


def _selection(selection: SelectionRecord) -> dict[str, Any]:
    """How the winner was chosen."""
    told = {name: selection.record[name] for name in ("folds", "candidates")}
    # Older ones do not tell of these.
    networks = selection.record.get("networks", selection.repeats)
    refit = selection.record.get("refit")
    return {"repeats": selection.repeats, **told, "networks": networks, "refit": refit}


def _edges(experiment: JoinedStudy, winner: TrialRecord) -> dict[str, str]:
    """Which of the winner's parameters lie at an end of what was searched."""
    rounds = experiment.rounds()
    return experiment.store.space.edges(rounds[-1].ranges, winner.params) if rounds else {}
