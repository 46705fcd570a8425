"""Random search whose ranges narrow from round to round, as pure functions.

Trial ``i`` is slot ``i % n`` of round ``i // n``, where ``n`` is the number of trials per round.
The first round is spread over the full ranges. Each later round is spread over a box around the
best trials of the rounds before it, except for a few slots that explore the full ranges, so that a
wrong narrowing can be undone. Both kinds of slots form a Latin hypercube: every parameter's range
is cut into as many strata of equal width as there are slots of the kind, and each stratum gets one
of them (McKay, Beckman & Conover 1979).

Nothing is remembered between calls. A point depends on the seed, the trial's number, the
parameter's name and the box, and a box on the finished trials, so a search that is resumed or
shared by many workers proposes what one uninterrupted search would have proposed.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

Range = tuple[float, float]
Numerical = FloatDistribution | IntDistribution

# Every kind of draw has a stream of its own, also where a trial's number equals a round's index.
_EXPLORERS, _STRATA, _JITTER, _CHOICES = range(4)
# Fewer than a logarithm and back leave intact, enough to tell a grid value from its neighbourhood.
_GRID_DIGITS = 9


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
    """

    number: int
    value: float
    params: Mapping[str, Any]


def narrow(
    distributions: Mapping[str, BaseDistribution],
    finished: Iterable[FinishedTrial],
    settings: NarrowingSettings,
    round_index: int,
) -> dict[str, Range]:
    """Return the box of a round: a range for each float and int parameter.

    Only finite trials of earlier rounds count, so what is running or comes later does not change a
    box, and neither does the order of `finished`. A parameter's range is spanned by the best among
    the trials that have it with a value that its distribution still contains.

    Returns
    -------
    dict
        Name to ``(low, high)`` in the parameter's own units, both ends included, inside the full
        range, with ``low < high`` unless the full range is a single value. A grid's range ends on
        the grid and holds at least two of its values. Categorical parameters are absent: all their
        choices stay.
    """
    ranked = _ranked(finished, round_index * settings.trials_per_round)
    return {
        name: _narrowed(distribution, _values(ranked, name, distribution), settings)
        for name, distribution in distributions.items()
        if isinstance(distribution, Numerical)
    }


def point(
    settings: NarrowingSettings,
    number: int,
    name: str,
    distribution: BaseDistribution,
    box_range: Range | None = None,
) -> Any:
    """Return the value of one parameter in one trial.

    Parameters
    ----------
    box_range
        The parameter's range from `narrow`; None is the full range. Slots that explore, and so the
        whole first round, take the full range in any case.

    Returns
    -------
    float, int or a choice
        A value that `distribution` contains. In a round, each choice of a categorical parameter
        appears equally often, give or take one.
    """
    if isinstance(distribution, CategoricalDistribution):
        return _choice(settings, number, name, distribution)
    if not isinstance(distribution, Numerical):
        raise TypeError(f"{name}: a {type(distribution).__name__} cannot be searched")
    round_index, slot = divmod(number, settings.trials_per_round)
    explorers = _explorers(settings, round_index)
    share = _share(settings, number, name, np.flatnonzero(explorers == explorers[slot]))
    if explorers[slot] or box_range is None:
        box_range = distribution.low, distribution.high
    return _value(distribution, box_range, share)


