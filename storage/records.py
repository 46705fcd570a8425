"""Plain values that cross the boundary between the storage and whoever uses it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Json = Any
"""Whatever ``json`` writes and reads."""


@dataclass(frozen=True)
class ExperimentRecord:
    """What a study was made of. ``uid`` is 32 hexadecimal digits; ``created_at`` ISO 8601, UTC.

    ``artifacts`` is the folder or bucket of the networks, None for that beside the database;
    ``split`` says to which part each row belongs, packed by whoever wrote it.
    """

    uid: str
    created_at: str
    source: str
    fingerprint: Json
    settings: Json
    preparation: Json
    versions: Json
    trials_per_round: int
    artifacts: str | None = None
    split: bytes | None = None


class RoundRecord(NamedTuple):
    """A round and what its points were drawn from.

    ``ranges``: name -> [low, high], or {"choices": [...]}.
    """

    round: int
    ranges: dict[str, list[float] | dict[str, list[Json]]]


class SelectionRecord(NamedTuple):
    """Which trial won after so many had finished, each of the best trained again so many times.

    ``digest`` is the model's that is handed over; ``record`` tells in plain values how it was
    chosen. ``refit``: the model was then trained on all rows but those for the test.
    """

    trials: int
    repeats: int
    number: int
    digest: str
    record: dict[str, Json]
    refit: bool = False


class EnsembleRecord(NamedTuple):
    """An ensemble of a study: its name, the digest of the model, and how it came about.

    ``record`` tells in plain values what it is made of, and what its parts and other methods score.
    """

    name: str
    digest: str
    record: dict[str, Json]


class Slot(NamedTuple):
    """A trial to be trained: its number and its parameters."""

    number: int
    params: dict[str, Any]


@dataclass(frozen=True)
class Result:
    """What a trained slot leaves behind.

    ``value`` is finite, or None for a trial that failed, and ``attributes`` then say why. A trial
    that was ``pruned`` has its last intermediate value, as Optuna has it, or none. ``costs`` are
    the further values, of a study that minimises some. ``intermediate`` maps a step to a value.
    ``curves`` (names, epochs) and ``prediction`` (rows, outputs) are float32; a trial that did not
    complete has no prediction.
    """

    number: int
    value: float | None
    intermediate: Mapping[int, float]
    attributes: Mapping[str, Json]
    curve_names: tuple[str, ...] = ()
    curves: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    prediction: NDArray[np.float32] | None = None
    pruned: bool = False
    costs: tuple[float, ...] = ()

    @property
    def state(self) -> str:
        """Optuna's name of what became of the trial."""
        if self.pruned:
            return "PRUNED"
        return "FAIL" if self.value is None else "COMPLETE"

    def __post_init__(self) -> None:
        # SQLite keeps a NaN as NULL, and Optuna can then read no trial of the study any more.
        for value in self.values:
            if not math.isfinite(value):
                raise ValueError(f"trial {self.number} has the value {value}: it must be finite")

    @property
    def values(self) -> tuple[float, ...]:
        """What the study keeps of it, one for each objective; none if it failed."""
        return () if self.value is None else (self.value, *self.costs)


@dataclass(frozen=True)
class TrialRecord:
    """A trial as the study has it; ``state`` is Optuna's name, as in ``COMPLETE``.

    ``value`` is the first one and ``costs`` are the others, of a study with several.
    ``trial_id`` is Optuna's, by which trials are found quickly; another copy has other ones.
    ``intermediate`` maps a step to a value, and is empty where it was not asked for.
    """

    number: int
    state: str
    value: float | None
    params: dict[str, Any]
    attributes: dict[str, Json] = field(default_factory=dict)
    trial_id: int = field(default=0, compare=False)
    intermediate: dict[int, float] = field(default_factory=dict)
    costs: tuple[float, ...] = ()


class Stage(NamedTuple):
    """How far a trial has come; see `TrialRecord`."""

    number: int
    state: str
    trial_id: int


class Kept(NamedTuple):
    """A stored network: its trial's number, its digest and the trial's value."""

    number: int
    digest: str
    value: float | None


class Owner(NamedTuple):
    """A process that searches. ``place`` tells process numbers of different machines apart.

    ``started`` is when the process did, in its machine's own units: numbers are used again.
    """

    uid: str
    host: str
    place: str
    pid: int
    started: str


class Lease(NamedTuple):
    """What an owner holds: the numbers of its trials, and the seconds since it was last heard."""

    experiment: str
    owner: Owner
    silence: float
    numbers: tuple[int, ...]
    dead: bool


class Look(NamedTuple):
    """One entry of the ledger: the how-manieth look of its experiment, and what it showed."""

    order: int
    model: str
    why: str
    score: float | None
