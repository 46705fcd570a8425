"""An Optuna sampler around the narrowing search, for any objective."""

import math
import operator
import secrets
from collections.abc import Hashable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from .box import Choices, narrow
from .points import point
from .scale import Range
from .settings import FinishedTrial, NarrowingSettings
from .tried import Tried, has_few_values, key_of, open_values
from .untried import generator, pick

SETTINGS_ATTRIBUTE = "hpo:narrowing"

_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


class NarrowingSampler(BaseSampler):
    """Random search in rounds, whose ranges narrow around the best trials.

    Every trial records the full range; only the sampling narrows, so the study stays readable for
    Optuna's other samplers and importances. A sampler keeps no state that matters: a study that is
    resumed, in another process too, goes on as if it had never stopped.

    Parameters
    ----------
    n_rounds
        Planned rounds; trials beyond them form more rounds of the same size.
    trials_per_round
        Trials of a round.
    seed
        None takes the study's seed, or draws one for a new study. The settings are kept in the
        study's user attribute ``hpo:narrowing``.
    keep, min_best, margin, explore, min_width, evidence
        See `NarrowingSettings`.
    repeats
        Whether a point that was tried may be proposed again where a space has only so many. If not,
        another one is, until all were tried; points of the user's own (``study.enqueue_trial``,
        ``study.add_trial``) count, and are themselves tried as often as he likes.

    Raises
    ------
    ValueError
        If a setting is outside its range. While sampling: if the study has several objectives, or
        was started with other settings.
    """

    def __init__(
        self,
        n_rounds: int = 5,
        trials_per_round: int = 20,
        seed: int | None = None,
        *,
        keep: float = NarrowingSettings.keep,
        min_best: int = NarrowingSettings.min_best,
        margin: float = NarrowingSettings.margin,
        explore: float = NarrowingSettings.explore,
        min_width: float = NarrowingSettings.min_width,
        evidence: float = NarrowingSettings.evidence,
        repeats: bool = NarrowingSettings.repeats,
    ) -> None:
        self._adopts_seed = seed is None
        self._settings = NarrowingSettings(
            # Drawn here and not at the first trial, so that threads and copies draw the same.
            seed=secrets.randbits(32) if seed is None else operator.index(seed),
            trials_per_round=operator.index(trials_per_round),
            n_rounds=operator.index(n_rounds),
            keep=float(keep),
            min_best=operator.index(min_best),
            margin=float(margin),
            explore=float(explore),
            min_width=float(min_width),
            evidence=float(evidence),
            repeats=bool(repeats),
        )
        self._round: _Round | None = None
        self._tried: tuple[BaseStorage, int, Tried] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_round": None, "_tried": None}

    def reseed_rng(self) -> None:
        """Do nothing: a point depends on its trial's number, so parallel workers never collide."""

    def infer_relative_search_space(
        self,
        study: Study,
        trial: FrozenTrial,
    ) -> dict[str, BaseDistribution]:
        """Return nothing, because every parameter is sampled independently."""
        return {}

    def sample_relative(
        self,
        study: Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],
    ) -> dict[str, Any]:
        """Return nothing; raise ValueError if the study has several objectives."""
        self._raise_error_if_multi_objective(study)
        return {}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Return the parameter's value; the first call stores the settings in the study."""
        self._raise_error_if_multi_objective(study)
        current = self._current_round(study, trial.number)
        left = current.left(param_name, param_distribution)
        value = point(current.settings, trial.number, param_name, param_distribution, left)
        if current.settings.repeats:
            return value
        full = self._full(study, trial, param_name, param_distribution)
        if not full or key_of(param_distribution, value) not in full:
            return value
        for within in (left, None):
            if values := open_values(param_distribution, within, full):
                return pick(generator(current.settings, trial.number, param_name), values)
        return value

    def _full(
        self, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution
    ) -> AbstractSet[Hashable]:
        """Return the values of a parameter after which every point was tried, as `key_of`."""
        if not all(map(has_few_values, (distribution, *trial.distributions.values()))):
            return frozenset()
        storage, study_id = _place(study)
        known = self._tried
        if known is None or known[0] is not storage or known[1] != study_id:
            self._tried = known = storage, study_id, Tried()
        return known[2].full(storage.get_all_trials(study_id, deepcopy=False), trial, name)

    def _current_round(self, study: Study, number: int) -> "_Round":
        """Return the round of a trial, read from the study unless that is known to be idle.

        Threads may replace each other's round; each works on the one that it got.
        """
        storage, study_id = _place(study)
        known = self._round
        if known is not None and known.serves(storage, study_id, number):
            return known
        settings = self._study_settings(study.study_name, storage, study_id)
        self._round = known = _read_round(study, settings, number)
        return known

    def _study_settings(
        self, study_name: str, storage: BaseStorage, study_id: int
    ) -> NarrowingSettings:
        """Return the settings that the study keeps, which are ours if it is new.

        They are read back after writing, and again in each round: of two workers that start a study
        at the same moment the later one's seed stays, and from then on both use it.
        """
        if SETTINGS_ATTRIBUTE not in storage.get_study_user_attrs(study_id):
            storage.set_study_user_attr(study_id, SETTINGS_ATTRIBUTE, self._settings.to_json())
        record = storage.get_study_user_attrs(study_id)[SETTINGS_ATTRIBUTE]
        stored = NarrowingSettings.from_json(record)
        # Nor is it ours to say whether the first round, which is over, was a warm one.
        ours = replace(self._settings, warm=stored.warm)
        if self._adopts_seed:
            ours = replace(ours, seed=stored.seed)
        if ours != stored:
            raise ValueError(_difference(study_name, stored.to_json(), ours.to_json()))
        return stored


