"""What a narrowing search is fixed by, and the trials that it learns from."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True)
class NarrowingSettings:
    """What a narrowing search is fixed by.

    Parameters
    ----------
    seed
        The source of all randomness, 0 or more.
    trials_per_round
        Slots of a round.
    n_rounds
        Planned rounds. Trials beyond them form more rounds of this size, which go on narrowing.
    keep
        The best trials that span the box, as a share of a round: with 0.25 and rounds of 20 the
        best five of all finished trials. Their number stays while the trials grow, so the longer
        the search, the better they are and the narrower the box.
    min_best
        At least so many trials span the box where rounds are small, though never more than half
        of the finished ones. With fewer than two the range stays full.
    margin
        The box is wider than its best trials by this share of their span, half of it on each side,
        in the logarithm for a log range. ``k`` uniform points span ``(k - 1) / (k + 1)`` of their
        range on average: with the defaults and 20 trials (``k`` = 5), two thirds. Half as much
        again restores the whole, so a parameter without influence is not narrowed by chance.
    explore
        Share of the slots of each later round that search the full ranges, at least one where a
        round has two slots. 0 means none; 1 means that nothing is ever narrowed.
    min_width
        A box keeps at least this share of the full range, in the logarithm for a log range. A
        twentieth of four decades is a factor of 1.6, about what a noisy validation score can tell
        apart, and it leaves each new round a slope to follow.
    evidence
        A choice is dropped if chance alone would rarely leave it so few of the best trials, with
        less than this probability. 0 drops none.
    group_size
        Neighbouring slots that share what is costly to vary, see `Shape`.
    repeats
        Whether a point that was tried may come again where a space has only so many.
    warm
        Whether the first round has a box too, and slots that explore beside it.

    Raises
    ------
    ValueError
        If a setting is outside its range.
    """

    seed: int
    trials_per_round: int
    n_rounds: int
    keep: float = 0.25
    min_best: int = 4
    margin: float = 0.5
    explore: float = 0.1
    min_width: float = 0.05
    evidence: float = 0.01
    group_size: int = 4
    repeats: bool = False
    warm: bool = False

    def __post_init__(self) -> None:
        rules = {
            "seed": (self.seed >= 0, "0 or more"),
            "trials_per_round": (self.trials_per_round >= 1, "1 or more"),
            "n_rounds": (self.n_rounds >= 1, "1 or more"),
            "keep": (0 < self.keep <= 1, "above 0 and at most 1"),
            "min_best": (self.min_best >= 2, "2 or more"),
            "margin": (0 <= self.margin < math.inf, "0 or more, and finite"),
            "explore": (0 <= self.explore <= 1, "from 0 to 1"),
            "min_width": (0 < self.min_width <= 1, "above 0 and at most 1"),
            "evidence": (0 <= self.evidence < 1, "from 0 to below 1"),
            "group_size": (self.group_size >= 1, "1 or more"),
        }
        for name, (holds, wanted) in rules.items():
            if not holds:
                raise ValueError(f"{name} must be {wanted}, but it is {getattr(self, name)!r}")

    def to_json(self) -> dict[str, Any]:
        """Return the settings as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Return the settings that `to_json` wrote.

        Raises
        ------
        ValueError
            If a setting is missing, unknown or outside its range.
        """
        try:
            return cls(**record)
        except TypeError as error:
            raise ValueError(f"these are no settings of a narrowing search: {error}") from error


@dataclass(frozen=True)
class FinishedTrial:
    """A trial that has a result.

    Parameters
    ----------
    number
        The trial's number in its study, from 0.
    value
        A loss: **smaller is better**. Whoever maximises negates. Values that are not finite are
        ignored.
    params
        The values of the parameters that this trial had.
    pruned
        It was dropped before its end: it was tried, and whatever its value, it is not among the
        best.
    """

    number: int
    value: float
    params: Mapping[str, Any]
    pruned: bool = False
