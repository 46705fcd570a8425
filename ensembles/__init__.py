"""Ensembles of anything with ``fit`` and ``predict``, as scikit-learn estimators.

Networks that can train many at once are trained as one stack; other learners by joblib.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ensembles.adaboost import AdaBoostClassifier, AdaBoostRegressor
    from ensembles.bagging import BaggingClassifier, BaggingRegressor
    from ensembles.errors import LeakError
    from ensembles.gradient_boosting import GradientBoostingClassifier, GradientBoostingRegressor
    from ensembles.greedy import GreedySelectionClassifier, GreedySelectionRegressor
    from ensembles.out_of_fold import Stored
    from ensembles.snapshot import SnapshotClassifier, SnapshotRegressor
    from ensembles.stacking import StackingClassifier, StackingRegressor
    from ensembles.voting import VotingClassifier, VotingRegressor

__all__ = [
    "AdaBoostClassifier",
    "AdaBoostRegressor",
    "BaggingClassifier",
    "BaggingRegressor",
    "GradientBoostingClassifier",
    "GradientBoostingRegressor",
    "GreedySelectionClassifier",
    "GreedySelectionRegressor",
    "LeakError",
    "SnapshotClassifier",
    "SnapshotRegressor",
    "StackingClassifier",
    "StackingRegressor",
    "Stored",
    "VotingClassifier",
    "VotingRegressor",
]

_HOMES = {
    "AdaBoostClassifier": "ensembles.adaboost",
    "AdaBoostRegressor": "ensembles.adaboost",
    "BaggingClassifier": "ensembles.bagging",
    "BaggingRegressor": "ensembles.bagging",
    "GradientBoostingClassifier": "ensembles.gradient_boosting",
    "GradientBoostingRegressor": "ensembles.gradient_boosting",
    "GreedySelectionClassifier": "ensembles.greedy",
    "GreedySelectionRegressor": "ensembles.greedy",
    "LeakError": "ensembles.errors",
    "SnapshotClassifier": "ensembles.snapshot",
    "SnapshotRegressor": "ensembles.snapshot",
    "StackingClassifier": "ensembles.stacking",
    "StackingRegressor": "ensembles.stacking",
    "Stored": "ensembles.out_of_fold",
    "VotingClassifier": "ensembles.voting",
    "VotingRegressor": "ensembles.voting",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562): scikit-learn takes a second."""
    if name not in _HOMES:
        raise AttributeError(f"module 'ensembles' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
