"""Where a benchmark ran: processor and versions."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("numpy", "scikit-learn", "torch", "jax", "jaxlib")


def machine() -> dict[str, str | int | None]:
    """Processor, its cores, system, Python, and the packages' versions (None: not installed)."""
    found: dict[str, str | int | None] = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }
    return found | {package: _version(package) for package in PACKAGES}


def _processor() -> str:
    """The processor's name as Linux tells it, else what Python knows."""
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
