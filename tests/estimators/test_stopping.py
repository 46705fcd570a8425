"""Early stopping: on rows that the user gives and on no others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import log_loss

from hpo.estimators import MLPClassifier, MLPRegressor
from hpo.estimators.base import BaseMLP
from tests.estimators.making import KINDS, assert_same_network, iris, small, target_for

EPOCHS = 25
NOISY: dict[str, Any] = {
    "hidden_layer_sizes": (32,),
    "learning_rate": 0.03,
    "schedule": "constant",
    "warmup": 0.0,
    "max_epochs": EPOCHS,
}


def noisy() -> tuple[NDArray[Any], NDArray[Any], dict[str, NDArray[Any]]]:
    """Training rows, soon learnt by heart, and validation rows, of a target that is half noise."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(160, 6))
    y = (X[:, 0] + rng.normal(size=160) > 0).astype(int)
    return X[:80], y[:80], {"X_val": X[80:], "y_val": y[80:]}


def stop_by_hand(curve: NDArray[Any], patience: int, min_delta: float = 0.0) -> tuple[int, int]:
    """Epochs that are run and the best one, both from 1, for a curve that should fall."""
    best, best_epoch = np.inf, 0
    for epoch, value in enumerate(curve, start=1):
        if value < best - min_delta:
            best, best_epoch = value, epoch
        if epoch - best_epoch == patience:
            return epoch, best_epoch
    return len(curve), best_epoch


def ran(fitted: BaseMLP) -> tuple[int, int]:
    return fitted.n_iter_, fitted.best_epoch_


@pytest.mark.parametrize("patience", [1, 3, 8, 100])
def test_training_stops_where_patience_ends_by_hand(patience: int) -> None:
    X, y, held_out = noisy()
    whole = MLPClassifier(**NOISY, random_state=0, early_stopping=False).fit(X, y, **held_out)
    stopped = MLPClassifier(**NOISY, random_state=0, patience=patience).fit(X, y, **held_out)
    assert ran(stopped) == stop_by_hand(whole.history_["val_loss"], patience)
    for name in whole.history_.keys() - {"seconds"}:
        expected = whole.history_[name][: stopped.n_iter_]
        np.testing.assert_array_equal(stopped.history_[name], expected)


def test_the_problem_of_these_tests_has_something_to_stop() -> None:
    X, y, held_out = noisy()
    stopped = MLPClassifier(**NOISY, random_state=0, patience=3).fit(X, y, **held_out)
    assert 1 < stopped.best_epoch_ < stopped.n_iter_ < EPOCHS


@pytest.mark.parametrize("patience", [3, 100])
def test_the_weights_of_the_best_epoch_are_kept(patience: int) -> None:
    X, y, held_out = noisy()
    stopped = MLPClassifier(**NOISY, random_state=0, patience=patience).fit(X, y, **held_out)
    until = NOISY | {"max_epochs": stopped.best_epoch_}
    shorter = MLPClassifier(**until, random_state=0).fit(X, y)
    assert stopped.params_.tobytes() == shorter.params_.tobytes()
    loss = log_loss(held_out["y_val"], stopped.predict_proba(held_out["X_val"]))
    assert loss == pytest.approx(stopped.history_["val_loss"].min(), rel=1e-5)


@pytest.mark.parametrize("min_delta", [0.01, 0.05, 10.0])
def test_small_improvements_do_not_count(min_delta: float) -> None:
    X, y, held_out = noisy()
    whole = MLPClassifier(**NOISY, random_state=0, early_stopping=False).fit(X, y, **held_out)
    stopped = MLPClassifier(**NOISY, random_state=0, patience=2, min_delta=min_delta)
    expected = stop_by_hand(whole.history_["val_loss"], 2, min_delta)
    assert ran(stopped.fit(X, y, **held_out)) == expected


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_the_score_decides_if_it_is_monitored(kind: type[Any]) -> None:
    X, y, held_out = noisy()
    whole = kind(**NOISY, random_state=0, early_stopping=False).fit(X, y, **held_out)
    stopped = kind(**NOISY, random_state=0, monitor="score", patience=4).fit(X, y, **held_out)
    assert ran(stopped) == stop_by_hand(-whole.history_["val_score"], 4)


