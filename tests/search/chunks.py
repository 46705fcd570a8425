"""What workers of tests do. They import this module, so it imports little."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import numpy as np


def kills_for_a_wild_rate(prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The row loss of a metric that takes its process down when a network diverged."""
    if not np.isfinite(prediction).all():
        os.kill(os.getpid(), signal.SIGKILL)
    return np.asarray((prediction[..., 0] - target) ** 2)


def process_ids(_chunk: Any) -> list[int]:
    """Which process works on the chunk."""
    time.sleep(0.2)
    return [os.getpid()]


def moments(_chunk: Any) -> list[tuple[float, float]]:
    """When the work on the chunk began and ended."""
    began = time.time()
    time.sleep(0.1)
    return [(began, time.time())]


def divides_by_zero(_chunk: Any) -> list[int]:
    """A fault of the program."""
    return [1 // 0]
