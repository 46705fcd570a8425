"""The small data sets that come with scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np

from hpo.data.loaded import Loaded
from hpo.data.matrices import pixel_names, text_target
from hpo.data.table import Table, Target

SHIPPED = ("digits", "breast_cancer", "wine", "iris", "diabetes")
"""The names of the sets."""


def load_shipped(name: str) -> Loaded:
    """Return features and target of a set in SHIPPED; classes are texts, but for the digits."""
    from sklearn import datasets  # noqa: PLC0415  # it takes a second

    options = {"scaled": False} if name == "diabetes" else {}
    bunch: Any = getattr(datasets, f"load_{name}")(**options)
    return Loaded(_features(name, bunch), _target(name, bunch))


def _features(name: str, bunch: Any) -> Table:
    if name == "digits":
        return Table.of_numbers(bunch.data.astype(np.uint8), pixel_names((8, 8)), (8, 8))
    return Table.of_numbers(bunch.data, tuple(map(str, bunch.feature_names)))


def _target(name: str, bunch: Any) -> Target:
    if name in {"digits", "diabetes"}:
        return Target("target", bunch.target.astype(np.float64), None)
    return text_target("target", [str(bunch.target_names[i]) for i in bunch.target])