def test_loss_and_score_are_not_the_same_monitor() -> None:
    X, y, held_out = noisy()
    by_score = MLPClassifier(**NOISY, random_state=0, monitor="score", patience=4)
    by_loss = MLPClassifier(**NOISY, random_state=0, patience=4)
    assert by_score.fit(X, y, **held_out).best_epoch_ != by_loss.fit(X, y, **held_out).best_epoch_


@pytest.mark.parametrize("kind", KINDS)
def test_auto_without_validation_rows_runs_all_epochs(kind: type[BaseMLP]) -> None:
    fitted = small(kind, patience=1).fit(iris()[0], target_for(kind))
    assert ran(fitted) == (3, 3)
    assert not {"val_loss", "val_score"} & fitted.history_.keys()


def test_auto_with_validation_rows_is_true() -> None:
    X, y, held_out = noisy()
    auto, true = (
        MLPClassifier(**NOISY, random_state=0, early_stopping=stops).fit(X, y, **held_out)
        for stops in ("auto", True)
    )
    assert_same_network(auto, true)


@pytest.mark.parametrize("kind", KINDS)
def test_true_without_validation_rows_is_refused(kind: type[BaseMLP]) -> None:
    with pytest.raises(ValueError, match="early_stopping=True needs validation rows"):
        small(kind, early_stopping=True).fit(iris()[0], target_for(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_false_looks_at_validation_rows_and_learns_as_if_there_were_none(
    kind: type[BaseMLP],
) -> None:
    X, y = iris()[0], target_for(kind)
    looked = small(kind, early_stopping=False, patience=1).fit(X, y, X_val=X[:40], y_val=y[:40])
    alone = small(kind).fit(X, y)
    assert looked.params_.tobytes() == alone.params_.tobytes()
    assert ran(looked) == ran(alone)
    assert len(looked.history_["val_loss"]) == 3


def test_weights_of_validation_rows_count_as_repetitions() -> None:
    X, y, held_out = noisy()
    weights = np.random.default_rng(1).integers(0, 4, len(held_out["y_val"]))
    repeated = {name: np.repeat(part, weights, axis=0) for name, part in held_out.items()}
    weighted = MLPClassifier(**NOISY, random_state=0).fit(
        X, y, **held_out, sample_weight_val=weights
    )
    plain = MLPClassifier(**NOISY, random_state=0).fit(X, y, **repeated)
    assert ran(weighted) == ran(plain)
    for name in ("val_loss", "val_score"):
        np.testing.assert_allclose(weighted.history_[name], plain.history_[name], rtol=1e-6)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"early_stopping": "yes"}, "early_stopping is True, False or 'auto', not 'yes'"),
        ({"monitor": "accuracy"}, "monitor is 'loss' or 'score', not 'accuracy'"),
        ({"patience": 0}, "patience must be a whole number above 0, got 0"),
        ({"patience": 1.5}, "patience must be a whole number above 0, got 1.5"),
        ({"max_epochs": 0}, "max_epochs must be a whole number above 0, got 0"),
        ({"batch_size": 0}, "batch_size must be a whole number above 0, got 0"),
    ],
)
def test_settings_that_mean_nothing_are_refused(params: dict[str, Any], message: str) -> None:
    X, y, held_out = noisy()
    with pytest.raises(ValueError, match=message):
        small(MLPClassifier, **params).fit(X, y, **held_out)


@pytest.mark.parametrize("missing", ["X_val", "y_val"])
def test_half_of_the_validation_data_is_refused(missing: str) -> None:
    X, y, held_out = noisy()
    del held_out[missing]
    with pytest.raises(ValueError, match="X_val and y_val belong together"):
        small(MLPClassifier).fit(X, y, **held_out)


def test_validation_data_that_do_not_fit_are_refused() -> None:
    X, y, _ = noisy()
    with pytest.raises(ValueError, match="X has 5 features, but MLPClassifier is expecting 6"):
        small(MLPClassifier).fit(X, y, X_val=X[:, :5], y_val=y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        small(MLPClassifier).fit(X, y, X_val=X, y_val=y[:-1])
    with pytest.raises(ValueError, match=r"sample_weight.* expected \(80,\)"):
        small(MLPClassifier).fit(X, y, X_val=X, y_val=y, sample_weight_val=np.ones(79))
