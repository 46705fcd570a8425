"""Whether workers can train what this process would, bit for bit."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping

from hpo.errors import UsageError

PACKAGES = ("hpo-stacks", "numpy")


def check(what: str, found: Mapping[str, Mapping[str, str | None]]) -> tuple[str, ...]:
    """Notes of what differs; ``found``: worker -> package -> version.

    Raises ``UsageError`` for another version of hpo, or none: what is sent would not fit.
    """
    ours = {package: importlib.metadata.version(package) for package in PACKAGES}
    hpo, numpy = PACKAGES
    for worker, theirs in sorted(found.items()):
        if theirs[hpo] != ours[hpo]:
            has = f"version {theirs[hpo]}" if theirs[hpo] else "none"
            raise UsageError(
                f"{what}: {worker} needs {hpo} {ours[hpo]} and has {has}; "
                "install on the workers what this command runs with"
            )
    others = {worker: each[numpy] for worker, each in found.items() if each[numpy] != ours[numpy]}
    if not others:
        return ()
    worker = min(others)
    note = (
        f"{what}: {worker} has NumPy {others[worker]} and this command {ours[numpy]}: "
        "results may differ in their last digits"
    )
    return (note,)
