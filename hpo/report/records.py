"""What a report is drawn from: plain values, without a database behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hpo.report.words import Listed

Curves = Mapping[str, Sequence[float | None]]
"""``train_score``, ``val_score``, ``train_loss``, ``val_loss``: a value for each epoch."""


class Parameter(NamedTuple):
    """What is searched of a parameter: an interval, or ``choices`` if there are any."""

    name: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Trial:
    """A trial. ``rank`` counts from 1, None without a score; ``state`` as on the leaderboard.

    ``value`` is the score that ranks it, ``costs`` are the other objectives.
    """

    number: int
    round: int
    state: str
    rank: int | None
    value: float | None
    train: float | None
    seconds: float | None
    params: Mapping[str, Any]
    reason: str | None = None
    costs: tuple[float, ...] = ()
    on_front: bool = False
    curves: Curves = field(default_factory=dict)

    @property
    def gap(self) -> float | None:
        """How much better it is on the rows that it was trained on."""
        return None if self.train is None or self.value is None else self.train - self.value


@dataclass(frozen=True)
class Round:
    """A round: from what its points were drawn, how many have finished, and the best score."""

    index: int
    ranges: Mapping[str, Listed]
    finished: int
    best: float | None


class Data(NamedTuple):
    """The data: where from, how many rows and columns, and the SHA-256 of what was read.

    ``columns`` maps the name of a feature to the hash of its content; ``parts`` counts the rows of
    ``train``, ``validation`` and ``test``.
    """

    source: str
    rows: int
    columns: Mapping[str, str]
    target: str
    target_sha256: str
    sha256: str
    parts: Mapping[str, int]
    test_file: str | None


class Look(NamedTuple):
    """A look at the test rows: the how-manieth, of which model, and what it showed."""

    order: int
    why: str
    score: float | None


class Selection(NamedTuple):
    """How the winner was chosen: ``record`` tells of its candidates and the expected score."""

    number: int
    repeats: int
    refit: bool
    record: Mapping[str, Any]


@dataclass(frozen=True)
class Study:
    """A study of ``hpo search``: all that its report tells.

    ``trials`` are the best first, failed ones last; ``counts``: state -> trials. ``importances``:
    name of a parameter -> its share, the largest first; empty where trials are too few to tell.
    ``ensembles`` are what ``hpo ensemble --json`` printed. ``commands`` search it again.
    """

    name: str
    storage: str
    made: str
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    data: Data
    network: tuple[int, ...] | None
    weights: int | None
    trials_per_round: int
    parameters: Sequence[Parameter]
    rounds: Sequence[Round]
    trials: Sequence[Trial]
    counts: Mapping[str, int]
    importances: Mapping[str, float]
    selection: Selection | None
    edges: Mapping[str, str]
    ensembles: Sequence[Mapping[str, Any]]
    looks: Sequence[Look]
    commands: Sequence[str] = ()

    @property
    def metric(self) -> str:
        """The name of the score."""
        return str(self.settings["metric"])

    @property
    def cv(self) -> int | None:
        """How many folds score a trial, None where the validation rows do."""
        folds: int | None = self.settings.get("cv")
        return folds

    @property
    def costs(self) -> tuple[str, ...]:
        """The objectives besides the score."""
        return tuple(self.settings.get("objectives", ("score",))[1:])

    @property
    def ranked(self) -> list[Trial]:
        """The trials with a score, best first."""
        return [each for each in self.trials if each.rank is not None]

    @property
    def failed(self) -> list[Trial]:
        """The trials of which nothing came."""
        return [each for each in self.trials if each.state == "failed"]

    @property
    def winner(self) -> Trial | None:
        """The trial that won: the chosen one, else the first of the ranking."""
        if self.selection is None:
            return self.ranked[0] if self.ranked else None
        number = self.selection.number
        return next((each for each in self.trials if each.number == number), None)
