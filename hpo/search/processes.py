"""Work spread over processes; one that is killed costs one item, and nothing else is lost."""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import cache
from multiprocessing import resource_tracker
from typing import Any, TypeVar

import joblib

Item = TypeVar("Item")
Result = TypeVar("Result")


def spread(
    work: Callable[..., list[Result]],
    common: tuple[Any, ...],
    chunks: Sequence[Sequence[Item]],
    n_workers: int,
    lost: Callable[[Item, str], Result],
) -> Iterator[list[Result]]:
    """Results of one chunk after the other, in the order in which they are ready.

    ``work(*common, chunk)`` is called in ``n_workers`` processes, or in this one if that is 1; it
    may return nothing. A process that dies ends the whole call of joblib, so every chunk that has
    not returned is worked on again one item at a time, until the culprit is known: ``lost`` makes a
    result of it and the reason.
    """
    left = dict(enumerate(chunks))
    try:
        for index, results in _each(work, common, chunks, n_workers):
            del left[index]
            if results:
                yield results
    except (BrokenProcessPool, MemoryError):
        for item in [item for chunk in left.values() for item in chunk]:
            if results := _alone(work, common, item, lost):
                yield results


def _each(
    work: Callable[..., list[Result]],
    common: tuple[Any, ...],
    chunks: Sequence[Sequence[Item]],
    n_workers: int,
) -> Iterator[tuple[int, list[Result]]]:
    if n_workers == 1:
        yield from ((index, work(*common, chunk)) for index, chunk in enumerate(chunks))
        return
    calls = [
        joblib.delayed(_follow)(work, common, index, each) for index, each in enumerate(chunks)
    ]
    # Never one job, or joblib would work in this process.
    with _results(max(2, min(n_workers, len(chunks))), calls) as results:
        # Not "yield from", which would close the results before the warnings are off.
        for found in results:  # noqa: UP028
            yield found


def _alone(
    work: Callable[..., list[Result]],
    common: tuple[Any, ...],
    item: Item,
    lost: Callable[[Item, str], Result],
) -> list[Result]:
    """Work on one item in a process of its own, so that its death harms nothing else."""
    try:
        with _results(2, [joblib.delayed(_follow)(work, common, 0, [item])]) as results:
            return next(results)[1]
    except BrokenProcessPool:
        return [lost(item, "the worker process was killed while it trained")]
    except MemoryError:
        return [lost(item, "there was not enough memory to train it")]


@contextmanager
def _results(n_jobs: int, calls: Sequence[Any]) -> Iterator[Iterator[tuple[int, list[Any]]]]:
    """What worker processes return, in the order in which they are ready."""
    parallel = joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    results = None
    # A terminal sends ^C to the workers too. They inherit that it does not reach them, or one that
    # is still importing would print a traceback.
    resource_tracker.ensure_running()  # which lets it through again when it is started
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        try:
            results = parallel(calls)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        yield results
    finally:
        with warnings.catch_warnings():  # of what was not waited for: that was meant
            warnings.simplefilter("ignore")
            if results is not None:
                results.close()


def _follow(
    work: Callable[..., list[Result]], common: tuple[Any, ...], index: int, chunk: Sequence[Any]
) -> tuple[int, list[Result]]:
    """In a worker: the chunk's place and results, as long as somebody waits for them."""
    _follow_parent()
    return index, work(*common, chunk)


@cache
def _follow_parent() -> None:
    """End this worker when its parent has died; it would train for nobody."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
