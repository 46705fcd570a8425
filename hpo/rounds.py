"""The rounds of a study in plain values: what each searched, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from hpo.known_trials import FINISHED
from hpo.ranking import rank
from storage.records import RoundRecord, TrialRecord


def described(
    records: Sequence[RoundRecord], trials: Sequence[TrialRecord], per_round: int
) -> list[dict[str, Any]]:
    """Each round with its finished trials, its ranges and its best score, None if it has none."""
    finished = [each.number for each in trials if each.state in FINISHED]
    ranked = [(each.number, each.value) for each in rank(trials)]
    counts, best = tally(finished, ranked, per_round)
    return [
        {
            "round": record.round,
            "trials": counts[record.round],
            "ranges": record.ranges,
            "best": best.get(record.round),
        }
        for record in records
    ]


def tally(
    finished: Iterable[int], ranked: Iterable[tuple[int, float | None]], per_round: int
) -> tuple[Counter[int], dict[int, float]]:
    """How many of the ``finished`` trials each round has, and its best score, if it has one.

    ``ranked``: numbers and scores of trials, the best first.
    """
    best: dict[int, float] = {}
    for number, value in ranked:
        if value is not None:
            best.setdefault(number // per_round, value)
    return Counter(number // per_round for number in finished), best
