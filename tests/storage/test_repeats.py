"""Shares of the networks by which a winner is chosen: who has which, and what is left of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection

from storage import catalogue, leases, repeats
from storage.records import Kept, Owner, SelectionRecord
from storage.repeats import Again, Choice
from tests.storage.databases import Database
from tests.storage.test_leases import Study, anywhere, elsewhere, set_silence

__all__ = ["anywhere"]

WANTED = [Again(number, repeat) for number in (7, 3) for repeat in range(4)]
A, B, C = ("a" * 64, "b" * 64, "c" * 64)


def claim(
    study: Study, owner: Owner, trained: Collection[Again] = (), trials: int = 9, n: int = 4
) -> list[Again]:
    choice = Choice(study.uid, trials, n)
    return study.do(
        lambda each: repeats.claim(each, study.study_id, choice, owner, WANTED, trained)
    )


def finish(study: Study, owner: Owner, digests: Mapping[Again, str | None]) -> list[str]:
    choice = Choice(study.uid, 9, 4)
    return study.do(lambda each: repeats.finish(each, choice, owner, digests))


def done(study: Study) -> dict[Again, str | None]:
    found = study.rounds.read(lambda each: repeats.taken(each, Choice(study.uid, 9, 4)))
    return {again: row.digest for again, row in found.items() if row.done}


def claimed(study: Study) -> Sequence[Again]:
    return list(study.rounds.read(lambda each: repeats.taken(each, Choice(study.uid, 9, 4))))


def test_shares_of_every_kind_of_database(anywhere: tuple[Study, Database]) -> None:
    study, database = anywhere
    first, second = elsewhere(), elsewhere()
    study.beat(first, second)
    assert claim(study, first) == WANTED[:4]
    assert claim(study, second) == WANTED[4:]
    # A claim whose answer got lost; what is trained, but not stored, is not claimed again.
    assert claim(study, second) == WANTED[4:]
    assert claim(study, second, WANTED[4:6]) == WANTED[6:]
    assert finish(study, second, {WANTED[4]: A, WANTED[5]: None}) == []
    assert done(study) == {WANTED[4]: A, WANTED[5]: None}
    # Who dies loses what it has not done, and only that; a late answer is not taken.
    for owner in (first, second):
        set_silence(database, owner, leases.LEASE_SECONDS + 1)
    third = elsewhere()
    assert claim(study, third) == [*WANTED[:4], *WANTED[6:]]
    assert finish(study, first, {WANTED[0]: B, WANTED[1]: A}) == [B]
    assert done(study) == {WANTED[4]: A, WANTED[5]: None}
    assert finish(study, third, {WANTED[0]: C}) == []
    # Another number of repeats, or of trials, is another choice.
    assert claim(study, third, n=5) == WANTED
    assert claim(study, third, trials=8) == WANTED

    def enter(trials: int) -> list[str]:
        def entered(connection: Connection) -> list[str]:
            new = SelectionRecord(trials, 4, 7, A, {})
            catalogue.save_selection(connection, study.uid, new, "now")
            return repeats.forget(connection, Choice(study.uid, trials, 4))

        return study.do(entered)

    assert enter(9) == [C]  # the other one is the winner's
    assert claim(study, elsewhere()) == []
    assert database.count("hpo_repeats") == len(WANTED)  # of the other number of repeats


def test_who_leaves_gives_up_what_is_not_done(anywhere: tuple[Study, Database]) -> None:
    study, _ = anywhere
    first = elsewhere()
    claim(study, first)
    finish(study, first, {WANTED[2]: A})
    study.leave(first)
    assert claimed(study) == [WANTED[2]]


def test_a_network_that_others_may_read_is_not_removed(anywhere: tuple[Study, Database]) -> None:
    study, database = anywhere
    owner = elsewhere()
    claim(study, owner)
    finish(study, owner, {WANTED[0]: A})
    unused = study.do(lambda each: catalogue.unreferenced(each, [A, B]))
    assert unused == [B]
    study.do(lambda each: catalogue.save_artifacts(each, study.uid, [Kept(1, A, 0.5)]))
    assert study.do(lambda each: repeats.forget(each, Choice(study.uid, 9, 4))) == []
    assert database.count("hpo_repeats") == 0
