"""Chunks on a Ray cluster; without Ray only what is said of that is tested, in test_clusters.py."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path

import pytest

from hpo.data.metrics import METRICS
from hpo.search.clusters import joining
from hpo.search.evaluation import Slot, Workers, train_slots
from tests.running import Hpo
from tests.search.chunks import divides_by_zero, kills_for_a_wild_rate, process_ids
from tests.search.test_clusters import COMMAND, check_alike, free_port, spread_out
from tests.search.test_evaluation import by_number, essence, problem, slots

pytest.importorskip("ray", reason="the extra [ray] is not installed")


def test_a_ray_cluster_gives_the_outcomes_of_this_machine_and_loses_nothing() -> None:
    """All in one test: to start a cluster takes long."""
    with joining.joined("ray", None, 2) as cluster:
        assert cluster is not None
        assert (cluster.n_workers, cluster.n_alive()) == (2, 2)
        task = problem("iris")
        alone = {slot.number: essence(train_slots(task, [slot])[0]) for slot in slots(7)}
        for n_workers in (1, 2, 3):
            found = by_number(Workers(task, n_workers), slots(7))
            assert {number: essence(each) for number, each in found.items()} == alone

        workers = set(spread_out(process_ids, 4, 2))
        assert len(workers) == 2
        assert os.getpid() not in workers
        with pytest.raises(ZeroDivisionError):
            spread_out(divides_by_zero, 1, 1)

        began = time.monotonic()
        assert list(Workers(problem(epochs=10**6), 2, time.time() + 0.5).evaluate(slots(4))) == []
        assert 0.4 < time.monotonic() - began < 30

        task = problem("diabetes", epochs=3, optimizer="sgd")
        deadly = dataclasses.replace(METRICS["r2"], loss_of_rows=kills_for_a_wild_rate)
        chosen = slots(4)
        chosen[2] = Slot(2, {"learning_rate": 1e6, "weight_decay": 0.0})
        found = by_number(Workers(dataclasses.replace(task, metric=deadly), 2), chosen)
        assert [found[number].reason for number in range(4)] == [
            None,
            None,
            "the worker process was killed while it trained",
            None,
        ]
        for number in (0, 1, 3):
            assert essence(found[number]) == essence(train_slots(task, [chosen[number]])[0])


def test_a_search_over_a_ray_cluster_is_the_search_of_this_machine(
    tmp_path: Path, hpo: Hpo
) -> None:
    check_alike(hpo, tmp_path, "--backend", "ray")


@pytest.mark.parametrize("where", ["auto", "ray://127.0.0.1:", "127.0.0.1:"])
def test_an_address_without_a_ray_cluster_is_one_line(hpo: Hpo, where: str) -> None:
    address = f"{where}{free_port()}" if where.endswith(":") else where
    began = time.monotonic()
    ran = hpo(*COMMAND, "--backend", "ray", "--address", address)
    assert time.monotonic() - began < 30
    assert (ran.code, ran.out, ran.err.count("\n")) == (4, "", 1), ran.err
    assert f"no Ray cluster answers at {address}: start one with ray start --head" in ran.err
