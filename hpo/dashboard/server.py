"""The dashboard as a server on this machine."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from optuna_dashboard._app import create_app

from hpo.dashboard.guard import Guard
from hpo.dashboard.recounted import Recounted
from hpo.dashboard.told import ToldArtifacts, ToldStorage
from hpo.errors import UsageError
from hpo.ranking import EXPERIMENT_ATTRIBUTE
from storage.reader import opened
from storage.urls import masked


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """Likewise without asking a name server for this machine's name, which may take long."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]
        self.setup_environ()


class _ServerSix(_Server):
    address_family = socket.AF_INET6


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Nothing: each page asks every few seconds."""


@dataclass(frozen=True)
class Dashboard:
    """A server that listens already; ``url`` is where."""

    url: str
    serve: Callable[[], None]
    stop: Callable[[], None]


@contextmanager
def dashboard(
    url: str,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    names: Iterable[str] = (),
) -> Iterator[Dashboard]:
    """Optuna's dashboard on a storage, guarded; nothing of it writes.

    Parameters
    ----------
    url : of the storage
    host, port : where it listens; port 0 takes any that is free
    names : hosts that it may be asked by, besides this machine's own names

    Raises
    ------
    UsageError
        If it cannot listen there.
    StorageError
        If the database cannot be read.
    """
    with opened(url) as reader:
        storage = ToldStorage(url, Recounted(reader, masked(url), EXPERIMENT_ATTRIBUTE))
        try:
            application = create_app(storage, artifact_store=ToldArtifacts(storage))
            with _listening(host, port) as server:
                server.set_app(Guard(application, {*names, host}))
                shown = f"[{host}]" if ":" in host else host
                address = f"http://{shown}:{server.server_address[1]}/"
                yield Dashboard(address, server.serve_forever, server.shutdown)
        finally:
            storage.close()


def _listening(host: str, port: int) -> _Server:
    kind = _ServerSix if ":" in host else _Server
    try:
        return kind((host, port), _Silent)
    except OSError as error:
        raise UsageError(
            f"--host {host} --port {port}: {error.strerror or error}; choose another one, or "
            "--port 0 for any that is free"
        ) from error
