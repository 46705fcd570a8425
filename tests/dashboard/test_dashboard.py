"""``hpo dashboard``: each study with its story, figures and artifacts, and nothing written."""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from threading import Thread
from typing import Any

import optuna
import pytest
from optuna_dashboard import save_note
from sqlalchemy.exc import SQLAlchemyError

from hpo.dashboard.server import dashboard
from storage.errors import StorageError
from storage.watching import WatchedStorage
from tests.browser import dom, needs_browser
from tests.report.conftest import NAME, STUDY
from tests.running import Hpo, finish, start, stock_optuna


@pytest.fixture(scope="module")
def folder(evil: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the search, beside another program's study."""
    copy = tmp_path_factory.mktemp("shown")
    shutil.copy(evil / "hpo.db", copy / "hpo.db")
    with stock_optuna(copy / "hpo.db") as storage:
        other = optuna.create_study(storage=storage, study_name="theirs")
        other.add_trial(optuna.trial.create_trial(value=1.0))
        ours = optuna.load_study(study_name=STUDY, storage=storage)
        save_note(ours, "written *by hand*")
    return copy


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """Where the dashboard is, in threads of this process."""
    with dashboard(f"sqlite:///{folder / 'hpo.db'}") as served:
        thread = Thread(target=served.serve, daemon=True)
        thread.start()
        yield served.url
        served.stop()
        thread.join()


def get(url: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body."""
    request = urllib.request.Request(url, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


def study_of(address: str, name: str = STUDY) -> dict[str, Any]:
    summaries = json.loads(get(f"{address}api/studies")[2])["study_summaries"]
    (number,) = [each["study_id"] for each in summaries if each["study_name"] == name]
    found: dict[str, Any] = json.loads(get(f"{address}api/studies/{number}")[2])
    return found | {"id": number}


def test_a_study_has_its_story_after_what_was_written_by_hand(address: str) -> None:
    note = study_of(address)["note"]["body"]
    assert note.startswith("written *by hand*\n\n---\n\n# &lt;i&gt;evil&lt;/i&gt; &amp; co\n")
    assert "## What not to conclude" in note
    # Of a block of code, as the command is one, nothing is taken for HTML.
    assert not [line for line in note.splitlines() if "<" in line and not line.startswith("    ")]


def test_a_study_has_its_figures(address: str) -> None:
    figures = {each["id"]: json.loads(each["graph_object"]) for each in
               study_of(address)["plotly_graph_objects"]}  # fmt: skip
    assert set(figures) >= {
        "narrowing", "curves-of-the-best", "ensemble-1-leaderboard", "ensemble-1-size-curve",
        "ensemble-1-reliability",
    }  # fmt: skip
    titles = [each["text"] for each in figures["narrowing"]["layout"]["annotations"]]
    assert titles == ["learning rate", "weight decay", "activation"]
    lines = figures["curves-of-the-best"]["data"]
    assert {each["line"].get("dash") for each in lines} == {"dash", None}


def test_artifacts_are_files(address: str, folder: Path) -> None:
    study = study_of(address)
    (whole,) = study["artifacts"]
    url = f"{address}artifacts/{study['id']}/{whole['artifact_id']}"
    status, headers, body = get(url)
    assert (status, whole["filename"]) == (200, "report.html")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Disposition"] == "attachment"
    assert headers["Content-Security-Policy"].startswith("sandbox")
    assert "Access-Control-Allow-Origin" not in headers
    assert b"<h1>&lt;i&gt;evil" in body
    trial = next(each for each in study["trials"] if each["artifacts"])
    curves, picture = trial["artifacts"]
    of_trial = f"{address}artifacts/{study['id']}/{trial['trial_id']}/"
    lines = get(of_trial + curves["artifact_id"])[2].decode().splitlines()
    with closing(sqlite3.connect(folder / "hpo.db")) as connection:
        names, data = connection.execute(
            "SELECT names, data FROM hpo_curves WHERE number = ?", (trial["number"],)
        ).fetchone()
    assert lines[0] == ",".join(["epoch", *json.loads(names)])
    assert len(lines) - 1 == len(data) // 4 // len(json.loads(names)) == 6
    assert picture["mimetype"] == "image/png"
    drawn = get(of_trial + picture["artifact_id"])
    assert drawn[2].startswith(b"\x89PNG")
    assert drawn[1]["Content-Security-Policy"].startswith("sandbox")
    for absent in ("ffff", "1-0", "1-0-2", "1-ffff-0", "1-0-0-0", "x"):
        assert get(f"{address}artifacts/{study['id']}/{absent}")[0] == 404


def test_another_programs_study_is_shown_as_it_is(address: str) -> None:
    study = study_of(address, "theirs")
    assert study["note"]["body"] == ""
    assert study["plotly_graph_objects"] == study["artifacts"] == []
    assert len(study["trials"]) == 1


def test_nothing_can_be_changed(address: str, folder: Path) -> None:
    before = sha256((folder / "hpo.db").read_bytes()).digest()
    study = study_of(address)
    for method, path in (
        ("DELETE", f"api/studies/{study['id']}"),
        ("POST", f"api/studies/{study['id']}/rename"),
        ("PUT", f"api/studies/{study['id']}/note"),
        ("POST", "api/studies"),
        ("DELETE", f"api/artifacts/{study['id']}/{study['artifacts'][0]['artifact_id']}"),
        ("POST", "incompatible-rdb-schema"),
    ):
        assert get(f"{address}{path}", method)[0] == 405
    assert study_of(address)["name"] == STUDY
    assert sha256((folder / "hpo.db").read_bytes()).digest() == before


def test_another_sites_name_gets_nothing(address: str) -> None:
    status, _, body = get(f"{address}api/studies", Host="evil.example")
    assert status == 403
    assert b"evil" in body
    assert b"study_summaries" not in body


def test_the_storage_itself_refuses_to_write(folder: Path) -> None:
    storage = WatchedStorage(f"sqlite:///{folder / 'hpo.db'}")
    study = storage.get_study_id_from_name("theirs")
    with pytest.raises((StorageError, SQLAlchemyError), match=r"cannot be written|readonly"):
        storage.set_study_user_attr(study, "a", 1)
    storage.close()


def test_a_story_goes_on_with_its_study(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "hpo.db", tmp_path / "hpo.db")
    with dashboard(f"sqlite:///{tmp_path / 'hpo.db'}") as served:
        thread = Thread(target=served.serve, daemon=True)
        thread.start()
        assert "looked at once" in study_of(served.url)["note"]["body"]
        with closing(sqlite3.connect(tmp_path / "hpo.db")) as connection, connection:
            connection.execute(
                "INSERT INTO hpo_test_looks (experiment, model, why, opened_at, score, owner) "
                "SELECT experiment, 'ff', 'another', '2026', 0.5, '' FROM hpo_test_looks"
            )
        assert "looked at 2 times" in study_of(served.url)["note"]["body"]
        served.stop()
        thread.join()


def test_the_command_says_where_and_ends_quietly(folder: Path) -> None:
    process = start(folder, "dashboard", "--port", 0)
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    assert url.startswith("http://127.0.0.1:")
    assert get(f"{url}dashboard")[0] == 200
    process.send_signal(2)
    ran = finish(process, 30)
    assert (ran.code, ran.err) == (0, "Ctrl-C ends it\nended\n")


def test_what_cannot_be_is_said_in_one_line(hpo: Hpo, folder: Path) -> None:
    url = f"sqlite:///{folder / 'hpo.db'}"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = hpo("dashboard", "--storage", url, "--port", port)
    assert ran.code == 2
    assert ran.err == (
        f"hpo: --host 127.0.0.1 --port {port}: Address already in use; choose another one, or "
        "--port 0 for any that is free\n"
    )
    ran = hpo("dashboard", "--storage", "sqlite:///none.db")
    assert ran.code == 4
    assert "there is no database" in ran.err


@pytest.mark.parametrize("library", ["optuna_dashboard", "plotly.graph_objects"])
def test_a_library_that_is_missing_is_named(
    library: str, hpo: Hpo, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [each for each in sys.modules if each.startswith(("hpo.dashboard", "hpo.report"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    ran = hpo("dashboard")
    assert ran.code == 2
    assert ran.err == (
        "hpo: hpo dashboard needs optuna-dashboard and plotly: "
        "pip install 'hpo-stacks[dashboard]'\n"
    )


@needs_browser
def test_the_pages_load_in_a_browser(address: str, tmp_path: Path) -> None:
    number = study_of(address)["id"]
    page = dom(tmp_path, f"{address}dashboard/studies/{number}/note")
    assert "What not to conclude" in page.texts("h2")
    assert STUDY in page.texts("h1")
    assert not {"i", "u"} & {name for name, _, _ in page.elements}
    assert any(NAME in each for each in page.texts("li"))
    page = dom(tmp_path, f"{address}dashboard/studies/{number}", 8000)
    drawn = page.texts("text")
    assert {"Narrowing", "Members against loss", "Best-1"} <= set(drawn)
    assert any(each.startswith("acc after each epoch") for each in drawn)
