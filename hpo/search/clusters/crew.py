"""Who works on chunks: processes of this machine, or a cluster's."""

from __future__ import annotations

import operator
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from hpo.errors import ClusterError

PATIENCE_SECONDS = 60.0
"""How long a cluster may be without any worker, or out of reach, while chunks wait for it."""

LOOK_SECONDS = 2.0
"""How often it is looked at."""

Callback = Callable[[Any], None]


class Crew(ABC):
    """Workers, and joblib's way to them.

    ``what`` is its name for the user. ``died``: the errors that tell that a worker died of a chunk;
    ``gone``: those that tell that nobody is left to work.
    """

    what: str
    died: tuple[type[BaseException], ...]
    gone: tuple[type[BaseException], ...] = ()

    def accuses(self, _error: BaseException) -> bool:
        """Whether an error of ``died`` tells of the chunk, and not of what it needs."""
        return True

    @abstractmethod
    def parallel(self, n_jobs: int) -> Any:
        """A ``joblib.Parallel`` that works on at most so many chunks at a time.

        It returns what is ready, in whatever order.
        """

    @abstractmethod
    def call(
        self, work: Callable[..., Any], common: tuple[Any, ...], index: int, chunk: Sequence[Any]
    ) -> Any:
        """``index, work(*common, chunk)`` as a delayed call."""


class Cluster(Crew):
    """Workers that are not this process's children, ``n_workers`` of them when it was joined.

    ``notes`` are lines for the user.
    """

    def __init__(self, what: str, n_workers: int, notes: tuple[str, ...]) -> None:
        self.what = what
        self.n_workers = n_workers
        self.notes = notes
        self._common: tuple[Any, ...] = ()
        self._sent: Any = None

    @abstractmethod
    def n_alive(self) -> int:
        """How many workers there are now; may raise what it likes if that cannot be told."""

    @abstractmethod
    def send(self, common: tuple[Any, ...]) -> Any:
        """Bring ``common`` to the workers; returns what stands for it there."""

    def is_sent(self) -> bool:
        """Whether what was sent is still there, or is made anew when it is needed."""
        return True

    def share(self, common: tuple[Any, ...]) -> Any:
        """Likewise, but once for all chunks of a search, whose data may be large."""
        same = len(common) == len(self._common) and all(map(operator.is_, common, self._common))
        if self._sent is None or not same or not self.is_sent():
            self._sent, self._common = self.send(common), common
        return self._sent


_HIRED: ContextVar[Cluster | None] = ContextVar("_HIRED", default=None)


@contextmanager
def hired(cluster: Cluster) -> Iterator[Cluster]:
    """Whatever this thread spreads inside is worked on by the cluster."""
    token = _HIRED.set(cluster)
    try:
        yield cluster
    finally:
        _HIRED.reset(token)


def current() -> Cluster | None:
    """The cluster that is hired, if one is."""
    return _HIRED.get()


@contextmanager
def no_interrupt() -> Iterator[None]:
    """Processes that are started inside do not hear of ^C; we do, at the end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Pending:
    """The callbacks of chunks that are worked on, and a watch over who does.

    An engine whose last worker is gone waits for another for ever, and joblib with it. So somebody
    looks; after `PATIENCE_SECONDS` without a worker the chunks are told that the cluster is lost.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._callbacks: set[Callback] = set()
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def add(self, callback: Callback) -> Callback:
        """Return ``callback`` as one that is called but once."""

        def once(out: Any) -> None:
            with self._lock:
                if once not in self._callbacks:
                    return
                self._callbacks.remove(once)
            callback(out)

        with self._lock:
            self._callbacks.add(once)
        return once

    def watch(self) -> None:
        """Look after the workers, in a thread of its own, until it is stopped."""
        self._stopped.clear()
        threading.Thread(target=self._watch, name="hpo-watch", daemon=True).start()

    def stop(self) -> None:
        """End the watch; who waits is told nothing more."""
        self._stopped.set()
        with self._lock:
            self._callbacks.clear()

    def _watch(self) -> None:
        seen = time.monotonic()
        while not self._stopped.wait(LOOK_SECONDS):
            try:
                alive = self._cluster.n_alive() > 0
            except Exception:  # of whatever engine
                alive = False
            if alive:
                seen = time.monotonic()
            elif time.monotonic() - seen >= PATIENCE_SECONDS and not self._stopped.is_set():
                self._lose()

    def _lose(self) -> None:
        error = ClusterError(
            f"{self._cluster.what} had no worker for {PATIENCE_SECONDS:g} s: start some, "
            "and the same command goes on from here"
        )
        with self._lock:
            waiting = list(self._callbacks)
        for each in waiting:
            each(error)
