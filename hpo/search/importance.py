"""How much each parameter has to do with a trial being among the best."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

LEAST_TRIALS = 20
"""With fewer there are but one or two among the best tenth."""


def importances(
    distributions: Mapping[str, BaseDistribution],
    trials: Sequence[tuple[Mapping[str, Any], float]],
) -> dict[str, float]:
    """Share of each parameter, the largest first, by PED-ANOVA of Optuna's dashboard.

    Watanabe, Bansal & Hutter 2023, "PED-ANOVA: Efficiently quantifying hyperparameter importance in
    arbitrary subspaces": how far the distribution of a parameter among the best tenth of the trials
    is from that among all. Only parameters that every trial has are told of.

    Parameters
    ----------
    distributions : what was searched
    trials : parameters and the value, which is maximised, of each trial

    Returns
    -------
    shares that add up to 1; empty for fewer than `LEAST_TRIALS`, for less than two parameters that
    could be told apart, and where all values are alike
    """
    finite = [(params, value) for params, value in trials if math.isfinite(value)]
    if len(finite) < LEAST_TRIALS or len({value for _, value in finite}) < 2:
        return {}
    common = set.intersection(*(set(params) for params, _ in finite))
    names = [name for name in distributions if name in common and not distributions[name].single()]
    if len(names) < 2:
        return {}
    study = _study(distributions, finite)
    found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator(), params=names)
    return {name: share for name, share in found.items() if math.isfinite(share)}


def _study(
    distributions: Mapping[str, BaseDistribution],
    trials: Sequence[tuple[Mapping[str, Any], float]],
) -> optuna.Study:
    """A study in memory of these trials."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.WARNING)  # it tells of each study that is made
    try:
        study = optuna.create_study(direction="maximize")
    finally:
        optuna.logging.set_verbosity(verbosity)
    for params, value in trials:
        used = {name: distributions[name] for name in params if name in distributions}
        own = {name: params[name] for name in used}
        study.add_trial(
            optuna.trial.create_trial(params=own, distributions=used, value=float(value))
        )
    return study
