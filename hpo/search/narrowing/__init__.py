"""Random search whose ranges narrow from round to round, for any objective of Optuna.

This folder needs NumPy and Optuna alone, and stands by itself.
"""

from .box import Box, Choices, adopted, contains, edge, narrow, warmed
from .points import PLAIN, Point, Shape, given_to, place, point, propose
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
    "adopted",
    "contains",
    "countable",
    "edge",
    "given_to",
    "narrow",
    "place",
    "point",
    "propose",
    "warmed",
    "without_repeats",
]
