"""The guard: who may ask, what may be asked, and how answers are marked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from hpo.dashboard.guard import Guard, host_of, is_here


def asked(
    host: str | None, method: str = "GET", path: str = "/dashboard", names: Iterable[str] = ()
) -> tuple[str, dict[str, str], bytes, list[str]]:
    """Status, headers, body, and which requests went through."""
    through: list[str] = []

    def application(environ: dict[str, Any], start: Any) -> list[bytes]:
        through.append(environ["PATH_INFO"])
        start("200 OK", [("Content-Type", "text/html"), ("Access-Control-Allow-Origin", "*")])
        return [b"inside"]

    found: dict[str, Any] = {}

    def start(status: str, headers: list[tuple[str, str]]) -> None:
        assert len({name.lower() for name, _ in headers}) == len(headers)
        found.update(status=status, headers=dict(headers))

    environ = {"REQUEST_METHOD": method, "PATH_INFO": path}
    if host is not None:
        environ["HTTP_HOST"] = host
    body = b"".join(Guard(application, names)(environ, start))
    return found["status"], found["headers"], body, through


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8080", "127.0.0.1:9000", "[::1]:8080", "localhost.", " 127.0.0.1 "],
)
def test_this_machine_may_ask(host: str) -> None:
    status, _, body, _ = asked(host)
    assert (status, body) == ("200 OK", b"inside")


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example",
     "127.0.0.2", "0.0.0.0", "evil@localhost", "localhost:80:80", "localhost/", "", None,
     "localhost, evil.example"],
)  # fmt: skip
def test_a_name_that_is_not_ours_gets_nothing(host: str | None) -> None:
    status, headers, body, through = asked(host)
    assert status == "403 Forbidden"
    assert through == []
    assert b"--allow-host" in body
    assert int(headers["Content-Length"]) == len(body)


def test_a_name_that_was_allowed_may_ask() -> None:
    assert asked("box.example:8080", names=["Box.Example"])[0] == "200 OK"
    assert asked("other.example:8080", names=["box.example"])[0] == "403 Forbidden"


@pytest.mark.parametrize("method", ["DELETE", "POST", "PUT", "PATCH", "OPTIONS", "TRACE", "get"])
def test_nothing_that_changes_anything_is_passed_on(method: str) -> None:
    status, headers, _, through = asked("localhost", method, "/api/studies/1")
    assert status == "405 Method Not Allowed"
    assert headers["Allow"] == "GET, HEAD"
    assert through == []


def test_answers_are_marked() -> None:
    _, headers, _, _ = asked("localhost")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in headers
    assert "Content-Disposition" not in headers
    assert headers["Content-Type"] == "text/html"


@pytest.mark.parametrize("path", ["/artifacts/1/a", "/artifacts/1/2/a-b"])
def test_an_artifact_is_a_file_and_no_page(path: str) -> None:
    _, headers, _, _ = asked("localhost", path=path)
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Disposition"] == "attachment"
    assert headers["Content-Security-Policy"] == "sandbox; default-src 'none'"


def test_hosts_are_read_from_headers() -> None:
    assert host_of("[2001:db8::1]:80") == "2001:db8::1"
    assert host_of("a.b:1") == "a.b"
    assert host_of("a b") is None


@pytest.mark.parametrize(
    ("address", "here"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True),
     ("0.0.0.0", False), ("192.168.0.7", False), ("box.example", False)],
)  # fmt: skip
def test_which_addresses_only_this_machine_reaches(address: str, here: bool) -> None:
    assert is_here(address) is here
