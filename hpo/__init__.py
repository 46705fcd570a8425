"""Hyperparameter search for neural networks that trains a whole round of trials as one stack."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hpo._version import __version__

if TYPE_CHECKING:
    from hpo.estimators import MLPClassifier, MLPMultiTask, MLPRegressor
    from hpo.experiment import Experiment
    from hpo.nn.gradients import gradient_check
    from hpo.search.cv import NarrowingSearchCV
    from hpo.search.narrowing import NarrowingSampler
    from hpo.search.space import SearchSpace

__all__ = [
    "Experiment",
    "MLPClassifier",
    "MLPMultiTask",
    "MLPRegressor",
    "NarrowingSampler",
    "NarrowingSearchCV",
    "SearchSpace",
    "__version__",
    "gradient_check",
]

_HOMES = {
    "Experiment": "hpo.experiment",
    "MLPClassifier": "hpo.estimators",
    "MLPMultiTask": "hpo.estimators",
    "MLPRegressor": "hpo.estimators",
    "NarrowingSampler": "hpo.search.narrowing",
    "NarrowingSearchCV": "hpo.search.cv",
    "SearchSpace": "hpo.search.space",
    "gradient_check": "hpo.nn.gradients",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562): Optuna takes a second."""
    if name not in _HOMES:
        raise AttributeError(f"module 'hpo' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
