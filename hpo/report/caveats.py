"""What a search does not show, told of this one's own numbers."""

from __future__ import annotations

import math

from hpo.report.records import Study
from hpo.report.words import metric_word, score, scored_word

UNFINISHED = ("running", "waiting")


def caveats(study: Study) -> list[str]:
    """Sentences that keep a reader from believing too much."""
    if not study.ranked:
        return []
    told = [
        _unfinished(study),
        _best_of_many(study),
        _alike(study),
        _test_noise(study),
        _many_looks(study),
        _edges(study),
        _split(study),
        _importances(study),
    ]
    return [each for each in told if each]


def _unfinished(study: Study) -> str:
    count = sum(study.counts.get(state, 0) for state in UNFINISHED)
    if not count:
        return ""
    return f"The search has not ended: {count} trials are still to be trained, so all may change."


def _best_of_many(study: Study) -> str:
    """The maximum of noisy scores is too high."""
    best = study.ranked[0]
    count = len(study.ranked)
    if count < 2 or best.value is None:
        return ""
    scored = f"{scored_word(study.cv)} {metric_word(study.metric)}"
    told = f"The best {scored}, {score(best.value)}, is the highest of {count} noisy scores"
    expected = study.selection.record.get("expected") if study.selection else None
    if expected is None:
        return f"{told}, so it is too high: nothing as good is to be expected on new rows."
    if expected > best.value:
        return f"{told}: believe {score(expected)}, which was measured on other rows."
    return f"{told}, so it is too high: believe {score(expected)}, the score to expect on new rows."


def _alike(study: Study) -> str:
    """How many trials cannot be told from the best one."""
    error, best = standard_error(study), study.ranked[0].value
    if error is None or best is None:
        return ""
    near = sum(1 for each in study.ranked if each.value is not None and each.value >= best - error)
    if near < 2:
        return ""
    return (
        f"The first {near} of the ranking lie within one standard error ({error:.2g}) of the best: "
        "their order may be luck, and so may be small differences between their parameters."
    )


def standard_error(study: Study) -> float | None:
    """The standard error of one trial's score; None where it cannot be told.

    Of an accuracy that of a share; of another metric what was measured for the winner, on more
    rows, so that it is rather too small.
    """
    best = study.ranked[0].value
    if study.metric == "accuracy" and best is not None:
        rows = study.data.parts["validation"] if study.cv is None else study.data.parts["train"]
        return share_error(best, rows)
    found = study.selection.record.get("expected_se") if study.selection else None
    return found or None


def share_error(share: float, rows: int) -> float:
    """The standard error of a share of so many rows, not 0 where all or none of them are right.

    Agresti & Coull 1998: two more rows that are right and two that are wrong.
    """
    more = rows + 4
    adjusted = (share * rows + 2) / more
    return math.sqrt(adjusted * (1 - adjusted) / more)


def _test_noise(study: Study) -> str:
    seen = [each.score for each in study.looks if each.score is not None]
    if not seen or study.metric != "accuracy":
        return ""
    rows = study.data.parts["test"]
    return (
        f"The test score of {score(seen[0])} is itself uncertain by about "
        f"{share_error(seen[0], rows):.2g} (one standard error of a share of {rows:,} rows)."
    )


def _many_looks(study: Study) -> str:
    if len(study.looks) < 2:
        return ""
    return (
        f"The test rows were looked at {len(study.looks)} times: the best of these scores is too "
        "high, the more so the more looks there are."
    )


def _edges(study: Study) -> str:
    if not study.edges:
        return ""
    names = " and ".join(name.replace("_", " ") for name in study.edges)
    return f"Nothing is known beyond the range of {names}, at whose end the winner lies: widen it."


def _split(study: Study) -> str:
    if study.settings.get("time") is not None:
        return "The test rows are the latest ones; what comes after them may be different again."
    if study.settings.get("group") is not None:
        return "Another way to part the groups would give other scores, and maybe another winner."
    return (
        "All rows were split at random: nothing is said about rows of another place, of another "
        "time or of people that are not in the data, and another split gives other scores."
    )


def _importances(study: Study) -> str:
    if not study.importances:
        return ""
    return (
        "What mattered, mattered within these ranges and on these data: a parameter that seems to "
        "have no part in it may have one beyond them."
    )