@dataclass(frozen=True)
class _Round:
    """What a round's points depend on, and the ranges computed from it so far.

    Parameters
    ----------
    number
        The only trial this may be used for, while a trial of an earlier round is unfinished and may
        still change the box; None when the box is final.
    """

    storage: BaseStorage
    study_id: int
    settings: NarrowingSettings
    index: int
    number: int | None
    finished: tuple[FinishedTrial, ...]
    _left: dict[tuple[str, BaseDistribution], Range | Choices] = field(default_factory=dict)

    def serves(self, storage: BaseStorage, study_id: int, number: int) -> bool:
        return (
            storage is self.storage
            and study_id == self.study_id
            and number // self.settings.trials_per_round == self.index
            and self.number in (None, number)
        )

    def left(self, name: str, distribution: BaseDistribution) -> Range | Choices:
        """Return what is left of the parameter's range."""
        key = (name, distribution)
        if key not in self._left:
            box = narrow({name: distribution}, self.finished, self.settings, self.index)
            self._left[key] = box[name]
        return self._left[key]


def _read_round(study: Study, settings: NarrowingSettings, number: int) -> _Round:
    """Read the round of a trial from the study."""
    storage, study_id = _place(study)
    index = number // settings.trials_per_round
    first = index * settings.trials_per_round
    trials = storage.get_all_trials(study_id, deepcopy=False, states=_FINISHED) if first else []
    earlier = [trial for trial in trials if trial.number < first]
    return _Round(
        storage=storage,
        study_id=study_id,
        settings=settings,
        index=index,
        number=None if len(earlier) == first else number,
        finished=_losses(earlier, study.direction),
    )


def _losses(trials: list[FrozenTrial], direction: StudyDirection) -> tuple[FinishedTrial, ...]:
    """Return the complete trials with their values as losses, and the pruned ones."""
    sign = -1.0 if direction == StudyDirection.MAXIMIZE else 1.0
    complete = (
        FinishedTrial(trial.number, sign * trial.value, trial.params)
        for trial in trials
        if trial.state == TrialState.COMPLETE and trial.value is not None
    )
    pruned = (
        # Where a pruner ended it says nothing of where it would have come to.
        FinishedTrial(trial.number, math.inf, trial.params, pruned=True)
        for trial in trials
        if trial.state == TrialState.PRUNED
    )
    return (*complete, *pruned)


def _place(study: Study) -> tuple[BaseStorage, int]:
    """Return a study's storage and its id there.

    Optuna hands a sampler under a Hyperband pruner a stand-in for the study that hides attributes
    and the trials of other brackets; a round has trials of all brackets.
    """
    return study._storage, study._study_id  # noqa: SLF001


def _difference(study_name: str, stored: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    names = [name for name in stored if stored[name] != ours[name]]
    theirs = ", ".join(f"{name}={stored[name]}" for name in names)
    given = ", ".join(f"{name}={ours[name]}" for name in names)
    return (
        f"study {study_name!r} was started with {theirs}, but this sampler has {given}; "
        "give the sampler the study's settings, or use another study"
    )
