"""Calls that this process makes while others, for which it need not wait, make some of them.

A new process imports for about a second before it is of any use, and that is as long as many small
models take. So this one begins at once, and has one process fewer to start.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any, NamedTuple

from joblib.externals.loky import ProcessPoolExecutor

from hpo.search.clusters.crew import no_interrupt
from hpo.search.processes import follow_parent


class Call(NamedTuple):
    """A function of a module, and what it is called with; both travel to another process."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]

    def __call__(self) -> Any:
        """What the function returns."""
        return self.function(*self.arguments)


def side_by_side(calls: Sequence[Call], n_workers: int) -> list[Any]:
    """What the calls return, in their order; ``n_workers`` processes make them, this one included.

    Whoever is free takes the next, so what takes longest should come first. A process that dies, as
    one that is killed for its memory does, leaves its call to this one.
    """
    left = deque(enumerate(calls))
    found: dict[int, Any] = {}
    with _others(min(n_workers, len(calls)) - 1, left, found) as wait:
        _make(left, found)
        wait()
        _make(left, found)  # what those that died have left
    return [found[place] for place in range(len(calls))]


_Left = deque[tuple[int, Call]]


def _make(left: _Left, found: dict[int, Any]) -> None:
    while left:
        try:
            place, call = left.popleft()
        except IndexError:  # another was quicker
            return
        found[place] = call()


@contextmanager
def _others(n_others: int, left: _Left, found: dict[int, Any]) -> Iterator[Callable[[], None]]:
    """Processes that make calls too; what is yielded waits for them, and raises what they raise."""
    if n_others < 1:
        yield lambda: None
        return
    resource_tracker.ensure_running()  # which would let ^C through to those that start after it
    processes = ProcessPoolExecutor(n_others)
    threads = ThreadPoolExecutor(n_others)
    try:
        with no_interrupt():
            ready = [processes.submit(follow_parent) for _ in range(n_others)]
            waiting = [threads.submit(_hand_over, processes, left, found) for _ in ready]
        yield lambda: _wait(waiting)
    finally:
        left.clear()
        processes.shutdown(kill_workers=True)
        threads.shutdown()


def _wait(threads: Sequence[Future[None]]) -> None:
    for each in threads:
        each.result()


def _hand_over(processes: ProcessPoolExecutor, left: _Left, found: dict[int, Any]) -> None:
    """In a thread: give one of the processes one call after the other."""
    while left:
        try:
            place, call = left.popleft()
        except IndexError:
            return
        try:
            found[place] = processes.submit(call).result()
        except (BrokenProcessPool, MemoryError):
            left.append((place, call))
            return
        except BaseException:
            left.clear()  # all is lost, and nobody need go on
            raise
