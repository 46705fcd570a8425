"""Work spread over processes; one that is killed costs one item, and nothing else is lost."""

from __future__ import annotations

import os
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

from hpo.errors import ClusterError
from hpo.search.clusters.crew import Crew, current, no_interrupt

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

    ``work(*common, chunk)`` is called in ``n_workers`` processes, or in this one if that is 1; of
    the cluster's, if one is hired. It may return nothing. A process that dies ends the whole call
    of joblib, so every chunk that has not returned is worked on again one item at a time, until the
    culprit is known: ``lost`` makes a result of it and the reason.

    Raises ``ClusterError`` if the cluster is lost.
    """
    crew = current() or _Processes()
    killed: tuple[type[BaseException], ...] = (*crew.died, MemoryError)
    left = dict(enumerate(chunks))
    try:
        try:
            for index, results in _each(crew, work, common, chunks, n_workers):
                del left[index]
                if results:
                    yield results
        except killed:
            for item in [item for chunk in left.values() for item in chunk]:
                if results := _alone(crew, work, common, item, lost):
                    yield results
    except crew.gone as error:
        raise ClusterError(
            f"{crew.what} was lost ({error}): the same command goes on from here"
        ) from error


class _Processes(Crew):
    """Processes of this machine, which follow their parent."""

    what = "this machine"
    died = (BrokenProcessPool,)

    def parallel(self, n_jobs: int) -> Any:
        # Never one job, or joblib would work in this process.
        return joblib.Parallel(n_jobs=max(2, n_jobs), return_as="generator_unordered")

    def call(
        self, work: Callable[..., Any], common: tuple[Any, ...], index: int, chunk: Sequence[Any]
    ) -> Any:
        return joblib.delayed(_follow)(work, common, index, chunk)


def _each(
    crew: Crew,
    work: Callable[..., list[Result]],
    common: tuple[Any, ...],
    chunks: Sequence[Sequence[Item]],
    n_workers: int,
) -> Iterator[tuple[int, list[Result]]]:
    if n_workers == 1 and isinstance(crew, _Processes):
        yield from ((index, work(*common, chunk)) for index, chunk in enumerate(chunks))
        return
    calls = [crew.call(work, common, index, each) for index, each in enumerate(chunks)]
    with _results(crew, min(n_workers, len(chunks)), calls) as results:
        # Not "yield from", which would close the results before the warnings are off.
        for found in results:  # noqa: UP028
            yield found


def _alone(
    crew: Crew,
    work: Callable[..., list[Result]],
    common: tuple[Any, ...],
    item: Item,
    lost: Callable[[Item, str], Result],
) -> list[Result]:
    """Work on one item in a process of its own, so that its death harms nothing else."""
    while True:
        try:
            with _results(crew, 1, [crew.call(work, common, 0, [item])]) as results:
                return next(results)[1]
        except crew.died as error:
            if crew.accuses(error):
                return [lost(item, "the worker process was killed while it trained")]
        except MemoryError:
            return [lost(item, "there was not enough memory to train it")]


@contextmanager
def _results(
    crew: Crew, n_jobs: int, calls: Sequence[Any]
) -> Iterator[Iterator[tuple[int, list[Any]]]]:
    """What workers return, in the order in which they are ready."""
    parallel = crew.parallel(n_jobs)
    results = None
    # A terminal sends ^C to the workers too. They inherit that it does not reach them, or one that
    # is still importing would print a traceback.
    resource_tracker.ensure_running()  # which lets it through again when it is started
    try:
        with no_interrupt():
            results = parallel(calls)
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
    follow_parent()
    return index, work(*common, chunk)


@cache
def follow_parent() -> None:
    """End this worker when its parent has died; it would train for nobody."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
