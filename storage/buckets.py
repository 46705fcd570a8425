"""Artifacts in an S3-compatible bucket, through Optuna's own backend for it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from storage.artifacts import (
    MAX_BYTES,
    STALE_SECONDS,
    SUFFIXES,
    Artifact,
    Stored,
    Swept,
    checked,
    is_digest,
    names,
)
from storage.errors import ArtifactError, PassingError, StorageError

CONNECT_SECONDS = 10.0
"""How long to wait for the bucket's server to take a connection."""

ANSWER_SECONDS = 60.0
"""How long to wait for it to say anything."""

ATTEMPTS = 3
"""How often a request is made that fails for a reason that may pass."""

_AT_ONCE = 8
_HOW = "artifacts in a bucket need boto3: pip install 'hpo-stacks[s3]'"
_MISSING = {"NoSuchKey", "404", "NotFound"}
_PASSING = ("5", "Slow", "Internal", "Service", "RequestTimeout", "Throttl")


class ArtifactBucket:
    """The artifacts under ``prefix`` in ``bucket``.

    Credentials, region and endpoint come from boto3's own settings (``AWS_ACCESS_KEY_ID``,
    ``AWS_ENDPOINT_URL`` and so on), never from the URL.
    """

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        from optuna.artifacts import Boto3ArtifactStore  # noqa: PLC0415  # imports boto3

        self._client = client
        self._store = Boto3ArtifactStore(bucket, client=client, avoid_buf_copy=True)
        self.bucket = bucket
        self.prefix = prefix

    @classmethod
    def open(cls, url: str) -> ArtifactBucket:
        """The bucket of ``s3://BUCKET/PREFIX``; raises ``StorageError`` if it cannot be used."""
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        if not bucket or "@" in bucket:
            raise StorageError("a bucket is written s3://BUCKET/PREFIX, without a password")
        prefix = prefix.strip("/")
        client = _client()
        where = f"s3://{bucket}"
        try:
            with _explained(where):
                client.head_bucket(Bucket=bucket)
        except FileNotFoundError as error:
            raise StorageError(
                f"there is no bucket {where}: create it, or choose other --artifacts"
            ) from error
        return cls(client, bucket, f"{prefix}/" if prefix else "")

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def save(self, artifact: Artifact) -> str:
        """Write both files and return their digest; the same content gives the same files."""
        return self.save_all([artifact])[0]

    def save_all(self, artifacts: Sequence[Artifact]) -> list[str]:
        """Likewise for many, some at once."""
        digests = [artifact.digest for artifact in artifacts]
        pairs = [names(digest) for digest in digests]
        with _explained(self), ThreadPoolExecutor(_AT_ONCE) as pool:
            # The documents first: left alone by a crash, they still say whose they are.
            for part in (1, 0):
                files = (
                    (pair[part], each[part]) for pair, each in zip(pairs, artifacts, strict=True)
                )
                for _ in pool.map(self._write, files):
                    pass
        return digests

    def load(self, digest: str) -> Artifact:
        """Both files; raises ``ArtifactError`` if one is missing or not what was saved."""
        artifact = Artifact(*(self._read(name) for name in names(digest)))
        return checked(artifact, digest, f"{self}/{digest}.npz")

    def document(self, digest: str) -> bytes:
        """The second file alone, unchecked; raises ``ArtifactError`` if it cannot be read."""
        return self._read(names(digest)[1])

    def delete(self, digest: str) -> None:
        """Remove both files, as far as they exist."""
        with _explained(self):
            for name in names(digest):
                self._store.remove(self.prefix + name)

    def stored(self) -> list[Stored]:
        """Everything that is there, whole or not."""
        found: dict[str, Stored] = {}
        for entry in self._list("list_objects_v2", "Contents"):
            digest = self._digest(entry["Key"])
            if digest is not None:
                age = _age(entry["LastModified"])
                known = found.get(digest, Stored(digest, 0, age))
                found[digest] = Stored(digest, known.size + entry["Size"], min(known.age, age))
        return list(found.values())

    def sweep(self, older_than: float = STALE_SECONDS, *, dry_run: bool = False) -> Swept:
        """Remove the parts of uploads that were never finished, or only count them.

        Only what is older than so many seconds. A server that does not tell is left alone.
        """
        try:
            stale = [
                {"Key": entry["Key"], "UploadId": entry["UploadId"]}
                for entry in self._list("list_multipart_uploads", "Uploads")
                if self._digest(entry["Key"]) is not None and _age(entry["Initiated"]) > older_than
            ]
            size = sum(
                part["Size"] for each in stale for part in self._list("list_parts", "Parts", **each)
            )
            if not dry_run:
                with _explained(self):
                    for each in stale:
                        self._client.abort_multipart_upload(Bucket=self.bucket, **each)
        except (StorageError, FileNotFoundError):
            return Swept(0, 0)
        return Swept(len(stale), size)

    def _list(self, operation: str, part: str, **options: str) -> Iterator[dict[str, Any]]:
        chosen = options or {"Prefix": self.prefix}
        with _explained(self):
            pages = self._client.get_paginator(operation)
            for page in pages.paginate(Bucket=self.bucket, **chosen):
                yield from page.get(part, ())

    def _digest(self, key: str) -> str | None:
        """The artifact that an object is a part of; None for what is none of ours."""
        stem, dot, suffix = key.removeprefix(self.prefix).partition(".")
        return stem if dot + suffix in SUFFIXES and is_digest(stem) else None

    def _write(self, file: tuple[str, bytes]) -> None:
        name, content = file
        self._store.write(self.prefix + name, io.BytesIO(content))

    def _read(self, name: str) -> bytes:
        from optuna.artifacts.exceptions import ArtifactNotFound  # noqa: PLC0415

        where = f"{self}/{name}"
        try:
            with _explained(where):
                head = self._client.head_object(Bucket=self.bucket, Key=self.prefix + name)
                if head["ContentLength"] > MAX_BYTES:
                    raise ArtifactError(f"{where} is too large to be an artifact")
                with self._store.open_reader(self.prefix + name) as reader:
                    content: bytes = reader.read()
        except (ArtifactNotFound, FileNotFoundError) as error:
            raise ArtifactError(f"{where} is missing") from error
        return content


