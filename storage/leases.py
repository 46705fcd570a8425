"""Which process trains which trials, and what becomes of them when it dies.

A search that shares a study is an owner; what it trains is claimed by it, each trial by one owner.
An owner says from time to time that it lives, by the database's clock, because machines' clocks
differ. One that was silent for too long, or whose process is gone from this machine, loses its
claims: its trials wait again, with number and parameters, and what it still delivers for them is
not taken. Training is deterministic, so nothing is lost with that.

Every function works inside the connection that it is given, which must be a writing transaction
that holds the study's lock, but for ``leases``.
"""

from __future__ import annotations

import functools
import os
import socket
import threading
import uuid
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from storage import bulk, history, slots
from storage.engine import clock
from storage.errors import StorageError
from storage.records import Lease, Owner, Slot
from storage.schema import claims, owners, repeats

LEASE_SECONDS = 60.0
"""An owner that was silent for longer is taken for dead, wherever it runs."""

BEAT_SECONDS = 10.0
"""How often a living owner says so."""

SELECTION = -1
"""Stands where the number of a trial does, in the claim on choosing the winner."""

PROCESSES = Path("/proc")


def this_process() -> Owner:
    """A new owner for this process."""
    return Owner(
        uuid.uuid4().hex,
        socket.gethostname()[:255],
        _place(),
        os.getpid(),
        _started(os.getpid()) or "",
    )


def beat(connection: Connection, experiment: str, owner: Owner) -> None:
    """Say that ``owner`` lives; entered anew if it was taken for dead meanwhile."""
    moment = clock(connection)
    update = owners.update().where(owners.c.uid == owner.uid).values(beat=moment)
    if not connection.execute(update).rowcount:
        row: dict[str, Any] = owner._asdict() | {"experiment": experiment, "beat": moment}
        connection.execute(owners.insert().values(row))


