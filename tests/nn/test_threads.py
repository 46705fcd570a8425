"""One BLAS thread, for all who ask and no longer; and trainings side by side."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, Thread

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from hpo.nn.architecture import Floats
from hpo.nn.members import TrainingSettings
from hpo.nn.network import predict
from hpo.nn.threads import one_blas_thread
from hpo.nn.training import train
from tests.nn.making import classifier, one_member, random_rows


def blas_threads() -> set[int]:
    return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}


def test_the_limit_that_was_there_comes_back() -> None:
    for limit in (2, 1, 2):
        with threadpool_limits(limit, user_api="blas"):
            with one_blas_thread():
                assert blas_threads() == {1}
                with one_blas_thread():
                    assert blas_threads() == {1}
                assert blas_threads() == {1}
            assert blas_threads() == {limit}


def test_an_error_inside_gives_the_threads_back() -> None:
    with threadpool_limits(2, user_api="blas"):
        with pytest.raises(ZeroDivisionError), one_blas_thread():
            raise ZeroDivisionError
        assert blas_threads() == {2}


def test_the_limit_holds_until_the_last_thread_leaves() -> None:
    """The first who enters is the first who leaves: the limits do not nest."""
    inside, go = [Event(), Event()], [Event(), Event()]

    def stay(number: int) -> None:
        with one_blas_thread():
            inside[number].set()
            assert go[number].wait(10)

    with threadpool_limits(2, user_api="blas"):
        threads = [Thread(target=stay, args=(number,), daemon=True) for number in range(2)]
        for number, thread in enumerate(threads):
            thread.start()
            assert inside[number].wait(10)
        assert blas_threads() == {1}
        for number, left in enumerate([{1}, {2}]):
            go[number].set()
            threads[number].join(10)
            assert blas_threads() == left


def test_a_thread_has_its_limit_whoever_had_one_before() -> None:
    """From 3.8 on threadpoolctl heeds but one thread, unless that one is done with it."""

    def inside() -> set[int]:
        with one_blas_thread():
            return blas_threads()

    def limited(threads: int) -> set[int]:
        with threadpool_limits(threads, user_api="blas"):
            return blas_threads()

    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        before = blas_threads()
        assert inside() == {1}
        for pool in (one, other, one):
            assert pool.submit(inside).result() == {1}
            assert inside() == {1}
            assert blas_threads() == before
        for pool in (one, other):
            assert pool.submit(limited, 2).result() == {2}
            assert pool.submit(limited, 1).result() == {1}


def test_trainings_side_by_side_are_those_one_by_one() -> None:
    architecture = classifier(9, (8, 8), 3, "relu", "before")
    rows = random_rows(architecture, 200)
    settings = TrainingSettings(epochs=3, patience=None)
    together = Barrier(4)

    def outcome(seed: int) -> tuple[Floats, Floats]:
        members = one_member(random_state=seed, dropout=(0.2, 0.2))
        params = train(architecture, settings, members, rows, rows).params
        return params, predict(architecture, params, rows.X)

    def meeting(seed: int) -> tuple[Floats, Floats]:
        together.wait(10)
        return outcome(seed)

    expected = [outcome(seed) for seed in range(4)]
    with threadpool_limits(2, user_api="blas"):
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(meeting, range(4)))
        assert blas_threads() == {2}
    for ours, theirs in zip(found, expected, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            assert np.array_equal(one, other)
