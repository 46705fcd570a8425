"""Removing what nobody refers to any more: networks, unfinished files, rows of deleted studies.

A folder or bucket may serve several databases, and a database knows only its own experiments. So a
network is removed only if it says itself, or one of our rows says, that it is of an experiment of
this database; what does not say whose it is stays, also in the folder beside a SQLite file, which a
study on a server may use as well.

The rows of a deleted study go last: as long as a file of it is left, its experiment is known.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from hpo.inventory import Books, read_books, where_of, whose
from hpo.ranking import EXPERIMENT_ATTRIBUTE
from storage import history, reader, removal
from storage.artifacts import STALE_SECONDS, Artifacts, located, open_artifacts
from storage.errors import StorageError
from storage.trials import RoundStorage


@dataclass
class Cleaned:
    """What was removed, or would be, and what stayed though no study refers to it.

    ``young`` networks are not old enough yet; ``unknown`` are those, place -> (networks, bytes),
    of experiments that this database does not know; ``unseen`` says which deleted studies were left
    because they are still searched, or their networks stand where we cannot look.
    ``failures``: place -> why it could not be looked into, or not be cleaned.
    """

    dry_run: bool
    networks: int = 0
    network_bytes: int = 0
    unfinished: int = 0
    unfinished_bytes: int = 0
    experiments: list[dict[str, Any]] = field(default_factory=list)
    young: int = 0
    unknown: dict[str, tuple[int, int]] = field(default_factory=dict)
    unseen: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)


def clean(
    url: str, also: str | None = None, older_than: float = STALE_SECONDS, *, dry_run: bool = False
) -> Cleaned:
    """Remove what nobody refers to and is older than so many seconds, or only count it.

    ``also`` is a folder or bucket where networks may be besides those that the tables name. A place
    that cannot be reached is left as it is, and so is all that may be in it.
    """
    with reader.opened(url) as source:
        cleaning = _Cleaning(source, also, older_than, Cleaned(dry_run))
        for where, artifacts in cleaning.places.items():
            cleaning.clean_place(where, artifacts)
        gone = cleaning.forgettable()
    if gone and not dry_run:
        rounds = RoundStorage(url)
        try:
            for uid in gone:
                rounds.write(partial(_forget, uid=uid))
        finally:
            rounds.close()
    return cleaning.cleaned


def _forget(connection: Connection, uid: str) -> None:
    # A study never comes back, but another copy of it may have been made.
    if uid not in history.attributes_named(connection, EXPERIMENT_ATTRIBUTE).values():
        removal.forget(connection, uid)


class _Cleaning:
    """The steps of one cleaning, and what they know."""

    def __init__(
        self, source: reader.Reader, also: str | None, older_than: float, cleaned: Cleaned
    ) -> None:
        self.source = source
        self.also = None if also is None else located(also)
        self.older_than = older_than
        self.cleaned = cleaned
        self.books = source.read(read_books)
        self.places: dict[str, Artifacts] = {}
        # The experiments that have a file left.
        self.left: set[str] = set()
        for where in self.books.places(source.place, also):
            try:
                self.places[where] = open_artifacts(where)
            except StorageError as error:
                cleaned.failures[where] = str(error)

    def clean_place(self, where: str, artifacts: Artifacts) -> None:
        """Remove the networks that nobody refers to, and what was never finished."""
        cleaned, dry_run = self.cleaned, self.cleaned.dry_run
        try:
            ours = self._unreferenced(where, artifacts)
            # Both are looked at again, because a search may have entered one, or written it anew.
            used = self._used(self.source.read(read_books))
            for each in artifacts.stored():
                if each.digest not in ours or each.digest in used:
                    continue
                if each.age <= self.older_than:
                    self.left.add(ours[each.digest])
                    cleaned.young += 1
                    continue
                if not dry_run:
                    artifacts.delete(each.digest)
                cleaned.networks += 1
                cleaned.network_bytes += each.size
            swept = artifacts.sweep(self.older_than, dry_run=dry_run)
            cleaned.unfinished += swept.files
            cleaned.unfinished_bytes += swept.size
        except StorageError as error:
            cleaned.failures[where] = str(error)

    def forgettable(self) -> list[str]:
        """The deleted studies of which no file is left."""
        found = []
        for uid in self.books.gone:
            made = self.books.experiments[uid]
            if uid in self.books.searched:
                self.cleaned.unseen.append(
                    f"a deleted study of {made.source}, which is still searched"
                )
            elif not self._is_seen(uid):
                where = where_of(made, self.source.place)
                self.cleaned.unseen.append(
                    f"a deleted study of {made.source}, whose networks in {where} cannot be seen "
                    "from here; name the folder with --artifacts"
                )
            elif uid not in self.left:
                found.append(uid)
                rows = self.source.read(partial(removal.rows_of, uid=uid))
                entry = {"source": made.source, "made": made.created_at, "rows": rows}
                self.cleaned.experiments.append(entry)
        return found

    def _unreferenced(self, where: str, artifacts: Artifacts) -> dict[str, str]:
        """Digest -> experiment, of networks of ours to which nothing refers."""
        used = self._used(self.books)
        by_rows = {digest: uid for uid in self.books.gone for digest in self.books.digests([uid])}
        ours: dict[str, str] = {}
        count = size = 0
        for each in artifacts.stored():
            if each.digest in used:
                continue
            uid = by_rows.get(each.digest) or whose(artifacts, each.digest)
            if uid is not None and uid in self.books.experiments:
                ours[each.digest] = uid
            else:
                count, size = count + 1, size + each.size
        if count:
            self.cleaned.unknown[where] = count, size
        return ours

    @staticmethod
    def _used(books: Books) -> set[str]:
        """The networks of studies that are there, or that are searched though deleted."""
        return books.digests(set(books.studies) | books.searched)

    def _is_seen(self, uid: str) -> bool:
        """Whether the experiment has no networks, or one of its places can be looked into."""
        recorded = where_of(self.books.experiments[uid], self.source.place)
        places = {recorded, self.also} - {None}
        return not self.books.networks.get(uid) or any(
            where not in self.cleaned.failures
            and ("://" in str(where) or Path(str(where)).is_dir())
            for where in places
        )