def claim(
    connection: Connection,
    study_id: int,
    experiment: str,
    owner: Owner,
    below: int,
    since: int = 0,
    expected: int = 1,
) -> list[Slot]:
    """Take a fair share of the WAITING trials under ``below``, those of dead owners included.

    What ``owner`` holds already is returned first: a claim whose answer got lost. Trials from
    Optuna's id ``since`` on are looked at. ``expected``: share with so many searches at least, if
    fewer are there yet. Raises ``StorageError`` for a trial without parameters, as other programs
    enqueue them.
    """
    reap(connection, study_id, experiment, since)
    beat(connection, experiment, owner)
    searches = count(connection, experiment)
    ids = held(connection, experiment, owner)
    if not ids:
        taken = _claimed(experiment)
        free = history.waiting(connection, study_id, below, since, taken)
        ids = dict(free[: -(-len(free) // max(searches, expected))])
        rows = ((experiment, number, owner.uid, trial_id) for number, trial_id in ids.items())
        columns = ("experiment", "number", "owner", "trial_id")
        bulk.insert(connection, claims, columns, rows)
        slots.start(connection, taken.where(claims.c.owner == owner.uid))
    params = history.params_of(connection, list(ids.values()))
    for number in ids:
        if number not in params:
            raise StorageError(
                f"trial {number} waits without parameters: another program added it; "
                "use another --study"
            )
    return [Slot(number, params[number]) for number in sorted(ids)]


def count(connection: Connection, experiment: str) -> int:
    """How many owners the experiment has."""
    of_it = sa.select(sa.func.count()).where(owners.c.experiment == experiment)
    return int(connection.execute(of_it).scalar_one())


def claim_selection(
    connection: Connection, study_id: int, experiment: str, owner: Owner, since: int = 0
) -> bool:
    """Whether it is for ``owner`` to choose the winner: not while another, who lives, does."""
    reap(connection, study_id, experiment, since)
    beat(connection, experiment, owner)
    holder = connection.execute(sa.select(claims.c.owner).where(_selects(experiment))).scalar()
    if holder is None:
        row = {"experiment": experiment, "number": SELECTION, "owner": owner.uid}
        connection.execute(claims.insert(), row | {"trial_id": SELECTION})
    return holder in {None, owner.uid}


def drop_selection(connection: Connection, experiment: str, owner: Owner) -> None:
    """Let another choose the winner, if need be."""
    mine = sa.and_(_selects(experiment), claims.c.owner == owner.uid)
    connection.execute(claims.delete().where(mine))


def held(connection: Connection, experiment: str, owner: Owner) -> dict[int, int]:
    """Number -> Optuna's id, of the trials that ``owner`` holds and that still run."""
    return history.running(connection, _claimed(experiment).where(claims.c.owner == owner.uid))


def drop(connection: Connection, experiment: str, owner: Owner, numbers: Collection[int]) -> None:
    """Forget the claims of ``owner`` on these trials."""
    if not numbers:
        return
    # All at once, for those of one stack are neighbours.
    span = claims.c.number.between(min(numbers), max(numbers))
    mine = sa.and_(claims.c.experiment == experiment, claims.c.owner == owner.uid, span)
    if len(numbers) <= max(numbers) - min(numbers):
        mine = sa.and_(mine, claims.c.number == sa.bindparam("one"))
        connection.execute(claims.delete().where(mine), [{"one": each} for each in numbers])
    else:
        connection.execute(claims.delete().where(mine))


def leave(
    connection: Connection, study_id: int, experiment: str, owner: Owner, since: int = 0
) -> None:
    """Give up everything that ``owner`` holds; its trials wait for another search."""
    _remove(connection, [owner.uid])
    slots.free(connection, study_id, _claimed(experiment), since)


def reap(connection: Connection, study_id: int, experiment: str, since: int = 0) -> int:
    """Let the trials of dead owners wait again; returns how many there were.

    So do trials that run without any owner, as an older version left them.
    """
    dead = [lease.owner.uid for lease in _owners(connection, experiment) if lease.dead]
    _remove(connection, dead)
    return slots.free(connection, study_id, _claimed(experiment), since)


def leases(connection: Connection, experiment: str) -> list[Lease]:
    """Every owner of the experiment with what it holds."""
    query = sa.select(claims.c.owner, claims.c.number).where(
        claims.c.experiment == experiment, claims.c.number != SELECTION
    )
    numbers: dict[str, list[int]] = {}
    for uid, number in connection.execute(query.order_by(claims.c.number)):
        numbers.setdefault(uid, []).append(number)
    return [
        lease._replace(numbers=tuple(numbers.get(lease.owner.uid, ())))
        for lease in _owners(connection, experiment)
    ]


def is_alive(connection: Connection, experiment: str, uid: str) -> bool:
    """Whether the owner ``uid`` is there and not taken for dead."""
    return any(
        lease.owner.uid == uid and not lease.dead for lease in _owners(connection, experiment)
    )


def has_vanished(owner: Owner) -> bool:
    """Whether the process of ``owner`` is known to be gone; False for another machine's."""
    return owner.place == _place() and (_started(owner.pid) or "") != owner.started


class Heart:
    """Says in a thread of its own, until it is stopped, that an owner lives."""

    def __init__(self, beat: Callable[[], None]) -> None:
        self._beat = beat
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hpo-heart", daemon=True)

    def start(self) -> None:
        """Begin; the first beat comes after ``BEAT_SECONDS``."""
        self._thread.start()

    def stop(self) -> None:
        """End; a beat that is under way is waited for."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(BEAT_SECONDS):
            try:
                self._beat()
            except StorageError:
                # What is wrong with the database is said by whoever writes a result to it.
                continue


def _owners(connection: Connection, experiment: str) -> list[Lease]:
    query = sa.select(owners, clock(connection).label("now"))
    rows = connection.execute(query.where(owners.c.experiment == experiment))
    found = []
    for row in sorted(rows, key=lambda row: (row.beat, row.uid)):
        owner = Owner(row.uid, row.host, row.place, row.pid, row.started)
        silence = row.now - row.beat
        dead = silence > LEASE_SECONDS or has_vanished(owner)
        found.append(Lease(experiment, owner, silence, (), dead))
    return found


def _remove(connection: Connection, uids: list[str]) -> None:
    for uid in uids:
        connection.execute(claims.delete().where(claims.c.owner == uid))
        unfinished = sa.and_(repeats.c.owner == uid, repeats.c.done == 0)
        connection.execute(repeats.delete().where(unfinished))
        connection.execute(owners.delete().where(owners.c.uid == uid))


def _claimed(experiment: str) -> sa.Select[tuple[int]]:
    return sa.select(claims.c.trial_id).where(claims.c.experiment == experiment)


def _selects(experiment: str) -> sa.ColumnElement[bool]:
    return sa.and_(claims.c.experiment == experiment, claims.c.number == SELECTION)


@functools.cache
def _place() -> str:
    """What tells this machine's process numbers, since it was started, from all others'."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {(PROCESSES / 'self/ns/pid').readlink()}"
    except OSError:
        # Nothing is known of processes here, so only silence tells who is dead.
        return uuid.uuid4().hex


def _started(pid: int) -> str | None:
    """When a process of this machine was started; None if there is none."""
    try:
        fields = (
            (PROCESSES / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
        )
    except OSError:
        return None
    # After the name come the state, a Z for one that is dead and not yet buried, and 18 others.
    return None if fields[0] in {"Z", "X"} else fields[19]
