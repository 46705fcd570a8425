"""Random search whose ranges narrow from round to round, for any objective of Optuna.

This folder needs NumPy and Optuna alone, and stands by itself.
"""

from .box import Box, Choices, edge, narrow
from .points import PLAIN, Point, Shape, place, point, propose
from .sampler import SETTINGS_ATTRIBUTE, NarrowingSampler
from .scale import Range
from .settings import FinishedTrial, NarrowingSettings
from .untried import countable, without_repeats

__all__ = [
    "PLAIN",
    "SETTINGS_ATTRIBUTE",
    "Box",
    "Choices",
    "FinishedTrial",
    "NarrowingSampler",
    "NarrowingSettings",
    "Point",
    "Range",
    "Shape",
    "countable",
    "edge",
    "narrow",
    "place",
    "point",
    "propose",
    "without_repeats",
]
