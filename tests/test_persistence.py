"""Networks as bytes: the same predictions back, and nothing that is loaded can run code."""

from __future__ import annotations

import dataclasses
import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpo.data.loading import load
from hpo.nn.architecture import BatchNorm
from hpo.persistence import DamagedModelError, Network
from hpo.preparation import Prepared, prepare
from hpo.search.evaluation import Slot, train_slots
from hpo.search.space import SearchSpace
from hpo.settings import Settings


@pytest.fixture(scope="module", params=["iris", "diabetes"])
def prepared(request: pytest.FixtureRequest) -> Prepared:
    task = "regression" if request.param == "diabetes" else "classification"
    metric = "r2" if task == "regression" else "accuracy"
    space = SearchSpace().to_json()
    settings = Settings(None, True, (), task, metric, space, hidden=(8,), epochs=3)  # type: ignore[arg-type]
    return prepare(load(request.param), settings)


@pytest.fixture(scope="module")
def network(prepared: Prepared) -> Network:
    params = {"learning_rate": 1e-2, "weight_decay": 1e-3}
    outcome = train_slots(prepared.problem, [Slot(7, params)])[0]
    assert outcome.params is not None
    return prepared.network(outcome.params, {"number": 7})


def test_round_trip_predicts_the_same_bits(network: Network, prepared: Prepared) -> None:
    again = Network.from_bytes(*network.to_bytes())
    table = prepared.sealed.dataset.features
    assert again.predict(table).tobytes() == network.predict(table).tobytes()
    assert again.to_bytes() == network.to_bytes()
    assert again.trial == {"number": 7}


def test_prediction_for_new_rows_is_that_of_the_training_problem(
    network: Network, prepared: Prepared
) -> None:
    """What the stored network says of raw validation rows is what the search saw."""
    params = {"learning_rate": 1e-2, "weight_decay": 1e-3}
    outcome = train_slots(prepared.problem, [Slot(7, params)])[0]
    dataset = prepared.sealed.dataset
    encoded = prepared.problem.validation.X
    everything = prepared.encoding.transform(dataset.features)
    rows = [int(np.flatnonzero((everything == row).all(axis=1))[0]) for row in encoded]
    prediction = network.predict(dataset.features, np.array(rows))
    assert outcome.prediction is not None
    expected = prepared.problem.in_units(outcome.prediction)
    np.testing.assert_allclose(prediction, expected, rtol=1e-6)


def rewritten(network: Network, **changes: object) -> bytes:
    return json.dumps(json.loads(network.to_bytes()[1]) | changes).encode()


def with_head(record: dict[str, Any], **changes: object) -> dict[str, Any]:
    """The architecture of a stored network with another head."""
    architecture: dict[str, Any] = record["architecture"]
    (head,) = architecture["heads"]
    return architecture | {"heads": [head | changes]}


def test_the_format_is_what_readers_expect(network: Network) -> None:
    record = json.loads(network.to_bytes()[1])
    task = network.target.task
    assert record["format"] == "hpo.network.2"
    assert record["architecture"] == {
        "n_inputs": network.encoding.n_outputs,
        "hidden": [8],
        "heads": [
            {
                "n_outputs": 3 if task == "classification" else 1,
                "loss": "cross_entropy" if task == "classification" else "squared_error",
                "weight": 1.0,
            }
        ],
        "activation": "relu",
        "batch_norm": "none",
    }


@pytest.mark.parametrize("batch_norm", ["before", "after"])
def test_normalised_networks_of_any_activation_come_back(
    network: Network, prepared: Prepared, batch_norm: BatchNorm
) -> None:
    shape = dataclasses.replace(network.architecture, activation="gelu", batch_norm=batch_norm)
    params = np.random.default_rng(0).random((1, shape.n_params), np.float32)
    other = dataclasses.replace(network, architecture=shape, params=params)
    again = Network.from_bytes(*other.to_bytes())
    assert again.architecture == shape
    table = prepared.sealed.dataset.features
    assert again.predict(table).tobytes() == other.predict(table).tobytes()


