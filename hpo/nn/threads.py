"""One BLAS thread: with two, the last bit of a product depends on the machine."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from threading import Lock
from types import TracebackType
from typing import Any

from threadpoolctl import OpenBLASController, ThreadpoolController


class _OneThread(AbstractContextManager[None]):
    """The limit holds from the first who enters to the last who leaves, in whatever order."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._limiter: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                _let_any_thread_set_limits()
                self._limiter = _thread_pools().limit(limits=1, user_api="blas")
            self._inside += 1

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                _let_any_thread_set_limits()
                self._limiter.restore_original_limits()
                _let_any_thread_set_limits()


@cache
def _thread_pools() -> ThreadpoolController:
    return ThreadpoolController()


def _let_any_thread_set_limits() -> None:
    """From 3.8 on threadpoolctl heeds but one thread, the first that set a limit."""
    clear = getattr(OpenBLASController, "clear_controlling_thread", None)
    if clear is not None:
        clear(force=True)


_ONE = _OneThread()


def one_blas_thread() -> AbstractContextManager[None]:
    """Hold the BLAS to one thread; threads of Python may hold it side by side."""
    return _ONE
