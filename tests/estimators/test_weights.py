"""Weights of rows: numbers of equal rows, checked before anything is learnt."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hpo.estimators.base import BaseMLP
from tests.estimators.making import KINDS, PLAIN, assert_same_network, iris, small, target_for


@pytest.mark.parametrize("scaling", ["standard", "robust"])
@pytest.mark.parametrize("kind", KINDS)
def test_in_full_batches_a_weight_of_2_is_two_rows(kind: type[BaseMLP], scaling: str) -> None:
    X, y = iris()[0], target_for(kind)
    weights = np.random.default_rng(0).integers(0, 4, len(y))
    plain = PLAIN | {"learning_rate": 0.1, "max_epochs": 20, "scaling": scaling}
    weighted = small(kind, **plain).fit(X, y, weights)
    repeated = small(kind, **plain).fit(
        np.repeat(X, weights, axis=0), np.repeat(y, weights, axis=0)
    )
    np.testing.assert_allclose(weighted.params_, repeated.params_, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(
        weighted.history_["train_score"], repeated.history_["train_score"], rtol=1e-4
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_of_weight_0_is_not_there(kind: type[BaseMLP]) -> None:
    X, y = iris()[0], target_for(kind)
    weights = np.ones(len(y))
    weights[::3] = 0
    spoilt = X.copy()
    spoilt[::3] = 1e6
    kept = weights > 0
    fitted = small(kind).fit(spoilt, y, weights)
    assert_same_network(fitted, small(kind).fit(X[kept], y[kept], weights[kept]))


def test_a_class_whose_rows_have_no_weight_is_no_class() -> None:
    X, y = iris()
    fitted: Any = small(KINDS[0]).fit(X, y, (y != 1).astype(float))
    assert fitted.classes_.tolist() == [0, 2]


@pytest.mark.parametrize("kind", KINDS)
def test_equal_weights_change_nothing_but_rounding(kind: type[BaseMLP]) -> None:
    X, y = iris()[0], target_for(kind)
    plain, equal = small(kind).fit(X, y), small(kind).fit(X, y, np.full(len(y), 7.0))
    np.testing.assert_allclose(plain.params_, equal.params_, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(plain.scaling_.centre, equal.scaling_.centre, rtol=1e-12)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(149), r"sample_weight.shape == \(149,\), expected \(150,\)"),
        (np.full(150, -1.0), "sample_weight must be finite and not negative"),
        (np.full(150, np.nan), "sample_weight must be finite and not negative"),
        (np.full(150, np.inf), "sample_weight must be finite and not negative"),
        (np.zeros(150), "every weight is zero"),
        (np.ones((1, 1, 150)), "Sample weights must be 1D or 2D"),
        (np.ones((2, 150)), "sample_weight has 2 rows for 1 members"),
    ],
)
def test_weights_that_are_none_are_refused(weights: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(KINDS[0]).fit(*iris(), weights)


def test_words_are_no_weights() -> None:
    with pytest.raises(ValueError, match="could not convert"):
        small(KINDS[0]).fit(*iris(), ["heavy"] * 150)


def test_weights_of_validation_rows_without_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="sample_weight_val"):
        small(KINDS[0]).fit(*iris(), sample_weight_val=np.ones(150))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(3), r"sample_weight_val.shape == \(3,\), expected \(150,\)"),
        (2.0, r"sample_weight_val.shape == \(\), expected \(150,\)"),
        (np.full(150, -1.0), "sample_weight_val must be finite and not negative"),
        (np.zeros(150), "sample_weight_val: every weight is zero"),
        (["heavy"] * 150, "sample_weight_val must be numbers: could not convert"),
    ],
    ids=["short", "one", "negative", "zero", "words"],
)
def test_weights_of_validation_rows_that_are_none_are_refused(weights: Any, message: str) -> None:
    X, y = iris()
    with pytest.raises(ValueError, match=message):
        small(KINDS[0]).fit(X, y, X_val=X, y_val=y, sample_weight_val=weights)


def test_weights_that_are_too_large_to_be_added_up_are_refused() -> None:
    with pytest.raises(ValueError, match="only ratios of weights matter"):
        small(KINDS[0]).fit(*iris(), np.full(150, 1e101))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [5e-324, 1e-60, 1e60, 1e99])
def test_weights_of_any_size_are_weights(kind: type[BaseMLP], size: float) -> None:
    X, y = iris()[0], target_for(kind)
    weights = np.random.default_rng(0).integers(1, 5, len(y)) * size
    held_out = {"X_val": X, "y_val": y, "sample_weight_val": weights}
    fitted: Any = small(kind, scaling="none").fit(X, y, weights, **held_out)
    plain: Any = small(kind, scaling="none").fit(
        X, y, weights / size, X_val=X, y_val=y, sample_weight_val=weights / size
    )
    for name in ("train_loss", "train_score", "val_loss", "val_score"):
        np.testing.assert_allclose(fitted.history_[name], plain.history_[name], rtol=1e-4)
