"""The networks by which a winner is chosen, shared out among the searches that have come so far.

A row is made when a search claims the training of a network, and stands until the winner is
entered. Those of a search that died before it was done are forgotten with it.

Every function works inside the connection that it is given, which must be a writing transaction
that holds the study's lock, but for ``taken``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection

from storage import bulk, catalogue, leases
from storage.records import Owner
from storage.schema import repeats as table


class Choice(NamedTuple):
    """One choice of a winner: after so many finished ``trials``, each trained ``repeats`` times."""

    experiment: str
    trials: int
    repeats: int


class Again(NamedTuple):
    """A network that is to be trained: the how-manieth ``repeat`` of a trial, from 0."""

    number: int
    repeat: int


class Taken(NamedTuple):
    """Who trains a network, or has ``done`` so; no ``digest`` then if its training failed."""

    owner: str
    done: bool
    digest: str | None


def claim(
    connection: Connection,
    study_id: int,
    choice: Choice,
    owner: Owner,
    wanted: Sequence[Again],
    trained: Collection[Again],
    since: int = 0,
) -> list[Again]:
    """Take a share of the ``wanted`` networks that nobody trains, those of the dead included.

    They are few, and quicker in one stack than in several: a share is as many as each search would
    have to train if all were there from the beginning. What ``owner`` holds already and has not
    ``trained`` is returned first: a claim whose answer got lost. None once the winner is entered.
    ``since`` is as in ``leases.claim``.
    """
    leases.reap(connection, study_id, choice.experiment, since)
    leases.beat(connection, choice.experiment, owner)
    searches = leases.count(connection, choice.experiment)
    if catalogue.load_selection(connection, *choice) is not None:
        return []
    present = taken(connection, choice)
    held = {each for each, row in present.items() if row.owner == owner.uid and not row.done}
    share = [each for each in wanted if each in held and each not in trained]
    if not share:
        free = [each for each in wanted if each not in present and each not in trained]
        share = free[: -(-len(wanted) // searches)]
        columns = (*Choice._fields, *Again._fields, "owner", "done")
        bulk.insert(connection, table, columns, ((*choice, *each, owner.uid, 0) for each in share))
    return share


def finish(
    connection: Connection, choice: Choice, owner: Owner, digests: Mapping[Again, str | None]
) -> list[str]:
    """Enter the stored networks, None for one whose training failed.

    Returns the digests that were not: of what was taken away from ``owner`` meanwhile.
    """
    unused = []
    for again, digest in digests.items():
        mine = sa.and_(_of(choice), *_is(again), table.c.owner == owner.uid)
        update = table.update().where(mine).values(done=1, digest=digest)
        if not connection.execute(update).rowcount and digest is not None:
            unused.append(digest)
    return catalogue.unreferenced(connection, unused)


def taken(connection: Connection, choice: Choice) -> dict[Again, Taken]:
    """Every network of the choice that somebody trains or has trained."""
    query = sa.select(*(table.c[name] for name in (*Again._fields, *Taken._fields)))
    return {
        Again(row.number, row.repeat): Taken(row.owner, bool(row.done), row.digest)
        for row in connection.execute(query.where(_of(choice)))
    }


def forget(connection: Connection, choice: Choice) -> list[str]:
    """Forget the networks of a choice that is made, and of all after fewer trials.

    Returns the digests to which nothing refers any more.
    """
    earlier = sa.and_(table.c.experiment == choice.experiment, table.c.trials < choice.trials)
    past = sa.or_(earlier, _of(choice))
    query = sa.select(table.c.digest).where(past, table.c.digest.is_not(None))
    digests = list(connection.execute(query).scalars())
    connection.execute(table.delete().where(past))
    return catalogue.unreferenced(connection, digests)


def _of(choice: Choice) -> sa.ColumnElement[bool]:
    return sa.and_(*(table.c[name] == value for name, value in choice._asdict().items()))


def _is(again: Again) -> list[sa.ColumnElement[bool]]:
    return [table.c[name] == value for name, value in again._asdict().items()]