def _client() -> Any:
    """A client that does not wait for ever."""
    try:
        import boto3  # noqa: PLC0415  # an extra
        from botocore.config import Config  # noqa: PLC0415
    except ImportError as error:
        raise StorageError(_HOW) from error
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=ANSWER_SECONDS,
        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
    )
    try:
        with _explained("boto3"):
            # A session of its own, because the common one keeps the first credentials for ever.
            return boto3.Session().client("s3", config=config)
    except ValueError as error:
        raise StorageError(f"AWS_ENDPOINT_URL is no URL: {_without_login(str(error))}") from error


def _age(moment: datetime) -> float:
    return (datetime.now(UTC) - moment).total_seconds()


@contextmanager
def _explained(where: object) -> Iterator[None]:
    """Turn the client's errors into one line; what is not there is a ``FileNotFoundError``."""
    from botocore.exceptions import (  # noqa: PLC0415  # an extra
        BotoCoreError,
        ClientError,
        ConnectionError,  # noqa: A004
        HTTPClientError,
    )

    try:
        yield
    except ClientError as error:
        answer = error.response.get("Error", {})
        code = str(answer.get("Code", ""))
        if code in _MISSING:
            raise FileNotFoundError(str(where)) from error
        kind = PassingError if code.startswith(_PASSING) else StorageError
        raise kind(
            f"the bucket refuses: {where}: {answer.get('Message') or code}; "
            "check its name and your AWS_ settings"
        ) from error
    except (ConnectionError, HTTPClientError) as error:
        raise PassingError(
            f"the bucket cannot be reached: {where}: {_without_login(str(error))}; "
            "run the same command again later"
        ) from error
    except BotoCoreError as error:
        raise StorageError(
            f"the bucket cannot be used: {where}: {_without_login(str(error))}"
        ) from error


def _without_login(text: str) -> str:
    """``text`` with the logins of URLs hidden."""
    return re.sub(r"//[^/@\s]+@", "//***@", text)
