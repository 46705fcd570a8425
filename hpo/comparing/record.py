"""What the runs of a comparison come to, in plain values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.comparing.choices import Choice
from hpo.comparing.noise import LEVEL, holm, paired
from hpo.comparing.training import Run

NEAR = 0.9
"""The level is so much of the way from guessing to the best loss."""

CURVES = ("train_loss", "val_loss", "train_score", "val_score")

Record = dict[str, Any]


def level_of(runs: Mapping[str, Sequence[Run]], guess: float) -> float:
    """A validation loss near the lowest that a choice has in the mean, in three digits."""
    curves = [_curve(each, "val_loss") for each in runs.values()]
    best = min((float(curve.mean(axis=0).min()) for curve in curves if curve.size), default=guess)
    return float(f"{guess - NEAR * max(0.0, guess - best):.3g}")


def at_best_rate(runs: Sequence[Run]) -> list[Run]:
    """Of the runs of one choice those with the learning rate that ends with the lowest loss."""
    rates = dict.fromkeys(run.learning_rate for run in runs)
    found = {rate: [run for run in runs if run.learning_rate == rate] for rate in rates}
    return min(found.values(), key=_quality)


def rates_record(runs: Sequence[Run]) -> list[Record]:
    """How one choice does with each learning rate that was tried."""
    rates = dict.fromkeys(run.learning_rate for run in runs)
    found: list[Record] = []
    for rate in rates:
        failed, loss = _quality([run for run in runs if run.learning_rate == rate])
        known = loss if math.isfinite(loss) else None
        found.append({"learning_rate": rate, "val_loss": known, "failed": failed})
    return found


def _quality(runs: Sequence[Run]) -> tuple[int, float]:
    """How many failed, and the mean loss that the others end with."""
    ends = [_at(run, "val_loss", run.kept) for run in runs if run.reason is None]
    return len(runs) - len(ends), float(np.mean(ends)) if ends else math.inf


def choice_record(
    choice: Choice, params: Mapping[str, Any], runs: Sequence[Run], level: float
) -> Record:
    """Mean and spread of what the runs of one choice come to; None for what there is none of."""
    good = [run for run in runs if run.reason is None]
    losses = [_at(run, "val_loss", run.kept) for run in good]
    record: Record = {
        "choice": choice.name,
        "baseline": choice.baseline,
        "params": {**params, "learning_rate": runs[0].learning_rate},
        "patience": choice.patience,
        "networks": len(runs),
        "failed": len(runs) - len(good),
        "reason": next((run.reason for run in runs if run.reason is not None), None),
        "seeds": [run.seed for run in good],
        "val_loss": spread_of(losses),
        "best_val_loss": spread_of([float(np.min(run.curves["val_loss"])) for run in good]),
        "val_score": spread_of([run.val_score for run in good]),
        "best_val_score": spread_of([_highest(run.curves["val_score"]) for run in good]),
        "train_score": spread_of([run.train_score for run in good]),
        "gap": spread_of([run.train_score - run.val_score for run in good]),
        "epochs": spread_of([run.epochs for run in good]),
        "epochs_to_level": _reached([_first(run, level) for run in good]),
        "seconds": math.fsum(run.seconds for run in runs) / len(runs),
    }
    return record | {"curves": _curves(good)}


def spread_of(values: Sequence[float]) -> Record | None:
    """Mean, standard deviation (None of one value) and the values themselves, seed by seed."""
    if not values:
        return None
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "sd": deviation, "values": list(map(float, values))}


def differences(choices: Sequence[Record], judged_by: str) -> list[Record]:
    """Each choice against its baseline, or if all compete the best against every other.

    The best has the lowest mean of the loss that they are ``judged_by``.

    Seeds that failed with either of the two are left out. ``p`` is corrected for as many tests as
    are made of one quantity.
    """
    found: list[Record] = []
    for name in ("val_loss", "best_val_loss", "val_score", "gap"):
        made = [_difference(name, *pair) for pair in _pairs(choices, judged_by) if _common(*pair)]
        known = [each for each in made if each["p"] is not None]
        for each, p in zip(known, holm([each["p"] for each in known]), strict=True):
            each |= {"p": p, "larger_than_noise": p < LEVEL}
        found += made
    return found


def best_of(choices: Sequence[Record], judged_by: str) -> Record:
    """The one with the lowest mean of this loss, of those that fail least often."""
    trained = [each for each in choices if each["val_loss"] is not None]
    return min(trained, key=lambda each: (each["failed"], each[judged_by]["mean"]))


def _pairs(choices: Sequence[Record], judged_by: str) -> list[tuple[Record, Record]]:
    named = {each["choice"]: each for each in choices}
    if any(each["baseline"] for each in choices):
        return [(each, named[each["baseline"]]) for each in choices if each["baseline"]]
    best = best_of(choices, judged_by)
    return [(best, each) for each in choices if each is not best]


def _common(one: Record, other: Record) -> list[int]:
    """The seeds with which both were trained."""
    return [seed for seed in one["seeds"] if seed in other["seeds"]]


def _difference(name: str, one: Record, other: Record) -> Record:
    both = _common(one, other)
    values, baseline = (
        [each[name]["values"][each["seeds"].index(seed)] for seed in both] for each in (one, other)
    )
    difference = paired(values, baseline)
    return {
        "of": name,
        "choice": one["choice"],
        "baseline": other["choice"],
        "pairs": len(both),
        **difference._asdict(),
        "larger_than_noise": None,
    }


def _curves(runs: Sequence[Run]) -> Record:
    """Mean and spread of each curve over the seeds, as long as all of them train."""
    found: Record = {}
    for name in CURVES:
        if any(name not in run.curves for run in runs) or not runs:
            continue
        curve = _curve(runs, name)
        deviation = curve.std(axis=0, ddof=1) if len(curve) > 1 else np.full(curve.shape[1], np.nan)
        found[name] = {"mean": _plain(curve.mean(axis=0)), "sd": _plain(deviation)}
    return found


def _curve(runs: Sequence[Run], name: str) -> NDArray[np.float64]:
    """(seeds, epochs), of as many epochs as all of them have."""
    good = [run.curves[name] for run in runs if run.reason is None]
    shortest = min(map(len, good), default=0)
    return np.array([each[:shortest] for each in good]).reshape(len(good), shortest)


def _plain(values: NDArray[np.float64]) -> list[float | None]:
    return [float(each) if math.isfinite(each) else None for each in values]


def _at(run: Run, name: str, epoch: int) -> float:
    return float(run.curves[name][epoch - 1])


def _highest(curve: NDArray[np.float64]) -> float:
    """Of the epochs that were measured, among which is the one that was kept."""
    return float(np.nanmax(curve))


def _first(run: Run, level: float) -> int | None:
    """The first epoch, from 1, with a validation loss that is not above ``level``."""
    below = np.flatnonzero(run.curves["val_loss"] <= level)
    return int(below[0]) + 1 if len(below) else None


def _reached(epochs: Sequence[int | None]) -> Record:
    """Mean and spread over the seeds that got there, and how many did."""
    there = [each for each in epochs if each is not None]
    found = spread_of(there) or {"mean": None, "sd": None}
    return found | {"values": list(epochs), "reached": len(there)}