def test_several_networks_predict_their_mean(network: Network, prepared: Prepared) -> None:
    table = prepared.sealed.dataset.features
    rng = np.random.default_rng(0)
    params = network.params + rng.normal(0, 0.3, (3, network.params.shape[1])).astype(np.float32)
    several = dataclasses.replace(network, params=params)
    alone = [dataclasses.replace(network, params=each[None]).predict(table) for each in params]
    np.testing.assert_allclose(several.predict(table), np.mean(alone, axis=0), rtol=1e-4, atol=1e-5)
    again = Network.from_bytes(*several.to_bytes())
    assert again.params.shape == params.shape
    assert again.predict(table).tobytes() == several.predict(table).tobytes()


def test_damaged_documents_are_refused(network: Network) -> None:
    arrays, document = network.to_bytes()
    record = json.loads(document)
    wider = record["architecture"] | {"hidden": [9]}
    for damaged in (
        b"",
        b"[]",
        b"{}",
        document[:-1],
        rewritten(network, format="hpo.network.1"),
        rewritten(network, format="hpo.network.9"),
        rewritten(network, architecture=wider),
        rewritten(network, architecture={"hidden": [8]}),
        rewritten(network, architecture=record["architecture"] | {"n_inputs": 3}),
        rewritten(network, architecture=record["architecture"] | {"activation": "os.system"}),
        rewritten(network, architecture=record["architecture"] | {"batch_norm": "os.system"}),
        rewritten(network, architecture=record["architecture"] | {"heads": []}),
        rewritten(network, architecture=with_head(record, loss="os.system")),
        rewritten(network, architecture=with_head(record, weight=0)),
        rewritten(network, architecture=with_head(record, n_outputs=99)),
        rewritten(network, encoding={}),
        b"[" * 100_000,
    ):
        with pytest.raises(DamagedModelError):
            Network.from_bytes(arrays, damaged)


class Canary:
    """Leaves a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


def test_nothing_is_unpickled(network: Network, tmp_path: Path) -> None:
    canary = tmp_path / "sung"
    hostile = io.BytesIO()
    np.savez(hostile, params=np.array([Canary(canary)], dtype=object))
    for arrays in (hostile.getvalue(), pickle.dumps(Canary(canary))):
        with pytest.raises(DamagedModelError):
            Network.from_bytes(arrays, network.to_bytes()[1])
    assert not canary.exists()
    pickle.loads(pickle.dumps(Canary(canary)))
    assert canary.exists(), "the canary can sing"


def test_an_output_more_than_the_target_has_is_refused(network: Network) -> None:
    """Also when the parameters would fit."""
    (head,) = network.architecture.heads
    heads = (dataclasses.replace(head, n_outputs=network.target.n_outputs + 1),)
    wider = dataclasses.replace(network.architecture, heads=heads)
    file = io.BytesIO()
    np.savez(file, params=np.zeros(wider.n_params, np.float32))
    with pytest.raises(DamagedModelError, match="does not fit its encodings"):
        Network.from_bytes(file.getvalue(), rewritten(network, architecture=wider.to_json()))


def test_other_arrays_are_refused(network: Network) -> None:
    size = network.params.size
    for wrong in (
        np.zeros(size - 1, np.float32),
        np.zeros(size),
        np.zeros((2, size - 1), np.float32),
        np.zeros((1, 1, size), np.float32),
    ):
        file = io.BytesIO()
        np.savez(file, params=wrong)
        with pytest.raises(DamagedModelError, match="do not fit"):
            Network.from_bytes(file.getvalue(), network.to_bytes()[1])
    file = io.BytesIO()
    np.savez(file, weights=network.params)
    with pytest.raises(DamagedModelError):
        Network.from_bytes(file.getvalue(), network.to_bytes()[1])
