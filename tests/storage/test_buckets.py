"""Networks in a bucket: a real S3 server on this machine, spoken to over HTTP."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import optuna
import pytest
from moto.server import ThreadedMotoServer

from storage import buckets
from storage.artifacts import Artifact, ArtifactFolder, Artifacts, open_artifacts
from storage.errors import ArtifactError, PassingError, StorageError
from storage.trials import RoundStorage
from tests.running import QUICK, Hpo
from tests.storage.looking import sql

ARTIFACT = Artifact(b"arrays", b'{"trial": {"experiment": "e", "number": 3}}')
SECRET = "hush-hush-hush"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The endpoint of an S3 server."""
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    yield f"http://{host}:{port}"
    moto.stop()


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Credentials of nobody, and none of the user's own settings."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)


@pytest.fixture
def client(server: str, settings: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of the server, with an empty bucket ``nets``; hpo finds both by itself."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    plain = boto3.client("s3", region_name="us-east-1")
    plain.create_bucket(Bucket="nets")
    yield plain
    for key in keys(plain):
        plain.delete_object(Bucket="nets", Key=key)
    plain.delete_bucket(Bucket="nets")
    plain.close()


def keys(client: Any) -> list[str]:
    """The names of all objects."""
    return [each["Key"] for each in client.list_objects_v2(Bucket="nets").get("Contents", ())]


@pytest.fixture(params=["folder", "bucket", "bucket without a prefix"])
def artifacts(request: pytest.FixtureRequest, tmp_path: Path) -> Artifacts:
    """A place for artifacts, empty; both kinds must behave alike."""
    if request.param == "folder":
        return open_artifacts(str(tmp_path / "nets"))
    request.getfixturevalue("client")
    return open_artifacts("s3://nets/some/prefix" if request.param == "bucket" else "s3://nets")


# A folder and a bucket alike


def test_what_was_saved_is_read_again(artifacts: Artifacts) -> None:
    digest = artifacts.save(ARTIFACT)
    assert digest == ARTIFACT.digest
    assert artifacts.load(digest) == ARTIFACT
    assert artifacts.document(digest) == ARTIFACT.document
    assert artifacts.save(ARTIFACT) == digest


def test_many_at_once_are_all_there_when_it_returns(artifacts: Artifacts) -> None:
    many = [Artifact(b"a" * number, b"{}") for number in range(25)]
    digests = artifacts.save_all(many)
    assert digests == [each.digest for each in many]
    assert [artifacts.load(each) for each in digests] == many
    assert artifacts.save_all([]) == []


def test_what_is_there_is_listed_with_its_size_and_age(artifacts: Artifacts) -> None:
    assert artifacts.stored() == []
    other = Artifact(b"x" * 5000, b"{}")
    artifacts.save_all([ARTIFACT, other])
    stored = {each.digest: each for each in artifacts.stored()}
    assert {digest: each.size for digest, each in stored.items()} == {
        each.digest: len(each.arrays) + len(each.document) for each in (ARTIFACT, other)
    }
    assert all(-2 < each.age < 60 for each in stored.values())


def test_what_was_deleted_is_gone_and_may_be_deleted_again(artifacts: Artifacts) -> None:
    other = artifacts.save(Artifact(b"other", b"{}"))
    digest = artifacts.save(ARTIFACT)
    for _ in range(2):
        artifacts.delete(digest)
    assert [each.digest for each in artifacts.stored()] == [other]
    for read in (artifacts.load, artifacts.document):
        with pytest.raises(ArtifactError, match=rf"{digest}.*is missing"):
            read(digest)


@pytest.mark.parametrize("name", ["", "../up", "A" * 64, "a" * 63, "a" * 64 + "/x"])
def test_a_name_that_is_no_digest_leads_nowhere(artifacts: Artifacts, name: str) -> None:
    for use in (artifacts.load, artifacts.document, artifacts.delete):
        with pytest.raises(ArtifactError, match="no name of an artifact"):
            use(name)


def test_nothing_unfinished_is_nothing_to_sweep(artifacts: Artifacts) -> None:
    assert artifacts.sweep(0) == (0, 0)
    artifacts.save(ARTIFACT)
    assert artifacts.sweep(-60) == (0, 0)
    assert artifacts.load(ARTIFACT.digest) == ARTIFACT


# Objects


def test_objects_are_named_by_prefix_and_digest_and_are_what_a_folder_holds(
    client: Any, tmp_path: Path
) -> None:
    digest = open_artifacts("s3://nets/a/b/").save(ARTIFACT)
    assert keys(client) == [f"a/b/{digest}.json", f"a/b/{digest}.npz"]
    folder = ArtifactFolder(tmp_path / "nets")
    folder.save(ARTIFACT)
    for key in keys(client):
        stored = client.get_object(Bucket="nets", Key=key)["Body"].read()
        assert stored == (tmp_path / "nets" / key.rpartition("/")[2]).read_bytes()


def test_prefixes_of_one_bucket_do_not_see_each_other(client: Any) -> None:
    first, second, whole = (
        open_artifacts(where) for where in ("s3://nets/a", "s3://nets/ab", "s3://nets")
    )
    digest = first.save(ARTIFACT)
    for other in (second, whole):
        assert other.stored() == []
        other.delete(digest)
    assert first.load(digest) == ARTIFACT
    assert [str(each) for each in (first, second, whole)] == [
        "s3://nets/a",
        "s3://nets/ab",
        "s3://nets",
    ]


def test_objects_of_other_names_are_not_ours(client: Any) -> None:
    bucket = open_artifacts("s3://nets/a")
    for name in ("notes.json", f"{'a' * 64}.txt", f"{'a' * 64}", f"b/{'a' * 64}.npz"):
        client.put_object(Bucket="nets", Key=f"a/{name}", Body=b"mine")
    assert bucket.stored() == []


def test_more_objects_than_a_page_lists(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "10")
    bucket = open_artifacts("s3://nets/a")
    bucket.save_all([Artifact(b"a" * number, b"{}") for number in range(8)])
    assert len(keys(client)) == 10, "the server gives no more at once"
    assert len(bucket.stored()) == 8
    monkeypatch.delenv("MOTO_S3_DEFAULT_MAX_KEYS")


def test_a_network_that_is_sent_in_parts(client: Any) -> None:
    large = Artifact(os.urandom(1 << 24), b"{}")
    bucket = open_artifacts("s3://nets")
    digest = bucket.save(large)
    assert "-" in client.head_object(Bucket="nets", Key=f"{digest}.npz")["ETag"], "one part only"
    assert bucket.load(digest) == large


def test_a_half_a_changed_one_and_one_that_is_too_large(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = open_artifacts("s3://nets/a")
    digest = bucket.save(ARTIFACT)
    name = f"a/{digest}.json"
    client.put_object(Bucket="nets", Key=name, Body=ARTIFACT.document + b" ")
    with pytest.raises(ArtifactError) as caught:
        bucket.load(digest)
    assert str(caught.value) == (
        f"s3://nets/a/{digest}.npz or its .json was changed or damaged after it was saved"
    )
    client.delete_object(Bucket="nets", Key=name)
    with pytest.raises(ArtifactError) as caught:
        bucket.load(digest)
    assert str(caught.value) == f"s3://nets/a/{digest}.json is missing"
    bucket.save(ARTIFACT)
    monkeypatch.setattr(buckets, "MAX_BYTES", 3)
    with pytest.raises(ArtifactError, match="too large"):
        bucket.load(digest)


def test_a_crash_between_the_two_leaves_the_one_that_says_whose_it_is(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = open_artifacts("s3://nets")
    assert isinstance(bucket, buckets.ArtifactBucket)
    written: list[str] = []
    write = bucket._store.write

    def log(name: str, content: Any) -> None:
        written.append(name[64:])
        write(name, content)

    monkeypatch.setattr(bucket._store, "write", log)
    bucket.save_all([ARTIFACT, Artifact(b"", b"{}")])
    assert written == [".json", ".json", ".npz", ".npz"]


def test_uploads_that_were_never_finished_are_swept_away_when_they_are_old(client: Any) -> None:
    bucket = open_artifacts("s3://nets/a")
    for key in (f"a/{'a' * 64}.npz", "a/somebody-elses", f"b/{'a' * 64}.npz"):
        begun = client.create_multipart_upload(Bucket="nets", Key=key)
        part = {"UploadId": begun["UploadId"], "PartNumber": 1, "Body": bytes(1000)}
        client.upload_part(Bucket="nets", Key=key, **part)
    # The server says of all of them that they were begun in 2010.
    assert bucket.sweep(1e10) == (0, 0)
    assert bucket.sweep(dry_run=True) == (1, 1000)
    assert bucket.sweep() == (1, 1000)
    assert bucket.sweep() == (0, 0)
    left = client.list_multipart_uploads(Bucket="nets")["Uploads"]
    assert sorted(each["Key"] for each in left) == ["a/somebody-elses", f"b/{'a' * 64}.npz"]
    for each in left:
        client.abort_multipart_upload(Bucket="nets", Key=each["Key"], UploadId=each["UploadId"])


# What goes wrong


def refusal(where: str) -> str:
    with pytest.raises(StorageError) as caught:
        open_artifacts(where)
    message = str(caught.value)
    assert SECRET not in message
    return " ".join(message.split())


def test_a_bucket_that_is_not_there(client: Any) -> None:
    assert refusal("s3://none/a") == (
        "there is no bucket s3://none: create it, or choose other --artifacts"
    )


def test_a_bucket_that_vanishes(client: Any) -> None:
    client.create_bucket(Bucket="brief")
    bucket = open_artifacts("s3://brief")
    client.delete_bucket(Bucket="brief")
    for use in (bucket.stored, lambda: bucket.save(ARTIFACT)):
        with pytest.raises(StorageError, match=r"the bucket refuses: s3://brief: .* not exist"):
            use()
    with pytest.raises(ArtifactError, match="missing"):
        bucket.load(ARTIFACT.digest)
    assert bucket.sweep() == (0, 0)


@pytest.mark.parametrize("where", ["s3://", "s3:///a", "s3://me:hush@host/a", "s3://me@nets"])
def test_a_url_that_names_no_bucket(where: str) -> None:
    assert refusal(where) == "a bucket is written s3://BUCKET/PREFIX, without a password"


def test_a_place_of_another_kind() -> None:
    assert refusal("gs://nets/a") == "artifacts are kept in a folder or in s3://BUCKET/PREFIX"


@pytest.mark.usefixtures("settings")
def test_a_name_that_no_bucket_can_have() -> None:
    assert refusal("s3://a b/c").startswith("the bucket cannot be used: s3://a b: ")


@pytest.mark.usefixtures("settings")
def test_without_credentials(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert refusal("s3://nets") == (
        "the bucket cannot be used: s3://nets: Unable to locate credentials"
    )


@pytest.mark.usefixtures("settings")
def test_an_endpoint_that_is_no_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "nowhere")
    assert refusal("s3://nets") == "AWS_ENDPOINT_URL is no URL: Invalid endpoint: nowhere"


@pytest.mark.usefixtures("settings")
def test_an_endpoint_that_nobody_listens_at(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://me:{SECRET}@127.0.0.1:{port}")
    began = time.monotonic()
    message = refusal("s3://nets")
    assert time.monotonic() - began < 30
    assert message.startswith("the bucket cannot be reached: s3://nets: ")
    assert message.endswith("run the same command again later")


@pytest.mark.usefixtures("settings")
def test_an_endpoint_that_says_nothing_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It takes connections and stays silent; the waits are made short here."""
    monkeypatch.setattr(buckets, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(buckets, "ATTEMPTS", 2)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        message = refusal("s3://nets")
    assert time.monotonic() - began < 30
    assert message.startswith("the bucket cannot be reached: s3://nets: Read timeout")


@contextmanager
def answering(status: int, body: bytes) -> Iterator[tuple[str, list[str]]]:
    """The endpoint of a server that gives one answer to everything, and what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(b"")

        def do_GET(self) -> None:
            self._answer(body)

        def _answer(self, content: bytes) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_port}", asked
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


@pytest.mark.parametrize(
    ("status", "kind", "tries"), [(403, StorageError, 1), (503, PassingError, 2)]
)
@pytest.mark.usefixtures("settings")
def test_a_server_that_refuses_or_has_too_much_to_do(
    monkeypatch: pytest.MonkeyPatch, status: int, kind: type[StorageError], tries: int
) -> None:
    """What may pass is tried again, a refusal is not."""
    monkeypatch.setattr(buckets, "ATTEMPTS", 2)
    with answering(status, b"") as (endpoint, asked):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        with pytest.raises(StorageError) as caught:
            open_artifacts("s3://nets/a")
    assert type(caught.value) is kind
    assert str(caught.value).startswith("the bucket refuses: s3://nets: ")
    assert asked == ["/nets"] * tries


def test_without_boto3(settings: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    assert refusal("s3://nets") == (
        "artifacts in a bucket need boto3: pip install 'hpo-stacks[s3]'"
    )


# The commands


def test_a_search_keeps_its_networks_in_a_bucket_and_goes_on_there(
    hpo: Hpo, client: Any, tmp_path: Path
) -> None:
    alone = hpo("search", "iris", *QUICK, "--storage", "sqlite:///alone.db", "--json").document
    ran = hpo("search", "iris", *QUICK, "--artifacts", "s3://nets/a", "--json")
    assert ran.code == 0, ran.err
    assert SECRET not in ran.out + ran.err
    for name in ("best", "test", "rounds"):
        assert ran.document[name] == alone[name]
    in_folder = {
        each.name: each.read_bytes() for each in (tmp_path / "alone.artifacts").glob("*.npz")
    }
    kept = {digest for (digest,) in sql(tmp_path / "hpo.db", "SELECT digest FROM hpo_artifacts")}
    assert {key.removeprefix("a/")[:64] for key in keys(client)} == kept
    assert len(kept) == len(in_folder) == 4
    assert not list((tmp_path / "hpo.artifacts").glob("*.npz"))
    # The place is remembered, and what falls out of the best is removed from it.
    ran = hpo("search", "iris", "--trials", 8, *QUICK[2:], "--keep", 2)
    assert ran.code == 0, ran.err
    kept = {digest for (digest,) in sql(tmp_path / "hpo.db", "SELECT digest FROM hpo_artifacts")}
    tried = {model for (model,) in sql(tmp_path / "hpo.db", "SELECT model FROM hpo_test_looks")}
    assert len(kept) == 2
    assert {key.removeprefix("a/")[:64] for key in keys(client)} == kept | tried
    assert SECRET not in (tmp_path / "hpo.db").read_bytes().decode("latin-1")


def test_the_variable_names_the_bucket(
    hpo: Hpo, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HPO_ARTIFACTS", "s3://nets/from/the/variable")
    assert hpo("search", "iris", *QUICK).code == 0
    assert {key.rpartition("/")[0] for key in keys(client)} == {"from/the/variable"}


@pytest.mark.parametrize("harm", ["missing", "changed"])
def test_a_winner_that_is_missing_or_damaged_ends_with_6_and_names_it(
    hpo: Hpo, client: Any, tmp_path: Path, harm: str
) -> None:
    place = ("--artifacts", "s3://nets/a")
    hpo("search", "iris", *QUICK, *place, "--keep-sealed")
    query = "SELECT number, digest FROM hpo_artifacts ORDER BY value DESC, number LIMIT 1"
    ((number, digest),) = sql(tmp_path / "hpo.db", query)
    for key in (f"a/{digest}.npz", f"a/{digest}.json"):
        if harm == "missing":
            client.delete_object(Bucket="nets", Key=key)
        else:
            client.put_object(Bucket="nets", Key=key, Body=b"{}")
    ran = hpo("search", "iris", *QUICK)
    assert ran.code == 6
    assert ran.err.splitlines()[-1].startswith(f"hpo: trial {number}: s3://nets/a/{digest}.npz ")
    lost = hpo("doctor", "--json").document["lost"]
    assert [each["trial"] for each in lost] == [number]


def test_a_bucket_that_cannot_be_had_ends_with_4_before_training(
    hpo: Hpo, client: Any, tmp_path: Path
) -> None:
    ran = hpo("search", "iris", *QUICK, "--artifacts", "s3://none")
    assert ran.code == 4
    assert ran.err == (
        "hpo: there is no bucket s3://none: create it, or choose other --artifacts\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_bucket_that_is_out_of_reach_ends_with_4_and_the_search_goes_on_later(
    hpo: Hpo, client: Any, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = ("--artifacts", "s3://nets/a")
    calm = hpo("search", "iris", *QUICK, "--storage", "sqlite:///calm.db", "--json").document
    hpo("search", "iris", "--trials", 2, *QUICK[2:], *place, "--keep-sealed")
    monkeypatch.setattr(buckets, "ATTEMPTS", 1)
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{taken.getsockname()[1]}")
    for command in (("search", "iris", *QUICK), ("gc",)):
        ran = hpo(*command)
        assert ran.code == 4
        last = ran.err.splitlines()[-1]
        assert last.startswith("hpo: the bucket cannot be reached: s3://nets: ")
    assert hpo("studies").code == 0
    assert hpo("leaderboard").code == 0
    document = hpo("doctor", "--json").document
    assert document["notes"][0].startswith("s3://nets/a was not looked into: the bucket cannot ")
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    document = hpo("search", "iris", *QUICK, "--json").document
    assert document["trials"] == calm["trials"]


def test_gc_and_doctor_in_a_bucket(hpo: Hpo, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    place = ("--artifacts", "s3://nets/a")
    for name in ("iris", "wine"):
        hpo("search", name, *QUICK, *place)
    before = keys(client)
    bucket = open_artifacts("s3://nets/a")
    theirs = bucket.save(Artifact(b"theirs", b'{"trial": {"experiment": "e"}}'))
    rounds = RoundStorage("sqlite:///hpo.db")
    optuna.delete_study(study_name="wine", storage=rounds)
    rounds.close()
    monkeypatch.setattr("hpo.health.STALE_SECONDS", -60.0)  # the server knows no old objects
    report = hpo("doctor").out
    assert "networks: 9 networks in s3://nets/a, " in report
    assert "nobody refers to 4 networks in s3://nets/a: hpo gc removes them" in report
    assert hpo("gc").out.startswith("nothing to remove\nstays: 4 networks that nobody refers to")
    assert len(keys(client)) == len(before) + 2
    ran = hpo("gc", "--older-than", 0)
    assert ran.out.startswith("removed 4 networks, ")
    assert "of a deleted study of wine" in ran.out
    assert "stays: 1 network in s3://nets/a, " in ran.out
    left = {key[2:66] for key in keys(client)}
    assert theirs in left
    assert len(left) == 5
    assert hpo("studies", "--json").document["studies"][0]["networks"] == 4
