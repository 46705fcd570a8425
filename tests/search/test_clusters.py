"""Chunks on clusters: the outcomes of this machine, and nothing lost when workers die."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from distributed import KilledWorker

from hpo.data.metrics import METRICS
from hpo.errors import ClusterError, UsageError
from hpo.search.clusters import crew, joining, versions
from hpo.search.clusters.addresses import is_deaf
from hpo.search.clusters.crew import Cluster, Pending, current
from hpo.search.evaluation import Slot, Workers, train_slots
from hpo.search.processes import spread
from tests.running import Hpo, finish, start, stored_trials, trials_so_far
from tests.search.chunks import divides_by_zero, kills_for_a_wild_rate, moments, process_ids
from tests.search.test_evaluation import by_number, essence, problem, slots
from tests.storage.looking import sql

ENVIRONMENT = os.environ | {
    "PYTHONPATH": str(Path(__file__).parents[2]),
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
    "DASK_LOGGING__DISTRIBUTED": "error",
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@dataclasses.dataclass
class DaskServers:
    """A scheduler and its workers, each a process of its own as on other machines."""

    folder: Path
    address: str
    processes: list[subprocess.Popen[bytes]]
    failures: int

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_" + words[0], *words[1:]],
            cwd=self.folder,
            env=ENVIRONMENT | {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(self.failures)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def add_worker(self) -> subprocess.Popen[bytes]:
        """One that a nanny starts anew when it dies."""
        words = ("--nworkers", "1", "--nthreads", "1", "--no-dashboard", "--memory-limit", "0")
        return self.start("worker", self.address, *words, "--local-directory", str(self.folder))


@contextmanager
def dask_servers(folder: Path, workers: int = 2, failures: int = 0) -> Iterator[DaskServers]:
    """A cluster; ``failures`` is how many deaths of workers a task survives.

    That is 3 by Dask's default, which takes four times as long.
    """
    port = free_port()
    servers = DaskServers(folder, f"tcp://127.0.0.1:{port}", [], failures)
    try:
        servers.start("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
        deadline = time.monotonic() + 60
        while is_deaf(servers.address):
            assert time.monotonic() < deadline, "the scheduler never listened"
            time.sleep(0.05)
        for _ in range(workers):
            servers.add_worker()
        yield servers
    finally:
        for process in servers.processes:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskServers]:
    with dask_servers(tmp_path_factory.mktemp("dask")) as started:
        yield started


@pytest.fixture
def dask(servers: DaskServers) -> Iterator[Cluster]:
    with joining.joined("dask", servers.address, 1) as cluster:
        assert cluster is not None
        deadline = time.monotonic() + 60
        while cluster.n_alive() < 2:
            assert time.monotonic() < deadline, "the second worker never came"
            time.sleep(0.05)
        yield cluster


def test_a_cluster_gives_the_outcomes_of_this_machine(dask: Cluster) -> None:
    task = problem("iris")
    alone = {slot.number: essence(train_slots(task, [slot])[0]) for slot in slots(7)}
    for n_workers in (1, 2, 3):
        found = by_number(Workers(task, n_workers), slots(7))
        assert {number: essence(each) for number, each in found.items()} == alone


def nobody(item: object, reason: str) -> int:
    raise AssertionError(reason)


def spread_out(work: Callable[..., list[Any]], n_chunks: int, n_workers: int) -> list[Any]:
    chunks = [[number] for number in range(n_chunks)]
    return [each for part in spread(work, (), chunks, n_workers, nobody) for each in part]


def test_chunks_are_trained_by_all_workers_and_not_here(dask: Cluster) -> None:
    found = set(spread_out(process_ids, 4, 2))
    assert len(found) == 2
    assert os.getpid() not in found
    # A cluster's worker must not end when a child of this process would: it has another parent.
    assert set(spread_out(process_ids, 1, 1)) <= found


def test_no_more_chunks_are_under_way_than_there_are_workers(dask: Cluster) -> None:
    found = sorted(spread_out(moments, 4, 1))
    assert all(one[1] <= other[0] for one, other in pairwise(found))


def test_a_workers_death_costs_nothing_but_the_trial_that_kills_it(dask: Cluster) -> None:
    task = problem("diabetes", epochs=3, optimizer="sgd")
    metric = dataclasses.replace(METRICS["r2"], loss_of_rows=kills_for_a_wild_rate)
    chosen = slots(4)
    chosen[2] = Slot(2, {"learning_rate": 1e6, "weight_decay": 0.0})
    found = by_number(Workers(dataclasses.replace(task, metric=metric), 2), chosen)
    assert {number: each.reason for number, each in found.items()} == {
        0: None,
        1: None,
        2: "the worker process was killed while it trained",
        3: None,
    }
    calm = by_number(Workers(task, 2), [chosen[0], chosen[1], chosen[3]])
    for number, outcome in calm.items():
        assert essence(found[number]) == essence(outcome)


def test_what_a_worker_raises_is_raised_here(dask: Cluster) -> None:
    with pytest.raises(TypeError, match="learning_rate"):
        by_number(Workers(problem("iris", epochs=1), 1), [Slot(0, {"weight_decay": 1e-2})])
    with pytest.raises(ZeroDivisionError):
        spread_out(divides_by_zero, 1, 1)


def test_a_deadline_ends_training_on_a_cluster_too(dask: Cluster) -> None:
    began = time.monotonic()
    assert list(Workers(problem(epochs=10**6), 2, time.time() + 0.5).evaluate(slots(4))) == []
    assert 0.4 < time.monotonic() - began < 30


def test_what_all_chunks_need_is_sent_once(dask: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[object] = []
    send = dask.send

    def count(common: tuple[Any, ...]) -> Any:
        sent.append(common)
        return send(common)

    monkeypatch.setattr(dask, "send", count)
    workers = Workers(problem("iris", epochs=1), 2)
    for _ in range(2):
        assert len(by_number(workers, slots(4))) == 4
    assert len(sent) == 1
    by_number(Workers(problem("iris", epochs=2), 2), slots(2))
    assert len(sent) == 2


def test_data_that_died_with_their_workers_accuse_no_chunk(
    dask: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, chunk = (KilledWorker(name, None, 1) for name in ("hpo-data-0", "batch_of_0"))
    told = iter([chunk, data, data, chunk])

    def dies(_self: Cluster, _n_jobs: int) -> Any:
        raise next(told)

    with monkeypatch.context() as patched:
        patched.setattr(type(dask), "parallel", dies)
        found = list(spread(process_ids, (), [[0]], 1, lambda _item, _reason: -1))
    assert (found, list(told)) == ([[-1]], [])


def test_data_that_are_gone_are_sent_anew(dask: Cluster) -> None:
    first = dask.share(())
    assert dask.share(()) is first
    for future in first:
        future.cancel()
    assert len(spread_out(process_ids, 1, 1)) == 1
    assert dask.share(()) is not first


def test_nothing_is_hired_when_the_cluster_was_left(servers: DaskServers) -> None:
    with joining.joined("dask", servers.address, 1) as cluster:
        assert current() is cluster
    assert current() is None


COMMAND = (
    "search", "iris", "--trials", 6, "--rounds", 2, "--hidden", 4, "--epochs", 3, "--repeats", 2,
    "--json",
)  # fmt: skip


def check_alike(hpo: Hpo, folder: Path, *cluster: object) -> None:
    """Compare a search on a cluster with that of this machine: what it says and what it stores."""
    calm = hpo(*COMMAND, "--storage", "sqlite:///here.db")
    ran = hpo(*COMMAND, "--workers", 2, *cluster)
    assert (calm.code, ran.code) == (0, 0), ran.err
    other = {"seconds": 0, "storage": None}
    assert ran.document | other == calm.document | other
    stored = stored_trials(folder / "hpo.db", "iris")
    assert stored == stored_trials(folder / "here.db", "iris")
    for table in ("hpo_curves", "hpo_predictions", "hpo_artifacts"):
        assert arrays(folder / "hpo.db", table) == arrays(folder / "here.db", table) != []
    lines = [line for line in ran.err.splitlines() if not line.startswith("iris: round ")]
    assert lines == []


def arrays(path: Path, table: str) -> list[Any]:
    """The rows of a table by the trials' numbers, without what differs from study to study."""
    columns = {"hpo_artifacts": "value"}.get(table, "data")
    return sql(path, f"SELECT number, {columns} FROM {table} ORDER BY number")