def propose(
    distributions: Mapping[str, BaseDistribution],
    finished: Iterable[FinishedTrial],
    settings: NarrowingSettings,
    numbers: Sequence[int],
) -> list[dict[str, Any]]:
    """Return the parameters of the trials `numbers`, which belong to one round.

    Raises
    ------
    ValueError
        If the numbers belong to more than one round.
    """
    rounds = sorted({number // settings.trials_per_round for number in numbers})
    if len(rounds) > 1:
        raise ValueError(f"the trials of one round are proposed together, not of rounds {rounds}")
    box = narrow(distributions, finished, settings, rounds[0]) if rounds else {}
    return place(distributions, box, settings, numbers)


def place(
    distributions: Mapping[str, BaseDistribution],
    box: Mapping[str, Range],
    settings: NarrowingSettings,
    numbers: Sequence[int],
) -> list[dict[str, Any]]:
    """Return the parameters of the trials `numbers` of one round, whose ranges are `box`."""
    return [
        {
            name: point(settings, number, name, distribution, box.get(name))
            for name, distribution in distributions.items()
        }
        for number in numbers
    ]


def _ranked(finished: Iterable[FinishedTrial], before: int) -> list[FinishedTrial]:
    """Return the finite trials numbered below `before`, best first."""
    usable = [t for t in finished if t.number < before and math.isfinite(t.value)]
    return sorted(usable, key=lambda t: (t.value, t.number))


def _values(ranked: list[FinishedTrial], name: str, distribution: Numerical) -> list[float]:
    """Return the values of one parameter that its distribution still contains, in their order."""
    values = [trial.params[name] for trial in ranked if name in trial.params]
    return [value for value in values if _contains(distribution, value)]


def _contains(distribution: Numerical, value: Any) -> bool:
    try:
        return distribution._contains(distribution.to_internal_repr(value))  # noqa: SLF001
    except ValueError:
        return False


def _narrowed(distribution: Numerical, ranked: list[float], settings: NarrowingSettings) -> Range:
    """Return the range that the best of the ranked values span, widened by the margin."""
    n_best = _n_best(len(ranked), settings)
    full = distribution.low, distribution.high
    if n_best < 2 or distribution.single():
        return full
    bounds = _coordinate(distribution, full[0]), _coordinate(distribution, full[1])
    best = [_coordinate(distribution, value) for value in ranked[:n_best]]
    pad = settings.margin / 2 * (max(best) - min(best))
    span = max(bounds[0], min(best) - pad), min(bounds[1], max(best) + pad)
    span = _at_least(settings.min_width, span, bounds)
    low = full[0] if span[0] <= bounds[0] else _to_value(distribution, span[0], math.floor)
    high = full[1] if span[1] >= bounds[1] else _to_value(distribution, span[1], math.ceil)
    # Rounding can close a range of a few neighbouring floating-point numbers.
    return (low, high) if low < high else full


def _n_best(n_ranked: int, settings: NarrowingSettings) -> int:
    """Return how many of the ranked trials span a box."""
    # Rounded first, because 0.07 * 100 is 7.000000000000001.
    share = math.ceil(round(settings.keep * settings.trials_per_round, 9))
    return min(max(share, settings.min_best), math.ceil(n_ranked / 2))


def _at_least(share: float, span: Range, bounds: Range) -> Range:
    """Return the span, or one of the given share of the bounds around it, slid into the bounds."""
    width = share * bounds[1] - share * bounds[0]
    if span[1] - span[0] >= width:
        return span
    centred = (span[0] + span[1] - width) / 2
    low = max(bounds[0], min(centred, bounds[1] - width))
    return low, low + width


def _coordinate(distribution: Numerical, value: float) -> float:
    """Return where a value stands on the scale that is searched evenly."""
    return math.log(value) if distribution.log else value


def _to_value(
    distribution: Numerical, coordinate: float, outwards: Callable[[float], int]
) -> float:
    """Return the value at a coordinate, on a grid the next one `outwards` (floor or ceil)."""
    value = math.exp(coordinate) if distribution.log else coordinate
    if distribution.step is not None:
        index = round((value - distribution.low) / distribution.step, _GRID_DIGITS)
        return _on_grid(distribution, outwards(index))
    return min(max(value, distribution.low), distribution.high)


def _on_grid(distribution: Numerical, index: int) -> float:
    """Return the value at an index of a grid, kept inside its range."""
    assert distribution.step is not None
    value = distribution.low + index * distribution.step
    return min(max(value, distribution.low), distribution.high)


def _value(distribution: Numerical, box_range: Range, share: float) -> float:
    """Return the value below which `share` of the range lies, measured on the searched scale."""
    if distribution.step is not None:
        return _grid_value(distribution, box_range, share)
    low, high = (_coordinate(distribution, end) for end in box_range)
    # Not low + share * (high - low), whose width overflows; nor above high, whose exp may do so.
    value = min(low * (1 - share) + high * share, high)
    if distribution.log:
        value = math.exp(value)
    return min(max(value, box_range[0]), box_range[1])


def _grid_value(distribution: Numerical, box_range: Range, share: float) -> float:
    """Return the grid value in whose cell, half a step to both sides, `share` of the range falls.

    So all values are equally likely on a linear grid, also the two at the ends.
    """
    assert distribution.step is not None
    first, last = (round((end - distribution.low) / distribution.step) for end in box_range)
    if not distribution.log:
        return _on_grid(distribution, min(first + int(share * (last - first + 1)), last))
    low, high = math.log(box_range[0] - 0.5), math.log(box_range[1] + 0.5)
    index = round(math.exp(low * (1 - share) + high * share) - distribution.low)
    return _on_grid(distribution, min(max(index, first), last))


def _choice(
    settings: NarrowingSettings, number: int, name: str, distribution: CategoricalDistribution
) -> Any:
    """Deal the choices out to the slots of the round; chance says which appear once more."""
    round_index, slot = divmod(number, settings.trials_per_round)
    n_choices = len(distribution.choices)
    strata = _generator(settings.seed, _STRATA, round_index, _key(name))
    stratum = strata.permutation(settings.trials_per_round)[slot]
    order = _generator(settings.seed, _CHOICES, round_index, _key(name)).permutation(n_choices)
    return distribution.choices[order[stratum % n_choices]]


def _explorers(settings: NarrowingSettings, round_index: int) -> NDArray[np.bool_]:
    """Return which slots search the full ranges, the same for all parameters.

    Returns
    -------
    ndarray of shape (trials_per_round,)
        All True in the first round, which has nothing to narrow to.
    """
    n = settings.trials_per_round
    if round_index == 0:
        return np.ones(n, dtype=np.bool_)
    n_explorers = round(settings.explore * n)
    if settings.explore > 0 and n >= 2:
        n_explorers = max(n_explorers, 1)
    return _generator(settings.seed, _EXPLORERS, round_index).permutation(n) < n_explorers


def _share(settings: NarrowingSettings, number: int, name: str, group: NDArray[np.intp]) -> float:
    """Return the share of its range, in [0, 1], at which a trial stands.

    Parameters
    ----------
    group
        The slots of shape (n_strata,), ascending, that divide the strata among themselves; the
        trial's own slot is one of them.
    """
    round_index, slot = divmod(number, settings.trials_per_round)
    # The first slot tells the two groups of a round apart.
    strata = _generator(settings.seed, _STRATA, round_index, _key(name), int(group[0]))
    stratum = strata.permutation(len(group))[np.searchsorted(group, slot)]
    jitter = _generator(settings.seed, _JITTER, number, _key(name)).random()
    return float((stratum + jitter) / len(group))


def _key(name: str) -> int:
    """Return a number for a name, the same in every process, unlike `hash`."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")


def _generator(*words: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(words))
