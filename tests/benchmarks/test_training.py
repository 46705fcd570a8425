"""The benchmarks measure what they say: same work, right counts, a table with its verdicts."""

import json
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from benchmarks import memory, training
from benchmarks.peers import book
from benchmarks.timing import Timing, alternate
from benchmarks.workloads import WORKLOADS, Workload


@pytest.fixture(scope="module")
def short() -> Workload:
    """Digits for 3 epochs."""
    return replace(WORKLOADS["small"](None), epochs=3, learning_rate=0.01)


def test_operations_by_hand(short: Workload) -> None:
    """64-64-10: layers of 4096 and 640 products; 1437 rows train and 360 validate."""
    per_row = 2 * (4096 + 640) + 2 * (4096 + 640) + 2 * 640
    assert short.operations == 3 * (1437 * per_row + 360 * 2 * (4096 + 640))
    assert short.n_params == 64 * 64 + 64 + 64 * 10 + 10


def test_batches_cover_an_epoch(short: Workload) -> None:
    rows = np.concatenate([np.arange(1437)[batch] for batch in short.batches()])
    assert rows.tolist() == list(range(1437))
    assert len(short.batches()) == 45


def test_learning_rates_spread_around_the_one(short: Workload) -> None:
    np.testing.assert_allclose(short.learning_rates(3), [0.005, 0.01, 0.02])
    assert short.learning_rates(1).tolist() == [0.01]


def test_made_images_say_that_they_are_no_mnist(tmp_path: Path) -> None:
    assert "NOT MNIST" in WORKLOADS["seed"](None).data
    with pytest.raises(FileNotFoundError, match="mnist-10k"):
        WORKLOADS["seed"](tmp_path)


def test_contestants_take_turns() -> None:
    order: list[str] = []

    def run(name: str) -> Callable[[], float]:
        def take_a_turn() -> float:
            order.append(name)
            return float(len(order))

        return take_a_turn

    timings = alternate({"a": run("a"), "b": run("b")}, repeats=3)
    assert "".join(order) == "ab" + "ababab"
    assert timings["a"].result == 5.0


@pytest.mark.parametrize("name", training.PEERS)
def test_every_contestant_learns(short: Workload, name: str) -> None:
    """A network that learned nothing has one digit in ten right."""
    peer = training.PEERS[name]
    pytest.importorskip(peer.package)
    run = import_module(f"benchmarks.peers.{peer.module}").contestant(short, 2)
    assert 0.85 < run() <= 1.0


def test_the_gradient_of_the_book_is_that_of_its_loss() -> None:
    rng = np.random.default_rng(0)
    network = book.Network((4, 5, 3), rng)
    network.weight_decay = 0.0
    x, t = rng.normal(size=(6, 4)), rng.integers(0, 3, 6)
    gradients = network.gradient(x, t)
    for name, parameter in network.params.items():
        for place in list(np.ndindex(parameter.shape))[:4]:
            kept = parameter[place]
            losses = []
            for step in (1e-5, -1e-5):
                parameter[place] = kept + step
                losses.append(network.loss(x, t))
            parameter[place] = kept
            slope = (losses[0] - losses[1]) / 2e-5
            assert gradients[name][place] == pytest.approx(slope, rel=1e-4, abs=1e-8)


def test_ratios_are_those_of_one_network(short: Workload) -> None:
    """Four of ours in 2 s and one of theirs in 8 s: 16 times as long."""
    timings = {
        "ours": Timing(2.0, 1.9, 1.0, 0.9),
        "scikit-learn": Timing(8.0, 7.0, 1.0, 0.9),
        "jax stack": Timing(1.0, 1.0, 1.0, 0.9),
        "peak": Timing(1.0, 1.0, 1.0, 1e9),
    }
    found = training.record(short, 4, timings)
    rows = {row["contestant"]: row for row in found["contestants"]}
    assert rows["scikit-learn"]["ratio"] == 16.0
    assert rows["scikit-learn"]["met"]
    assert rows["jax stack"]["ratio"] == 0.5
    assert not rows["jax stack"]["met"]
    assert found["peak_share"] == pytest.approx(short.operations / 0.5 / 1e9)
    lines = training.table(found)
    assert lines[3].split() == [
        *("scikit-learn", "8000.00", "7000.00", "16.00", "15.0", "yes", "0.900", "1.00")
    ]


def test_what_is_not_installed_is_left_out_and_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], short: Workload
) -> None:
    names = ["torch eager", "torch stack", "jax stack"]
    absent = {training.PEERS[name].package for name in names}
    monkeypatch.setattr(
        training, "find_spec", lambda name: None if name in absent else find_spec(name)
    )
    monkeypatch.setitem(WORKLOADS, "small", lambda _folder: replace(short, epochs=1))
    arguments = ["--workload", "small", "--repeats", "1", "--members", "2", "--json", "-"]
    training.main(arguments)
    captured = capsys.readouterr()
    assert captured.err.count("pip install -e '.[benchmarks]'") == 3
    (found,) = json.loads(captured.out)["workloads"]
    kept = [row["contestant"] for row in found["contestants"]]
    assert kept == ["ours", "scikit-learn", "book", "products only"]


@pytest.mark.skipif(not memory.STATUS.exists(), reason="Linux tells the peak of memory")
def test_memory_of_one_network(capsys: pytest.CaptureFixture[str]) -> None:
    """More than parameters, gradient and Adam's two buffers, and less than many times that."""
    memory.main(["--json", "-"])
    state = 4 * 4 * WORKLOADS["medium"](None).n_params / 1e6
    assert state < json.loads(capsys.readouterr().out)["MB"] < 10
