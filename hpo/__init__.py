"""Hyperparameter search for neural networks that trains a whole round of trials as one stack."""

from hpo._version import __version__

__all__ = ["__version__"]
