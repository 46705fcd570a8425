"""A Ray cluster, behind joblib."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import joblib
import ray
from joblib.parallel import ParallelBackendBase
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayError, WorkerCrashedError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hpo.errors import ClusterError
from hpo.search.clusters.addresses import is_deaf
from hpo.search.clusters.crew import Callback, Cluster, Pending, no_interrupt
from hpo.search.clusters.versions import PACKAGES, check

LIVES = 4
"""How many workers may die of a task before it is given up; as many as Dask grants."""

_QUIET = {
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_USAGE_STATS_ENABLED": "0",  # it would report home
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # it would warn of what is to change
}


class RayCluster(Cluster):
    """The processors of a Ray cluster; each trains one stack at a time."""

    died = (WorkerCrashedError, NodeDiedError, OutOfMemoryError)
    gone = (RayError,)

    def __init__(self, what: str, notes: tuple[str, ...]) -> None:
        super().__init__(what, self.n_alive(), notes)
        self.task = ray.remote(max_retries=LIVES - 1, num_cpus=1)(_guarded)

    def n_alive(self) -> int:
        """How many processors there are now."""
        return int(ray.cluster_resources().get("CPU", 0))

    def parallel(self, n_jobs: int) -> Any:
        """A ``joblib.Parallel`` over Ray's tasks."""
        return joblib.Parallel(
            n_jobs=n_jobs,
            return_as="generator_unordered",
            backend=_Backend(self),
            pre_dispatch=n_jobs,
        )

    def call(
        self, work: Callable[..., Any], common: tuple[Any, ...], index: int, chunk: Sequence[Any]
    ) -> Any:
        """``index, work(*common, chunk)`` as a delayed call."""
        return joblib.delayed(_work)(work, self.share(common), index, chunk)

    def send(self, common: tuple[Any, ...]) -> Any:
        """Keep it here, from where workers fetch it: no death among them harms it."""
        return ray.put(common)


class _Backend(ParallelBackendBase):  # type: ignore[misc]
    """joblib's way to Ray's tasks.

    Ray's own, ``ray.util.joblib``, tells nothing before the last task is done, starts all workers
    anew for every call, and lets tasks queue behind a busy worker while another one is idle.
    """

    supports_retrieve_callback = True

    def __init__(self, cluster: RayCluster) -> None:
        super().__init__()
        self._cluster = cluster
        self._pending = Pending(cluster)
        self._running: dict[Future[Any], Any] = {}
        # Ray's own thread must not wait, and what is told may submit the next task.
        self._teller = ThreadPoolExecutor(1, thread_name_prefix="hpo-ray")

    def effective_n_jobs(self, n_jobs: int) -> int:
        # Never one job, or joblib would work in this process.
        return max(2, n_jobs)

    def start_call(self) -> None:
        self._pending.watch()

    def stop_call(self) -> None:
        self._pending.stop()
        self._teller.shutdown(wait=False)

    def submit(self, func: Any, callback: Callback) -> Any:
        once = self._pending.add(callback)
        task = self._cluster.task.remote(func)
        future = task.future()
        self._running[future] = task

        def tell(done: Future[Any]) -> None:
            self._running.pop(done, None)
            once(done.exception() or done.result())

        def done(future: Future[Any]) -> None:
            try:
                self._teller.submit(tell, future)
            except RuntimeError:  # nobody waits for it any more
                return

        future.add_done_callback(done)
        return future

    def retrieve_result_callback(self, out: Any) -> Any:
        if isinstance(out, BaseException):
            raise out
        return out

    def abort_everything(self, ensure_ready: bool = True) -> None:
        self._pending.stop()
        for task in list(self._running.values()):
            ray.cancel(task, force=True)


@contextmanager
def joined(address: str | None, n_workers: int) -> Iterator[RayCluster]:
    """The cluster at ``address``, or a new one of so many processes here.

    Raises
    ------
    ClusterError
        If there is none.
    UsageError
        If its workers cannot train what this process would.
    """
    what = f"the Ray cluster at {address}" if address else "the new Ray cluster"
    terminate = signal.getsignal(signal.SIGTERM)
    # It tells on stdout, which holds our result, whatever happens to a worker.
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        try:
            _init(address, n_workers)
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, terminate)  # it would end the process its own way
            yield RayCluster(what, check(what, _versions()))
        finally:
            ray.shutdown()


def _init(address: str | None, n_workers: int) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    os.environ.update({**_QUIET, **os.environ})
    if not address:
        with no_interrupt():
            ray.init("local", num_cpus=n_workers, include_dashboard=False, **quiet)
        return
    nobody = (
        f"no Ray cluster answers at {address}: start one with ray start --head, "
        "or give its --address auto or ray://HOST:10001"
    )
    if is_deaf(address):
        raise ClusterError(nobody)
    try:
        with warnings.catch_warnings():  # which say what the error says
            warnings.simplefilter("ignore", UserWarning)
            ray.init(address, **quiet)
    except (OSError, ValueError, RuntimeError) as error:
        raise ClusterError(f"{nobody} ({error})") from error


def _versions() -> dict[str, dict[str, str | None]]:
    """Node -> package -> its version, None for one that is not there."""
    found: dict[str, dict[str, str | None]] = {}
    for node in ray.nodes():
        if not node["Alive"] or not node["Resources"].get("CPU"):
            continue
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        for package in PACKAGES:
            # A function of Python's own: what is not ours is there whatever is installed.
            ask = ray.remote(num_cpus=0)(importlib.metadata.version)
            name = f"node {node['NodeManagerAddress']}"
            try:
                said = ray.get(ask.options(scheduling_strategy=there).remote(package))
            except importlib.metadata.PackageNotFoundError:
                said = None
            found.setdefault(name, {})[package] = said
    return found


def _guarded(func: Callable[[], Any]) -> Any:
    """In a worker: what the function returns, or raises."""
    try:
        return func()
    except Exception as error:  # whatever it is, it is raised where it is wanted
        return error


def _work(
    work: Callable[..., Any], shared: Any, index: int, chunk: Sequence[Any]
) -> tuple[int, Any]:
    return index, work(*ray.get(shared), chunk)