def test_a_search_over_a_dask_cluster_is_the_search_of_this_machine(
    servers: DaskServers, tmp_path: Path, hpo: Hpo
) -> None:
    check_alike(hpo, tmp_path, "--backend", "dask", "--address", servers.address)


# What goes wrong with a cluster


def test_an_address_at_which_nobody_listens_is_one_line(tmp_path: Path, hpo: Hpo) -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    began = time.monotonic()
    ran = hpo(*COMMAND, "--backend", "dask", "--address", address)
    assert time.monotonic() - began < 8
    assert (ran.code, ran.out, ran.err.count("\n")) == (4, "", 1)
    assert f"no Dask scheduler answers at {address}: start one with dask scheduler" in ran.err
    assert not (tmp_path / "hpo.db").exists()


def test_a_worker_that_comes_while_versions_are_asked_is_let_be() -> None:
    from hpo.search.clusters import dask as module

    answers = iter([{"a": "1"}, {"a": "2", "b": "2"}])
    client = SimpleNamespace(run=lambda *_, **__: next(answers), run_on_scheduler=lambda *_: "3")
    hpo, numpy = versions.PACKAGES
    assert module._versions(client) == {
        "worker a": {hpo: "1", numpy: "2"},
        "scheduler": {hpo: "3", numpy: "3"},
    }


def test_an_address_that_is_none_is_one_line(hpo: Hpo) -> None:
    ran = hpo(*COMMAND, "--backend", "dask", "--address", "nonsense://here")
    assert (ran.code, ran.err.count("\n")) == (4, 1)
    assert "no Dask scheduler answers at nonsense://here" in ran.err


