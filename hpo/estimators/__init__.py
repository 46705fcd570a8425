"""Multilayer perceptrons in scikit-learn's words, trained as stacks."""

from hpo.estimators.classifier import MLPClassifier
from hpo.estimators.multitask import MLPMultiTask
from hpo.estimators.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPMultiTask", "MLPRegressor"]
