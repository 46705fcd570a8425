"""Whether anybody listens at an address."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

CONNECT_SECONDS = 5.0
"""How long a connection is waited for."""

_OVER_TCP = frozenset({"", "tcp", "tls", "ray"})


def is_deaf(address: str) -> bool:
    """Whether it is certain that nobody listens there; the engines themselves try far longer."""
    scheme, _, rest = address.rpartition("://")
    try:
        place = urlsplit(f"//{rest}")
        if scheme not in _OVER_TCP or place.port is None or not place.hostname:
            return False
        socket.create_connection((place.hostname, place.port), CONNECT_SECONDS).close()
    except (OSError, ValueError):
        return True
    return False
