"""Nothing is left to chance: what another does is let in at a chosen statement of a thread."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import sqlalchemy as sa

BLOCKED_SECONDS = 0.3
"""Who is in one statement for so long waits for a lock."""

PATIENCE_SECONDS = 60
T = TypeVar("T")


class Other(Generic[T]):
    """A party that works in a thread of its own."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._result: list[T] = []
        self._error: list[BaseException] = []
        self._done = threading.Event()
        self._in_statement_since: float | None = None
        self.was_blocked = False
        self.thread = threading.Thread(target=self._run)

    def let_in(self) -> None:
        """Let it work until it is done, or waits for whoever calls this."""
        self.thread.start()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._done.wait(0.005):
            since = self._in_statement_since
            if since is not None and time.monotonic() - since > BLOCKED_SECONDS:
                self.was_blocked = True
                return
            assert time.monotonic() < deadline, "it neither ends nor waits"

    def result(self) -> T:
        """What its work returned or raised."""
        self.thread.join(PATIENCE_SECONDS)
        assert self._done.is_set(), "it waits for ever"
        if self._error:
            raise self._error[0]
        return self._result[0]

    def begins(self, *_: object) -> None:
        """A statement is sent, which counts if it is one of its own."""
        if threading.current_thread() is self.thread:
            self._in_statement_since = time.monotonic()

    def ends(self, *_: object) -> None:
        """The answer is there."""
        if threading.current_thread() is self.thread:
            self._in_statement_since = None

    def _run(self) -> None:
        try:
            self._result.append(self._work())
        except BaseException as error:
            self._error.append(error)
        finally:
            self._done.set()


@contextmanager
def let_in_before(statement: str, work: Callable[[], T]) -> Iterator[Other[T]]:
    """Do ``work`` in front of this thread's first statement that matches."""
    first, other = threading.get_ident(), Other(work)

    def before(*arguments: Any) -> None:
        other.begins()
        if (
            threading.get_ident() == first
            and other.thread.ident is None
            and re.match(statement, arguments[2])
        ):
            other.let_in()

    with listening(before_cursor_execute=before, after_cursor_execute=other.ends):
        yield other
        assert other.thread.ident is not None, f"no statement matched {statement!r}"
        other.thread.join(PATIENCE_SECONDS)


@contextmanager
def listening(**listeners: Callable[..., None]) -> Iterator[None]:
    """Let SQLAlchemy tell these events, of whatever engine."""
    for name, listener in listeners.items():
        sa.event.listen(sa.Engine, name, listener)
    try:
        yield
    finally:
        for name, listener in listeners.items():
            sa.event.remove(sa.Engine, name, listener)


class Moments:
    """This thread's statements and commits, counted; at one of them something happens."""

    def __init__(self, moment: str | int, action: Callable[[], object], after: str) -> None:
        self._moment, self._action, self._after = moment, action, after
        self._thread = threading.get_ident()
        self.count = 0
        self.came = False

    def statement(self, *arguments: Any) -> None:
        """One is about to be sent."""
        self._next(arguments[2])

    def commit(self, *_: Any) -> None:
        """So is a commit."""
        self._next("COMMIT")

    def _next(self, text: str) -> None:
        if threading.get_ident() != self._thread:
            return
        self.count += 1
        is_it = self._moment == self.count
        if isinstance(self._moment, str):
            is_it = not (self.came or self._after) and re.match(self._moment, text) is not None
        if re.match(self._after, text):
            self._after = ""
        if is_it:
            self.came = True
            self._action()


@contextmanager
def at(moment: str | int, action: Callable[[], object], after: str = "") -> Iterator[Moments]:
    """Do ``action`` in front of this thread's first statement that matches, or its n-th.

    A commit counts as one, the statement ``COMMIT``. With ``after`` only what comes after the first
    statement that matches that counts.
    """
    moments = Moments(moment, action, after)
    with listening(before_cursor_execute=moments.statement, commit=moments.commit):
        yield moments
