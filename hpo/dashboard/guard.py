"""What stands before the dashboard: who may ask, what may be asked, and how answers are marked.

A page of another site cannot read a dashboard on this machine, unless its name is made to point
here after it was loaded (DNS rebinding); such a request has that name in its header ``Host``. And
it cannot have a study deleted, because nothing that changes anything is passed on.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from typing import Any

ALLOWED_METHODS = ("GET", "HEAD")

HERE = frozenset({"localhost", "127.0.0.1", "::1"})
"""Names of this machine for itself."""

Headers = list[tuple[str, str]]
Environ = dict[str, Any]
Start = Callable[..., Any]
Application = Callable[[Environ, Start], Iterable[bytes]]

_ALWAYS: Headers = [
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
]

_OF_ARTIFACTS: Headers = [
    ("Content-Disposition", "attachment"),
    ("Content-Security-Policy", "sandbox; default-src 'none'"),
]

_DROPPED = frozenset({"access-control-allow-origin"})
"""The dashboard lets every site read artifacts."""


class Guard:
    """An application of WSGI around another one.

    Parameters
    ----------
    application : what is guarded
    names : hosts that it may be asked by, besides those of `HERE`
    """

    def __init__(self, application: Application, names: Iterable[str] = ()) -> None:
        self.application = application
        self.names = HERE | {each.lower().rstrip(".") for each in names}

    def __call__(self, environ: Environ, start_response: Start) -> Iterable[bytes]:
        """Answer a request, or refuse it with one line."""
        host = host_of(environ.get("HTTP_HOST", ""))
        if host is None or host not in self.names:
            return _refused(start_response, "403 Forbidden", _unknown(host))
        if environ["REQUEST_METHOD"] not in ALLOWED_METHODS:
            said = "this dashboard only shows: nothing is changed or deleted from here\n"
            return _refused(start_response, "405 Method Not Allowed", said)
        artifact = str(environ.get("PATH_INFO", "")).startswith("/artifacts")

        def start(status: str, headers: Headers, *more: Any) -> Any:
            return start_response(status, _marked(headers, artifact=artifact), *more)

        return self.application(environ, start)


def host_of(header: str) -> str | None:
    """The host that a header ``Host`` names, without its port; None if it names none."""
    found = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+)(?::\d+)?", header.strip())
    return found[1].strip("[]").lower().rstrip(".") if found else None


def is_here(host: str) -> bool:
    """Whether an address is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _unknown(host: str | None) -> str:
    named = "no host" if host is None else f"the host {host}"
    return (
        f"this dashboard was asked for by {named}, and answers to this machine's own names only: "
        "open it as http://localhost, or start it with --allow-host\n"
    )


def _refused(start_response: Start, status: str, said: str) -> list[bytes]:
    headers: Headers = [("Content-Type", "text/plain; charset=utf-8"), *_ALWAYS]
    if status.startswith("405"):
        headers.append(("Allow", ", ".join(ALLOWED_METHODS)))
    body = said.encode()
    start_response(status, [*headers, ("Content-Length", str(len(body)))])
    return [body]


def _marked(headers: Headers, *, artifact: bool) -> Headers:
    """The headers with ours in the place of those of the same names."""
    ours = [*_ALWAYS, *(_OF_ARTIFACTS if artifact else [])]
    gone = _DROPPED | {name.lower() for name, _ in ours}
    return [*(each for each in headers if each[0].lower() not in gone), *ours]
