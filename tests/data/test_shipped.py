"""The sets of scikit-learn, and that scikit-learn is not imported until one is asked for."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from sklearn import datasets

from hpo.data.errors import DataError
from hpo.data.loading import load
from hpo.data.shipped import SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_features_are_those_of_scikit_learn(name: str) -> None:
    options = {"scaled": False} if name == "diabetes" else {}
    bunch = getattr(datasets, f"load_{name}")(**options)
    dataset = load(name)
    assert (dataset.name, dataset.source, dataset.warnings) == (name, name, ())
    np.testing.assert_array_equal(dataset.features.numeric, bunch.data)
    assert len(dataset.features.columns) == bunch.data.shape[1]
    if name != "digits":
        assert list(dataset.features.columns) == list(bunch.feature_names)
    expected = bunch.target if name in {"digits", "diabetes"} else bunch.target_names[bunch.target]
    vocabulary = dataset.target.vocabulary
    found = (
        dataset.target.values
        if vocabulary is None
        else np.array(vocabulary)[dataset.target.values.astype(int)]
    )
    np.testing.assert_array_equal(found, expected)


def test_digits_are_images() -> None:
    features = load("digits").features
    assert features.image_shape == (8, 8)
    assert features.numeric.dtype == np.uint8


def test_unknown_numeric_columns_are_refused() -> None:
    assert load("wine", numeric=["alcohol"]).name == "wine"
    with pytest.raises(DataError, match="wine: there is no column alcool"):
        load("wine", numeric=["alcool"])


def test_scikit_learn_is_imported_only_when_needed() -> None:
    code = "import sys, hpo.data.loading, hpo.data.encoding; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
