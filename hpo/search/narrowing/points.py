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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution

from .box import Box, Choices, narrow
from .scale import Numerical, Range, value_at
from .settings import FinishedTrial, NarrowingSettings

Point = dict[str, Any]

# Every kind of draw has a stream of its own, also where a trial's number equals a round's index.
_EXPLORERS, _STRATA, _JITTER, _CHOICES = range(4)


@dataclass(frozen=True)
class Shape:
    """How the parameters of a space belong together.

    Parameters
    ----------
    structural
        Parameters that are costly to vary. ``settings.group_size`` neighbouring slots of a round
        share them, and their Latin hypercube has a stratum for each group of slots.
    meaningful
        Returns a point without the parameters that have no meaning in it.
    """

    structural: frozenset[str] = frozenset()
    meaningful: Callable[[Point], Point] = dict


PLAIN = Shape()


def point(
    settings: NarrowingSettings,
    number: int,
    name: str,
    distribution: BaseDistribution,
    left: Range | Choices | None = None,
) -> Any:
    """Return the value of one parameter in one trial.

    Parameters
    ----------
    left
        What `narrow` left of the parameter's range; None is the full range. Slots that explore, and
        so the whole first round, take the full range in any case.

    Returns
    -------
    float, int or a choice
        A value that `distribution` contains. In a round, each choice that is left appears equally
        often, give or take one.
    """
    if isinstance(distribution, CategoricalDistribution):
        kept = left.kept if isinstance(left, Choices) else distribution.choices
        return _choice(settings, number, name, distribution.choices, kept)
    if not isinstance(distribution, Numerical):
        raise TypeError(f"{name}: a {type(distribution).__name__} cannot be searched")
    round_index, slot = divmod(number, settings.trials_per_round)
    explores = _explorers(settings, round_index)
    share = _share(settings, number, name, np.flatnonzero(explores == explores[slot]))
    if explores[slot] or not isinstance(left, tuple):
        left = distribution.low, distribution.high
    return value_at(distribution, left, share)


def propose(
    distributions: Mapping[str, BaseDistribution],
    finished: Iterable[FinishedTrial],
    settings: NarrowingSettings,
    numbers: Sequence[int],
    shape: Shape = PLAIN,
) -> list[Point]:
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
    return place(distributions, box, settings, numbers, shape)


def place(
    distributions: Mapping[str, BaseDistribution],
    box: Box,
    settings: NarrowingSettings,
    numbers: Sequence[int],
    shape: Shape = PLAIN,
    given: Sequence[Point] = (),
) -> list[Point]:
    """Return the parameters of the trials `numbers` of one round, whose box is `box`.

    Parameters
    ----------
    given
        What the user wants tried first: parts of the points of trials 0, 1 and so on. A parameter
        that is absent there is drawn.
    """
    groups = replace(
        settings, trials_per_round=-(-settings.trials_per_round // settings.group_size)
    )
    points = []
    for number in numbers:
        round_index, slot = divmod(number, settings.trials_per_round)
        group = round_index * groups.trials_per_round + slot // settings.group_size
        values = {
            name: point(groups, group, name, distribution, box.get(name))
            if name in shape.structural
            else point(settings, number, name, distribution, box.get(name))
            for name, distribution in distributions.items()
        }
        points.append(shape.meaningful({**values, **given_to(number, given)}))
    return points


def given_to(number: int, given: Sequence[Point]) -> Point:
    """Return what the user wants of a trial; empty for all but the first ones."""
    return given[number] if number < len(given) else {}


def _choice(
    settings: NarrowingSettings,
    number: int,
    name: str,
    choices: Sequence[Any],
    kept: Sequence[Any],
) -> Any:
    """Deal the choices out to the slots of the round; chance says which appear once more.

    Slots that explore get all of them, the others those that are kept.
    """
    round_index, slot = divmod(number, settings.trials_per_round)
    explores = _explorers(settings, round_index)
    slots = np.arange(settings.trials_per_round)
    if len(kept) < len(choices):
        slots = np.flatnonzero(explores == explores[slot])
        choices = choices if explores[slot] else kept
    stratum = _strata(settings.seed, len(slots), round_index, key(name))
    dealt = stratum[np.searchsorted(slots, slot)] % len(choices)
    order = _generator(settings.seed, _CHOICES, round_index, key(name)).permutation(len(choices))
    return choices[order[dealt]]


@lru_cache(maxsize=64)
def _explorers(settings: NarrowingSettings, round_index: int) -> NDArray[np.bool_]:
    """Return which slots search the full ranges, the same for all parameters.

    Returns
    -------
    ndarray of shape (trials_per_round,)
        All True in the first round, which has nothing to narrow to unless it is a warm one.
    """
    n = settings.trials_per_round
    if round_index == 0 and not settings.warm:
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
    strata = _strata(settings.seed, len(group), round_index, key(name), int(group[0]))
    jitter = _generator(settings.seed, _JITTER, number, key(name)).random()
    return float((strata[np.searchsorted(group, slot)] + jitter) / len(group))


@lru_cache(maxsize=256)
def _strata(seed: int, n_strata: int, *words: int) -> NDArray[np.int64]:
    """Return which stratum each slot gets, (n_strata,)."""
    return _generator(seed, _STRATA, *words).permutation(n_strata)


@lru_cache(maxsize=1024)
def key(name: str) -> int:
    """Return a number for a name, the same in every process, unlike `hash`."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")


def _generator(*words: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(words))
