"""A way to a server on which connections are cut, refused or stalled; and a server that refuses."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LOOPBACK = "127.0.0.1"
_CHUNK = 1 << 16
_LOOK_SECONDS = 0.02


class Proxy:
    """Passes bytes between a port of its own and a server, until it is told to do otherwise."""

    def __init__(self, host: str, port: int) -> None:
        self._server = host, port
        self._lock = threading.Lock()
        self._links: list[_Link] = []
        self._flows = threading.Event()
        self._flows.set()
        self._lost = b"", 0
        self.port = 0
        self.accept()

    def cut(self) -> None:
        """End all connections; new ones are taken."""
        with self._lock:
            links, self._links = self._links, []
        for link in links:
            link.end()

    def refuse(self) -> None:
        """End all connections, and let nobody connect."""
        with contextlib.suppress(OSError):  # it is not listened to, or no longer
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        self.cut()

    def accept(self) -> None:
        """Let everybody connect, after a refusal too, to the same port."""
        self._listener = socket.create_server((LOOPBACK, self.port))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._take, args=(self._listener,), daemon=True)
        self._thread.start()

    def stall(self) -> None:
        """Pass nothing on; connections stay, and new ones are taken and get no word."""
        self._flows.clear()

    def flow(self) -> None:
        """Pass on again what is sent, and what was sent meanwhile."""
        self._flows.set()

    def lose_answer(self, request: bytes, nth: int) -> None:
        """Cut a connection when the server has answered to the n-th ``request`` from now on."""
        with self._lock:
            self._lost = request, nth

    @property
    def answers_left(self) -> int:
        """How many such requests are to come until the answer to one is lost; 0: it was."""
        return self._lost[1]

    def close(self) -> None:
        """End all threads and connections."""
        self.refuse()
        self.flow()

    def _take(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._server)
            except OSError:
                client.close()
                continue
            link = _Link(client, server, self._flows, self._loses)
            with self._lock:
                self._links.append(link)
            link.start()

    def _loses(self, sent: bytes) -> bool:
        with self._lock:
            request, left = self._lost
            if not left or request not in sent:
                return False
            self._lost = request, left - 1
            return left == 1


class _Link:
    """One client's connection."""

    def __init__(
        self,
        client: socket.socket,
        server: socket.socket,
        flows: threading.Event,
        loses: Callable[[bytes], bool],
    ) -> None:
        self._client, self._server = client, server
        self._flows, self._loses = flows, loses
        self._ended = threading.Event()
        self._answer_is_lost = threading.Event()
        self._threads = [
            threading.Thread(target=self._pass, args=pair, daemon=True)
            for pair in ((client, server), (server, client))
        ]
        for each in (client, server):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Reset both ends, and wait until nothing is passed any more."""
        self._ended.set()
        for each in (self._client, self._server):
            with contextlib.suppress(OSError):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()
        self._close()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while sent := source.recv(_CHUNK):
                while not self._flows.wait(_LOOK_SECONDS):
                    if self._ended.is_set():
                        return
                if source is self._server and self._answer_is_lost.is_set():
                    return
                if source is self._client and self._loses(sent):
                    self._answer_is_lost.set()
                target.sendall(sent)
        except OSError:
            pass
        finally:
            # The other direction ends too: neither driver says goodbye by halves.
            for each in (source, target):
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def _close(self) -> None:
        for each in (self._client, self._server):
            each.close()


@contextmanager
def proxied(host: str, port: int) -> Iterator[Proxy]:
    """A proxy that ends with the block."""
    proxy = Proxy(host, port)
    try:
        yield proxy
    finally:
        proxy.close()


@contextmanager
def refusing_postgresql(echo: bool = False) -> Iterator[int]:
    """The port of a server that asks for a password as PostgreSQL does, and takes none.

    The servers of tests often take any password. With ``echo`` its error repeats what was sent.
    """
    listener = socket.create_server((LOOPBACK, 0))
    thread = threading.Thread(target=_refuse_logins, args=(listener, echo), daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def _refuse_logins(listener: socket.socket, echo: bool) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        with client, contextlib.suppress(OSError), client.makefile("rb") as sent:
            # Requests to encrypt come first, by their own numbers.
            while (kind := struct.unpack("!ii", sent.read(8)))[1] >= 80877103:
                client.sendall(b"N")
            sent.read(kind[0] - 8)
            client.sendall(b"R" + struct.pack("!ii", 8, 3))
            length = struct.unpack("!ci", sent.read(5))[1]
            password = sent.read(length - 4).rstrip(b"\0")
            text = b'password authentication failed for user "me"'
            text += b" with " + password if echo else b""
            fields = b"SFATAL\0VFATAL\0C28P01\0M" + text + b"\0\0"
            client.sendall(b"E" + struct.pack("!i", len(fields) + 4) + fields)
