"""The rounds of a study in plain values: what each searched, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from hpo.known_trials import FINISHED
from hpo.ranking import rank
from storage.records import RoundRecord, TrialRecord


def described(
    records: Sequence[RoundRecord], trials: Sequence[TrialRecord], per_round: int
) -> list[dict[str, Any]]:
    """Each round with its finished trials, its ranges and its best score, None if it has none."""
    finished = [each for each in trials if each.state in FINISHED]
    counts = Counter(trial.number // per_round for trial in finished)
    best: dict[int, float] = {}
    for trial in rank(trials):
        if trial.value is not None:
            best.setdefault(trial.number // per_round, trial.value)
    return [
        {
            "round": record.round,
            "trials": counts[record.round],
            "ranges": record.ranges,
            "best": best.get(record.round),
        }
        for record in records
    ]
