"""A Dask cluster, behind joblib's own backend for it."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import pickle
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

import cloudpickle
import dask
import joblib
from distributed import Client, Future, KilledWorker, LocalCluster
from joblib._dask import DaskDistributedBackend

from hpo.errors import ClusterError
from hpo.search.clusters.addresses import is_deaf
from hpo.search.clusters.crew import PATIENCE_SECONDS, Callback, Cluster, Pending, no_interrupt
from hpo.search.clusters.versions import PACKAGES, check

JOIN_SECONDS = 10.0
"""How long a scheduler is waited for, and then a first worker."""

_DATA = "hpo-data-"
"""How the names of tasks begin that are no chunks."""


class DaskCluster(Cluster):
    """The workers of a scheduler; each thread of theirs trains one stack at a time.

    A task whose worker dies is given to another one by Dask itself. One that took four of them with
    it comes back as an error.
    """

    died = (KilledWorker,)
    gone = (CancelledError,)

    def __init__(self, client: Client, what: str, notes: tuple[str, ...]) -> None:
        super().__init__(what, sum(client.ncores().values()), notes)
        self.client = client

    def accuses(self, error: BaseException) -> bool:
        """Whether the task that died is a chunk, and not data on their way to one."""
        return not str(getattr(error, "task", "")).startswith(_DATA)

    def is_sent(self) -> bool:
        """Whether no copy was given up because its workers died one after the other."""
        return all(copy.status in {"pending", "finished"} for copy in self._sent)

    def n_alive(self) -> int:
        """How many workers the scheduler knows now."""
        return len(self.client.ncores(callback_timeout=JOIN_SECONDS))

    def parallel(self, n_jobs: int) -> Any:
        """A ``joblib.Parallel`` over tasks of the scheduler."""
        # A new one each time: it keeps what was not waited for as long as it lives.
        backend = _Backend(self)
        return joblib.Parallel(
            n_jobs=n_jobs,
            return_as="generator_unordered",
            backend=backend,
            batch_size=1,
            pre_dispatch=n_jobs,
        )

    def call(
        self, work: Callable[..., Any], common: tuple[Any, ...], index: int, chunk: Sequence[Any]
    ) -> Any:
        """``index, work(*common, chunk)`` as a delayed call."""
        places = self.share(common)
        return joblib.delayed(_work)(work, places[index % len(places)], index, chunk)

    def send(self, common: tuple[Any, ...]) -> list[Future]:
        """Bring it to one worker, from which the others have it; one for each thread.

        Tasks go to where their data are, so each worker has a copy of its own. They are results of
        tasks and not scattered: they are made anew when a worker that had one has died.
        """
        with warnings.catch_warnings():  # that it is large
            warnings.simplefilter("ignore", UserWarning)
            first = self.client.submit(pickle.loads, cloudpickle.dumps(common), key=_new_key())
        threads = self.client.ncores()
        copies = [
            self.client.submit(
                _same, first, workers=[worker], allow_other_workers=True, key=_new_key()
            )
            for worker in threads
        ]
        # The first stack is the longest; neighbours go to different workers.
        turns = range(max(threads.values(), default=0))
        counted = list(zip(copies, threads.values(), strict=True))
        return [copy for turn in turns for copy, count in counted if turn < count] or [first]


class _Backend(DaskDistributedBackend):  # type: ignore[misc]
    """joblib's, which alone would wait for ever for a task that Dask gave up."""

    def __init__(self, cluster: DaskCluster) -> None:
        super().__init__(client=cluster.client)
        self._cluster = cluster
        self._pending = Pending(cluster)

    def effective_n_jobs(self, n_jobs: int) -> int:
        # Never one job, or joblib would work in this process.
        return max(2, n_jobs)

    def start_call(self) -> None:
        super().start_call()
        self._pending.watch()

    def stop_call(self) -> None:
        self._pending.stop()
        super().stop_call()

    def submit(self, func: Any, callback: Callback) -> Any:
        once = self._pending.add(callback)
        future = super().submit(func, once)
        # A result is told by joblib itself.
        future.add_done_callback(
            lambda done: once(done.exception()) if done.exception() is not None else None
        )
        return future


