"""From a trial's parameters to the network that it trains and how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, cast

from hpo.nn.architecture import Architecture, BatchNorm
from hpo.nn.initializers import RandomState, natural_initializer
from hpo.nn.members import RANGES, Members, TrainingSettings
from hpo.nn.optimizers import OPTIMIZERS
from hpo.nn.schedules import Schedule
from hpo.search.tunable import AUTO, OPTIONS, hidden_sizes

Params = Mapping[str, Any]


class Recipe(NamedTuple):
    """What the members of a stack share: trials with equal recipes train together."""

    architecture: Architecture
    settings: TrainingSettings

    def of(self, params: Params) -> Recipe:
        """The recipe of a trial: this one, where its parameters say nothing else."""
        return Recipe(_architecture(self.architecture, params), _settings(self.settings, params))

    def members(self, params: Sequence[Params], states: Sequence[RandomState]) -> Members:
        """A member for each of the trials, which all have this recipe."""
        used = {name for each in params for name in each}
        numbers = {name: [each[name] for each in params] for name in RANGES if name in used}
        return Members(
            random_state=tuple(states),
            **cast("dict[str, Any]", numbers),
            options=self._options(params),
            initializer=tuple(self._initializer(each) for each in params),
        )

    def _options(self, params: Sequence[Params]) -> dict[str, list[float]]:
        # A trial that does not tune an option has the optimizer's own value.
        own = OPTIMIZERS[self.settings.optimizer].defaults
        used = {name for each in params for name in each} & OPTIONS
        return {name: [each.get(name, own[name]) for each in params] for name in sorted(used)}

    def _initializer(self, params: Params) -> str:
        name: str = params.get("initializer", AUTO)
        return natural_initializer(self.architecture.activation) if name == AUTO else name


def _architecture(base: Architecture, params: Params) -> Architecture:
    return replace(
        base,
        hidden=hidden_sizes(params["hidden"]) if "hidden" in params else base.hidden,
        activation=params.get("activation", base.activation),
        batch_norm=cast("BatchNorm", params.get("batch_norm", base.batch_norm)),
    )


def _settings(base: TrainingSettings, params: Params) -> TrainingSettings:
    return replace(
        base,
        optimizer=params.get("optimizer", base.optimizer),
        batch_size=params.get("batch_size", base.batch_size),
        schedule=Schedule(
            params.get("schedule", base.schedule.name),
            warmup=params.get("warmup", base.schedule.warmup),
            decay=base.schedule.decay,
            every=base.schedule.every,
        ),
    )
