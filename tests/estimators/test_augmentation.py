"""Images that are changed at random while a network trains on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hpo.estimators import MLPClassifier
from hpo.nn.augmentation import Augmentation
from tests.estimators.making import assert_same_network, digits, iris, small

CHANGES = Augmentation((8, 8), rotation=10, crop=1, contrast=0.1, color=0.1, noise=0.1, erase=0.02)


def images(rows: int = 300) -> tuple[NDArray[Any], NDArray[Any]]:
    X, y = digits()
    return X[:rows], y[:rows]


def learner(**params: Any) -> MLPClassifier:
    given: dict[str, Any] = {"hidden_layer_sizes": (32,), "augment": CHANGES}
    return small(MLPClassifier, **given | params)


def test_training_is_reproducible_and_not_what_it_is_without() -> None:
    first, second = learner().fit(*images()), learner().fit(*images())
    assert_same_network(first, second)
    assert not np.array_equal(first.params_, learner(augment=None).fit(*images()).params_)


def test_another_random_state_draws_other_changes() -> None:
    """At rate 0, with the same initial values, losses differ by the changes alone."""
    still = {"learning_rate": 0.0, "initializer": "zeros", "hidden_layer_sizes": ()}
    norms = [
        learner(**still, random_state=state, batch_size=300).fit(*images()).history_
        for state in (0, 1)
    ]
    assert np.abs(norms[0]["gradient_norm"] / norms[1]["gradient_norm"] - 1).max() > 1e-4


def test_every_epoch_draws_new_changes() -> None:
    still = learner(learning_rate=0.0, batch_size=300).fit(*images())
    losses = still.history_["train_loss"]
    assert np.abs(np.diff(losses)).min() > 1e-5


def test_no_strength_is_no_change() -> None:
    """Inputs as they are, because images have one scale and other columns their own."""
    nothing = learner(augment=Augmentation((8, 8)), scaling="none").fit(*images())
    assert_same_network(nothing, learner(augment=None, scaling="none").fit(*images()))


def test_validation_rows_are_not_changed() -> None:
    X, y = images()
    fitted = learner(learning_rate=0.0).fit(X, y, X_val=X, y_val=y)
    assert len(set(fitted.history_["val_loss"].tolist())) == 1


def test_digits_are_learnt_in_spite_of_it() -> None:
    X, y = digits()
    X = (X - X.mean()) / X.std()
    fitted = learner(scaling="none", max_epochs=15, learning_rate=0.005).fit(X[:1000], y[:1000])
    assert fitted.score(X[1000:], y[1000:]) > 0.8


@pytest.mark.parametrize("scaling", ["none", "robust", "standard"])
def test_shifted_digits_are_read_better_after_shifts_were_seen(scaling: str) -> None:
    """Pixels that are each on a scale of their own make no image that could be shifted."""
    X, y = digits()
    X = (X - X.mean()) / X.std()
    moved = np.roll(X[1000:].reshape(-1, 8, 8), 1, axis=2).reshape(-1, 64)
    shifts, nothing = (
        learner(augment=augment, max_epochs=15, learning_rate=0.005, scaling=scaling)
        .fit(X[:1000], y[:1000])
        .score(moved, y[1000:])
        for augment in (Augmentation((8, 8), crop=1), None)
    )
    assert shifts > nothing + 0.2


def test_members_see_the_same_changes_as_alone() -> None:
    X, y = images()
    members = learner().fit_many(X, y, [{}, {"learning_rate": 0.01}])
    assert_same_network(members[0], learner().fit(X, y))
    assert_same_network(members[1], learner(learning_rate=0.01).fit(X, y))


@pytest.mark.parametrize("shape", [(8, 7), (8, 8, 3), (28, 28)])
def test_rows_that_are_no_images_of_that_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="give the shape of the images that X holds"):
        learner(augment=Augmentation(shape, noise=0.1)).fit(*images())


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_what_is_no_augmentation_is_refused(call: str) -> None:
    wrong: Any = {"noise": 0.1}
    with pytest.raises(ValueError, match="augment is an Augmentation or None"):
        getattr(learner(augment=wrong), call)(*iris())


def test_calls_of_partial_fit_change_images_too() -> None:
    changed = learner().partial_fit(*images())
    plain = learner(augment=None).partial_fit(*images())
    assert not np.array_equal(changed.params_, plain.params_)