@contextmanager
def joined(address: str | None, n_workers: int) -> Iterator[DaskCluster]:
    """The cluster of the scheduler at ``address``, or a new one of so many processes here.

    Raises
    ------
    ClusterError
        If nobody listens there, or has a worker.
    UsageError
        If its workers cannot train what this process would.
    """
    logger = logging.getLogger("distributed")
    loud = [(each, each.level) for each in (logger, logging.getLogger("distributed.client"))]
    try:
        for each, _ in loud:
            each.setLevel(logging.CRITICAL + 1)  # what matters is told in one line
        with _scheduler(address, n_workers) as scheduler, _client(scheduler) as client:
            what = f"the Dask cluster at {address}" if address else "the new Dask cluster"
            _wait_for_a_worker(client, what)
            yield DaskCluster(client, what, check(what, _versions(client)))
    finally:
        for each, level in loud:
            each.setLevel(level)


@contextmanager
def _scheduler(address: str | None, n_workers: int) -> Iterator[str | LocalCluster]:
    if address:
        yield address
        return
    # It would give up workers that take longer than 15 s to start anew.
    patient = dask.config.set({"distributed.deploy.lost-worker-timeout": PATIENCE_SECONDS})
    with no_interrupt():
        cluster = LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            dashboard_address=None,
            silence_logs=logging.CRITICAL + 1,
        )
    with patient, cluster:
        try:
            yield cluster
        finally:
            _end(cluster)


def _end(cluster: LocalCluster) -> None:
    """End the workers in the middle of a stack; else each has some seconds to finish it."""
    for nanny in cluster.workers.values():
        nanny.auto_restart = False
        if nanny.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(nanny.pid, signal.SIGKILL)


@contextmanager
def _client(scheduler: str | LocalCluster) -> Iterator[Client]:
    nobody = (
        f"no Dask scheduler answers at {scheduler}: start one with dask scheduler, "
        "or give its --address tcp://HOST:8786"
    )
    if isinstance(scheduler, str) and is_deaf(scheduler):
        raise ClusterError(nobody)
    try:
        client = Client(scheduler, timeout=JOIN_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ClusterError(nobody) from error
    with client:
        yield client


def _wait_for_a_worker(client: Client, what: str) -> None:
    try:
        # A task, and no look at the list: a cluster that adapts starts workers when there is work.
        client.submit(len, (), pure=False).result(timeout=JOIN_SECONDS)
    except TimeoutError as error:
        raise ClusterError(f"{what} has no worker: start some with dask worker") from error


def _versions(client: Client) -> dict[str, dict[str, str | None]]:
    """Worker -> package -> its version, None for one that is not there.

    The scheduler is asked too: it reads what is sent before it hands it on.
    """
    found: dict[str, dict[str, str | None]] = {}
    for package in PACKAGES:
        # A function of Python's own: it is there whatever is installed.
        said = client.run(importlib.metadata.version, package, on_error="return")
        named: dict[str, Any] = {f"worker {worker}": version for worker, version in said.items()}
        try:
            named["scheduler"] = client.run_on_scheduler(importlib.metadata.version, package)
        except importlib.metadata.PackageNotFoundError:
            named["scheduler"] = None
        for name, version in named.items():
            found.setdefault(name, {})[package] = version if isinstance(version, str) else None
    # One that came in between was not asked everything; nor are those that come later.
    return {name: each for name, each in found.items() if len(each) == len(PACKAGES)}


def _new_key() -> str:
    return f"{_DATA}{uuid4().hex}"


def _same(common: tuple[Any, ...]) -> tuple[Any, ...]:
    return common


def _work(
    work: Callable[..., Any], common: tuple[Any, ...], index: int, chunk: Sequence[Any]
) -> tuple[int, Any]:
    return index, work(*common, chunk)
