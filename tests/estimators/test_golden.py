"""Files of earlier versions: they are read, and the networks say what they said then."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpo.estimators import MLPClassifier, MLPMultiTask, MLPRegressor
from hpo.estimators.base import BaseMLP
from hpo.nn.augmentation import Augmentation
from hpo.nn.schedules import Schedule

FOLDER = Path(__file__).parent / "golden"
NAMES = ["width", "hauteur", "depth", "x"]
KINDS: dict[str, type[BaseMLP]] = {
    "classifier": MLPClassifier,
    "regressor": MLPRegressor,
    "tasks": MLPMultiTask,
}


def read(name: str) -> tuple[Any, dict[str, Any], pd.DataFrame]:
    """A network, what it should say, and of which rows."""
    record = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    rows = pd.DataFrame(record["inputs"], columns=NAMES)
    return KINDS[name].load(FOLDER / f"{name}.npz"), record, rows


@pytest.mark.parametrize("name", KINDS)
def test_every_class_has_a_file_of_a_few_kilobytes(name: str) -> None:
    assert (FOLDER / f"{name}.npz").stat().st_size < 10_000


def test_the_classifier_says_what_it_said() -> None:
    network, record, rows = read("classifier")
    assert network.predict(rows).tolist() == record["prediction"]
    np.testing.assert_allclose(network.predict_proba(rows), record["probabilities"], rtol=1e-6)
    assert len(set(record["prediction"])) > 1


def test_the_regressor_says_what_it_said() -> None:
    network, record, rows = read("regressor")
    np.testing.assert_allclose(network.predict(rows), record["prediction"], rtol=1e-6, atol=1e-4)


def test_the_network_of_several_tasks_says_what_it_said() -> None:
    network, record, rows = read("tasks")
    prediction, truth = network.predict(rows), record["prediction"]
    assert prediction[:, 0].tolist() == [row[0] for row in truth]
    values = [row[1] for row in truth]
    np.testing.assert_allclose(prediction[:, 1].astype(float), values, rtol=1e-6, atol=1.0)
    np.testing.assert_allclose(
        network.predict_task_proba(rows, 0), record["probabilities"], rtol=1e-6
    )


@pytest.mark.parametrize("name", KINDS)
def test_attributes_are_all_there(name: str) -> None:
    network, _, _ = read(name)
    assert network.feature_names_in_.tolist() == NAMES
    assert (network.n_features_in_, network.n_iter_, network.diverged_) == (4, 5, False)
    assert (network.random_state, network.max_epochs, network.learning_rate) == (0, 5, 0.02)
    assert {len(values) for values in network.history_.values()} == {5}
    assert np.isfinite(network.params_).all()


def test_parameters_are_those_of_then() -> None:
    classifier, regressor, tasks = (read(name)[0] for name in KINDS)
    assert classifier.classes_.tolist() == ["ant", "bée", "cicada"]
    assert classifier.classes_.dtype == object
    assert classifier.class_weight == {"ant": 2.0, "bée": 1.0, "cicada": 1.0}
    assert classifier.schedule == Schedule("exponential", warmup=0.1)
    assert classifier.augment == Augmentation((2, 2), noise=0.05)
    assert classifier.hidden_layer_sizes == (6, 5)
    assert (regressor.loss, regressor.scaling, regressor.activation) == (
        "huber",
        "standard",
        "gelu",
    )
    assert (tasks.loss_weights, tasks.batch_norm) == ((1, 0.5), "after")
    assert tasks.tasks_ == ["classification", "regression"]


def test_a_network_of_then_learns_on() -> None:
    network, record, rows = read("regressor")
    before = network.params_.copy()
    network.partial_fit(rows, np.array(record["prediction"]) + 100)
    assert network.n_iter_ == 6
    assert not np.array_equal(network.params_, before)
