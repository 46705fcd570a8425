"""How long what fails for a reason that may pass is tried again, and who hears of it."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from storage import engine
from storage.errors import PassingError


@pytest.mark.parametrize(("seconds", "told"), [(1.0, 0), (8.0, 1)])
def test_who_waits_for_long_is_told_why(
    seconds: float, told: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = [100.0]

    def sleep(delay: float) -> None:
        now[0] += delay

    def work() -> str:
        if now[0] < 100 + seconds:
            raise PassingError("the server does not answer")
        return "done"

    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=sleep)
    monkeypatch.setattr(engine, "time", clock)
    assert engine.patiently(work) == "done"
    assert len(caplog.messages) == told
    assert all(
        re.fullmatch(r"the server does not answer; trying again for 2\d s", each)
        for each in caplog.messages
    )
