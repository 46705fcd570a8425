"""A server on loopback that speaks OpenML's protocol, and scikit-learn pointed to it.

What it answers has the form of the REST interface, https://www.openml.org/apis: lists by name,
descriptions, features and qualities as JSON, the data as ARFF, errors as status 412.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import pytest
from sklearn.datasets import _openml

FLOWERS = """@relation flowers
@attribute id numeric
@attribute 'petal length' real
@attribute colour {red,blue,'dark red'}
@attribute note string
@attribute kind {rose,tulip}
@data
"""


def flowers(n: int = 40) -> str:
    """An ARFF file: a row number, a number, a category, a text and two classes."""
    lengths = ["?" if i == 5 else str(i % 7 + i % 2) for i in range(n)]
    colours, kinds = ("red", "blue", "'dark red'"), ("rose", "tulip")
    rows = [f"{i},{lengths[i]},{colours[i % 3]},t{i % 4},{kinds[i % 2]}" for i in range(n)]
    return FLOWERS + "\n".join(rows) + "\n"


FEATURES = (
    ("id", "numeric"),
    ("petal length", "numeric"),
    ("colour", "nominal"),
    ("note", "string"),
    ("kind", "nominal"),
)


@dataclass
class Openml:
    """What the server holds, and the paths that it was asked for.

    ``described`` changes the description of set 61; ``targets`` are its default targets.
    """

    url: str = ""
    arff: str = field(default_factory=flowers)
    described: dict[str, Any] = field(default_factory=dict)
    targets: tuple[str, ...] = ("kind",)
    versions: int = 1
    missing: dict[str, int] = field(default_factory=dict)
    status: int = 200
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str) -> tuple[int, bytes]:
        """The status and the body for a path."""
        self.asked.append(path)
        if self.status != 200:
            return self.status, b"out of order"
        parts = unquote(path).strip("/").split("/")
        if parts[:2] == ["data", "v1"]:
            return 200, self.arff.encode()
        document = self._document(parts[4:])
        if document is None:
            error = {"error": {"code": "111", "message": "Unknown dataset"}}
            return 412, json.dumps(error).encode()
        return 200, json.dumps(document).encode()

    def _document(self, parts: list[str]) -> Any:
        match parts:
            case ["list", "data_name", "flowers", *_]:
                found = [
                    {"did": 61 + i, "name": "flowers", "version": 1 + i, "status": "active"}
                    for i in range(self.versions)
                ]
                return {"data": {"dataset": found}}
            case ["61"]:
                return {"data_set_description": self._description()}
            case ["features", "61"]:
                return {"data_features": {"feature": list(self._features())}}
            case ["qualities", "61"]:
                return {"data_qualities": {"quality": []}}
        return None

    def _description(self) -> dict[str, Any]:
        described = {
            "id": "61",
            "name": "flowers",
            "version": "1",
            "description": "Made for tests.",
            "format": "ARFF",
            "status": "active",
            "url": f"{self.url}/data/v1/download/61/flowers.arff",
            "md5_checksum": hashlib.md5(self.arff.encode()).hexdigest(),
        }
        return described | self.described

    def _features(self) -> Iterator[dict[str, str]]:
        for index, (name, kind) in enumerate(FEATURES):
            yield {
                "index": str(index),
                "name": name,
                "data_type": kind,
                "is_target": str(name in self.targets).lower(),
                "is_ignore": "false",
                "is_row_identifier": str(name == "id").lower(),
                "number_of_missing_values": str(self.missing.get(name, 0)),
            }


@contextmanager
def serving(openml: Openml) -> Iterator[Openml]:
    """The server, for as long as the context lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = openml.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        openml.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield openml
        finally:
            server.shutdown()
            thread.join()


def point_to(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let scikit-learn ask this server; its addresses have other names in other versions."""
    changed = 0
    for name, value in list(vars(_openml).items()):
        if isinstance(value, str) and value.startswith(("https://www.", "https://api.")):
            path = value.partition(".org")[2]
            monkeypatch.setattr(_openml, name, url + path)
            changed += 1
    assert changed, "scikit-learn keeps its addresses elsewhere"
