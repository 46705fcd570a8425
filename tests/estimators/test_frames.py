"""Frames of pandas and polars: names are kept and checked, numbers are those of arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from hpo.estimators import MLPClassifier, MLPMultiTask, MLPRegressor
from hpo.estimators.base import BaseMLP
from tests.estimators.making import KINDS, assert_same_network, iris, small, target_for

NAMES = ["sepal length", "sepal width", "pétale", "x"]
MAKERS = [pytest.param(pd.DataFrame, id="pandas"), pytest.param(pl.DataFrame, id="polars")]


def frame(maker: Any, names: list[str] = NAMES) -> Any:
    """The columns of `iris` that are called ``names``, in their order."""
    return maker({name: iris()[0][:, NAMES.index(name)] for name in names})


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_names_of_columns_are_kept(kind: type[BaseMLP], maker: Any) -> None:
    fitted = small(kind).fit(frame(maker), target_for(kind))
    assert fitted.feature_names_in_.tolist() == NAMES
    assert fitted.n_features_in_ == 4


@pytest.mark.parametrize("scaling", ["robust", "standard", "none"])
@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_gives_the_network_of_an_array(
    kind: type[BaseMLP], maker: Any, scaling: str
) -> None:
    X, y = iris()[0], target_for(kind)
    framed: Any = small(kind, scaling=scaling).fit(frame(maker), y, X_val=frame(maker), y_val=y)
    plain: Any = small(kind, scaling=scaling).fit(X, y, X_val=X, y_val=y)
    assert_same_network(framed, plain)
    np.testing.assert_array_equal(framed.predict(frame(maker)), plain.predict(X))


@pytest.mark.parametrize("maker", MAKERS)
def test_columns_in_another_order_are_refused(maker: Any) -> None:
    fitted = small(MLPClassifier).fit(frame(maker), iris()[1])
    with pytest.raises(ValueError, match="must be in the same order"):
        fitted.predict(frame(maker, NAMES[::-1]))


@pytest.mark.parametrize("maker", MAKERS)
def test_a_missing_column_is_refused_by_its_name(maker: Any) -> None:
    fitted = small(MLPClassifier).fit(frame(maker), iris()[1])
    with pytest.raises(ValueError, match=r"yet now missing:\n- pétale"):
        fitted.predict(frame(maker, ["sepal length", "sepal width", "x"]))


def test_validation_rows_with_other_columns_are_refused() -> None:
    y = iris()[1]
    with pytest.raises(ValueError, match="must be in the same order"):
        small(MLPClassifier).fit(
            frame(pd.DataFrame), y, X_val=frame(pd.DataFrame, NAMES[::-1]), y_val=y
        )


def test_rows_of_a_later_call_with_other_columns_are_refused() -> None:
    y = iris()[1]
    fitted = small(MLPClassifier).partial_fit(frame(pd.DataFrame), y)
    with pytest.raises(ValueError, match="must be in the same order"):
        fitted.partial_fit(frame(pd.DataFrame, NAMES[::-1]), y)


def test_an_array_after_a_frame_warns() -> None:
    fitted = small(MLPClassifier).fit(frame(pd.DataFrame), iris()[1])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        fitted.predict(iris()[0])


def test_a_frame_of_polars_does_for_one_of_pandas() -> None:
    fitted = small(MLPClassifier).fit(frame(pd.DataFrame), iris()[1])
    expected = fitted.predict(frame(pd.DataFrame))
    np.testing.assert_array_equal(fitted.predict(frame(pl.DataFrame)), expected)


def test_every_member_has_the_names_of_columns() -> None:
    params: list[dict[str, Any]] = [{}, {"learning_rate": 0.1}, {"hidden_layer_sizes": (5,)}]
    members = small(MLPClassifier).fit_many(frame(pd.DataFrame), iris()[1], params)
    assert [each.feature_names_in_.tolist() for each in members] == [NAMES] * 3


def test_a_file_keeps_the_names_of_columns(tmp_path: Path) -> None:
    small(MLPClassifier).fit(frame(pd.DataFrame), iris()[1]).save(tmp_path / "network")
    loaded = MLPClassifier.load(tmp_path / "network")
    assert loaded.feature_names_in_.tolist() == NAMES
    with pytest.raises(ValueError, match="must be in the same order"):
        loaded.predict(frame(pd.DataFrame, NAMES[::-1]))


@pytest.mark.parametrize(
    "series",
    [
        pytest.param(pd.Series, id="pandas"),
        pytest.param(lambda words: pd.Series(words, dtype="category"), id="categories"),
        pytest.param(lambda words: pd.Series(words, dtype=object), id="objects"),
        pytest.param(pl.Series, id="polars"),
    ],
)
def test_a_series_of_words_is_a_target(series: Any) -> None:
    X, y = iris()
    words = np.array(["setosa", "versicolor", "virginica"])[y]
    fitted: Any = small(MLPClassifier).fit(frame(pd.DataFrame), series(words.tolist()))
    assert fitted.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert_same_network(fitted, small(MLPClassifier).fit(X, words))


@pytest.mark.parametrize("maker", MAKERS)
def test_a_frame_of_mixed_columns_is_a_target_of_several_tasks(maker: Any) -> None:
    X, y = iris()
    words = np.array(["one", "two", "three"])[y]
    fitted: Any = small(MLPMultiTask).fit(X, maker({"kind": words, "length": X[:, 0]}))
    assert fitted.tasks_ == ["classification", "regression"]
    assert fitted.coders_[0].classes.tolist() == ["one", "three", "two"]


@pytest.mark.parametrize("maker", MAKERS)
def test_a_frame_of_numbers_is_a_target_of_several_outputs(maker: Any) -> None:
    X = iris()[0]
    fitted = small(MLPRegressor).fit(X, maker({"a": X[:, 0], "b": X[:, 1]}))
    assert_same_network(fitted, small(MLPRegressor).fit(X, X[:, :2]))


def test_columns_of_words_among_the_inputs_are_refused() -> None:
    words = frame(pd.DataFrame).assign(x="red")
    with pytest.raises(ValueError, match="could not convert string to float"):
        small(MLPClassifier).fit(words, iris()[1])


def test_a_gap_in_a_frame_is_refused() -> None:
    gappy = frame(pl.DataFrame).with_columns(pl.lit(None).alias("x"))
    with pytest.raises(ValueError, match="NaN"):
        small(MLPClassifier).fit(gappy, iris()[1])