def test_an_address_needs_a_cluster(hpo: Hpo) -> None:
    ran = hpo(*COMMAND, "--address", "tcp://127.0.0.1:8786")
    assert (ran.code, ran.out) == (2, "")
    assert "say which, --backend dask or ray" in ran.err


@pytest.mark.parametrize(("backend", "package"), [("dask", "distributed"), ("ray", "ray")])
def test_an_engine_that_is_not_there_is_named_with_its_extra(
    hpo: Hpo, monkeypatch: pytest.MonkeyPatch, backend: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    ran = hpo(*COMMAND, "--backend", backend)
    assert (ran.code, ran.out) == (2, "")
    assert (
        ran.err == f"hpo: --backend {backend} needs {package}: "
        f"pip install 'hpo-stacks[{backend}]'\n"
    )


def test_a_scheduler_without_workers_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hpo.search.clusters import dask as module

    with dask_servers(tmp_path, workers=0) as lonely:
        monkeypatch.setattr(module, "JOIN_SECONDS", 1.0)
        with (
            pytest.raises(ClusterError, match=r"has no worker: start some with dask worker$"),
            joining.joined("dask", lonely.address, 1),
        ):
            pass


class Fake(Cluster):
    """A cluster with as many workers as ``alive`` says, one number after the other."""

    died = gone = ()

    def __init__(self, *alive: int) -> None:
        super().__init__("the cluster", 1, ())
        self._alive = list(alive)

    def n_alive(self) -> int:
        alive = self._alive.pop(0) if len(self._alive) > 1 else self._alive[0]
        if alive < 0:
            raise OSError("no answer")
        return alive

    def parallel(self, n_jobs: int) -> Any:
        raise NotImplementedError

    def call(self, *_: Any) -> Any:
        raise NotImplementedError

    def send(self, common: tuple[Any, ...]) -> Any:
        raise NotImplementedError


@pytest.mark.parametrize("alive", [0, -1])
def test_who_waits_for_a_cluster_without_workers_is_told_so(
    monkeypatch: pytest.MonkeyPatch, alive: int
) -> None:
    monkeypatch.setattr(crew, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(crew, "PATIENCE_SECONDS", 0.3)
    told: list[Any] = []
    pending = Pending(Fake(1, alive, 1, alive))
    pending.watch()
    done = pending.add(told.append)
    done("a result")
    pending.add(told.append)
    began = time.monotonic()
    while len(told) < 2 and time.monotonic() < began + 20:
        time.sleep(0.01)
    assert time.monotonic() - began >= 0.3
    pending.stop()
    assert told[0] == "a result"
    assert isinstance(told[1], ClusterError)
    assert str(told[1]).startswith("the cluster had no worker for 0.3 s: start some")


def test_each_chunk_is_told_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    pending = Pending(Fake(1))
    first, second = pending.add(told.append), pending.add(told.append)
    first("result")
    first("again")
    pending.stop()
    second("too late")
    assert told == ["result"]


@pytest.mark.slow
@pytest.mark.parametrize("which", ["workers", "scheduler"])
def test_a_cluster_that_is_lost_ends_the_search_which_goes_on_later(
    tmp_path: Path, which: str
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    endless = ("search", "iris", "--trials", 4, "--rounds", 1, "--epochs", 10**6, "--backend")
    with dask_servers(tmp_path, failures=3) as servers:
        process = start(folder, *endless, "dask", "--address", servers.address)
        deadline = time.monotonic() + 60
        while not any(
            each["state"] == "RUNNING" for each in trials_so_far(folder / "hpo.db", "iris").values()
        ):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        for each in servers.processes[:1] if which == "scheduler" else servers.processes[1:]:
            os.killpg(each.pid, signal.SIGKILL)
        ran = finish(process)
    assert (ran.code, ran.out, ran.err.count("\n")) == (4, "", 1), ran.err
    assert "the same command goes on from here" in ran.err
    left = stored_trials(folder / "hpo.db", "iris")
    assert {each["state"] for each in left.values()} == {"WAITING"}


def test_other_versions_on_the_workers() -> None:
    ours = {package: importlib.metadata.version(package) for package in versions.PACKAGES}
    assert versions.check("the cluster", {"worker a": ours}) == ()
    (note,) = versions.check("the cluster", {"worker a": ours, "worker b": ours | {"numpy": "1.2"}})
    assert note.startswith("the cluster: worker b has NumPy 1.2 and this command ")
    for theirs, has in (("0.0", "version 0.0"), (None, "none")):
        with pytest.raises(UsageError, match=f"worker b needs hpo-stacks .* and has {has}; "):
            versions.check("it", {"worker a": ours, "worker b": ours | {"hpo-stacks": theirs}})


def test_workers_without_hpo_are_found(
    servers: DaskServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package that no worker has stands for it."""
    from hpo.search.clusters import dask as module

    monkeypatch.setattr(module, "PACKAGES", ("no-such-package", "numpy"))
    with module._client(servers.address) as client:
        found = module._versions(client)
    assert len(found) >= 3  # the scheduler, which reads what is sent, and the workers
    assert {each["no-such-package"] for each in found.values()} == {None}
    assert {each["numpy"] for each in found.values()} == {np.__version__}
