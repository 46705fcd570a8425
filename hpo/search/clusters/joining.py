"""From an engine's name to its cluster."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager

from hpo.errors import UsageError
from hpo.search.clusters.crew import Cluster, hired

HERE = "loky"
"""joblib's own processes, of this machine."""

BACKENDS = (HERE, "dask", "ray")
"""joblib's names."""

_NEEDED = {"dask": "distributed", "ray": "ray"}


@contextmanager
def joined(backend: str, address: str | None, n_workers: int) -> Iterator[Cluster | None]:
    """Whatever is spread inside is worked on by this engine's cluster; None for this machine.

    ``n_workers`` is how many processes a new cluster has here, which is made if there is no
    ``address``.

    Raises
    ------
    UsageError
        If the engine is not installed, or the cluster's workers have another version of hpo.
    ClusterError
        If the cluster cannot be reached, or has no worker.
    """
    if backend == HERE:
        if address:
            raise UsageError("--address is that of a cluster: say which, --backend dask or ray")
        yield None
        return
    package = _NEEDED[backend]
    try:
        importlib.import_module(package)
    except ImportError as error:
        raise UsageError(
            f"--backend {backend} needs {package}: pip install 'hpo-stacks[{backend}]'"
        ) from error
    engine = importlib.import_module(f"hpo.search.clusters.{backend}")
    with engine.joined(address, n_workers) as cluster, hired(cluster):
        yield cluster


def cores() -> int:
    """The cores of this machine that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
