"""The winner is chosen by networks that all searches of a study train together."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpo import shared_repeats
from hpo.choice import Chooser
from hpo.joined_study import JoinedStudy
from hpo.search import repeats
from hpo.search.folds import Folds
from hpo.search.problem import Problem
from storage.artifacts import ArtifactFolder
from storage.records import SelectionRecord
from tests.storage.looking import sql
from tests.test_experiment import held

REPEATS = 2
TRIALS = 8
NEVER = float("inf")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits does not wait long."""
    monkeypatch.setattr(shared_repeats, "WAIT_SECONDS", 0.001)
    monkeypatch.setattr(shared_repeats, "LONGEST_WAIT_SECONDS", 0.01)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with held(tmp_path, trials=TRIALS, epochs=3) as study:
        list(study.search(TRIALS, 1))
    return tmp_path


@pytest.fixture
def alone(folder: Path) -> SelectionRecord:
    """What a search chooses that nobody helps; the study has not chosen then."""
    with held(folder, trials=TRIALS, epochs=3) as study:
        found = study.choose(REPEATS, 1)
    sql(folder / "hpo.db", "DELETE FROM hpo_selections")
    assert found is not None
    return found


@pytest.fixture
def studies(folder: Path) -> Iterator[list[JoinedStudy]]:
    """Three searches of one study, all of whose trials have finished."""
    with ExitStack() as stack:
        yield [stack.enter_context(held(folder, trials=TRIALS, epochs=3)) for _ in range(3)]


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[int, int]]:
    """How often each network was trained."""
    counts: Counter[tuple[int, int]] = Counter()
    train = repeats.train_jobs

    def counting(
        problem: Problem, dealt: Folds | None, jobs: Sequence[repeats.Job]
    ) -> list[repeats.Repeat]:
        counts.update((job.number, job.repeat) for job in jobs)
        return train(problem, dealt, jobs)

    monkeypatch.setattr(repeats, "train_jobs", counting)
    return counts


def chooser(study: JoinedStudy) -> Chooser:
    ranked = study.store.ranked()
    return Chooser(study.store, study.prepared, study.settings.seed, REPEATS, ranked, TRIALS)


def files(folder: Path) -> set[str]:
    return {each.digest for each in ArtifactFolder(folder / "hpo.artifacts").stored()}


def referenced(folder: Path) -> set[str]:
    rows = itertools.chain.from_iterable(
        sql(folder / "hpo.db", f"SELECT digest FROM {table} WHERE digest IS NOT NULL")
        for table in ("hpo_artifacts", "hpo_selections", "hpo_repeats")
    )
    return {digest for (digest,) in rows}


def rows(folder: Path) -> int:
    ((count,),) = sql(folder / "hpo.db", "SELECT count(*) FROM hpo_repeats")
    return int(count)


def test_who_is_alone_stores_none_of_them(folder: Path, trained: Counter[tuple[int, int]]) -> None:
    with held(folder, trials=TRIALS, epochs=3) as study:
        before, stored = files(folder), study.store.artifacts.save_all
        found = study.choose(REPEATS, 1)
        assert found is not None
        assert files(folder) == before | {found.digest}
        assert stored is not None
    assert rows(folder) == 0
    assert set(trained.values()) == {1}


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(turns=st.lists(st.integers(0, 2), max_size=12), last=st.integers(0, 2))
def test_whoever_trains_what_the_same_is_chosen(
    alone: SelectionRecord,
    studies: list[JoinedStudy],
    trained: Counter[tuple[int, int]],
    folder: Path,
    turns: list[int],
    last: int,
) -> None:
    trained.clear()
    choosers = [chooser(study) for study in studies]
    for turn in turns:
        choosers[turn].help(1, NEVER)
    assert choosers[last].choose(1, NEVER) == alone
    assert set(trained.values()) == {1}
    assert not any(each.help(1, NEVER) for each in choosers)
    assert rows(folder) == 0
    assert files(folder) == referenced(folder)
    sql(folder / "hpo.db", "DELETE FROM hpo_selections")
    ArtifactFolder(folder / "hpo.artifacts").delete(alone.digest)


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"?")


@pytest.mark.parametrize("harm", [Path.unlink, damage])
def test_what_is_missing_or_damaged_is_trained_again(
    alone: SelectionRecord,
    studies: list[JoinedStudy],
    trained: Counter[tuple[int, int]],
    folder: Path,
    harm: Callable[[Path], None],
) -> None:
    before = files(folder)
    trained.clear()
    chooser(studies[0]).help(1, NEVER)
    lost = len(trained)
    new = files(folder) - before
    assert len(new) == lost > 0
    for digest in new:
        harm(folder / "hpo.artifacts" / f"{digest}.npz")
    assert chooser(studies[1]).choose(1, NEVER) == alone
    assert Counter(trained.values())[2] == lost


def test_what_a_dead_search_was_to_train_others_do(
    alone: SelectionRecord,
    studies: list[JoinedStudy],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class KilledError(BaseException):
        pass

    def killed(*_: object) -> list[repeats.Repeat]:
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(repeats, "train_jobs", killed)
        with pytest.raises(KilledError):
            chooser(studies[0]).help(1, NEVER)
    assert rows(folder) > 0
    uid = studies[0].store.owner.uid
    sql(folder / "hpo.db", f"UPDATE hpo_owners SET beat = 0 WHERE uid = '{uid}'")
    assert chooser(studies[1]).choose(1, NEVER) == alone


def test_what_was_done_survives_who_did_it(
    alone: SelectionRecord,
    studies: list[JoinedStudy],
    trained: Counter[tuple[int, int]],
    folder: Path,
) -> None:
    trained.clear()
    chooser(studies[0]).help(1, NEVER)
    uid = studies[0].store.owner.uid
    sql(folder / "hpo.db", f"UPDATE hpo_owners SET beat = 0 WHERE uid = '{uid}'")
    assert chooser(studies[1]).choose(1, NEVER) == alone
    assert set(trained.values()) == {1}


def test_of_what_was_taken_from_a_search_it_leaves_no_files(
    studies: list[JoinedStudy], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = repeats.train_jobs

    def late(
        problem: Problem, dealt: Folds | None, jobs: Sequence[repeats.Job]
    ) -> list[repeats.Repeat]:
        sql(folder / "hpo.db", "DELETE FROM hpo_repeats")
        return train(problem, dealt, jobs)

    before = files(folder)
    monkeypatch.setattr(repeats, "train_jobs", late)
    chooser(studies[0]).help(1, NEVER)
    assert files(folder) == before


def test_a_training_that_fails_is_told_to_the_others(
    studies: list[JoinedStudy], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    best = studies[0].store.ranked()[0].number
    train = repeats.train_jobs

    def failing(
        problem: Problem, dealt: Folds | None, jobs: Sequence[repeats.Job]
    ) -> list[repeats.Repeat]:
        return [
            repeats.Repeat(each.number, each.repeat) if each.number == best else each
            for each in train(problem, dealt, jobs)
        ]

    with monkeypatch.context() as patched:
        patched.setattr(repeats, "train_jobs", failing)
        while chooser(studies[0]).help(1, NEVER):
            pass
    found = chooser(studies[1]).choose(1, NEVER)
    assert found is not None
    assert best not in [each["trial"] for each in found.record["candidates"]]


def test_what_is_left_of_an_earlier_choice_goes_with_the_next(
    folder: Path, studies: list[JoinedStudy]
) -> None:
    chooser(studies[0]).help(1, NEVER)
    assert rows(folder) > 0
    list(studies[1].search(TRIALS + 1, 1))
    found = studies[1].choose(REPEATS, 1)
    assert found is not None
    assert found.trials == TRIALS + 1
    assert rows(folder) == 0
    assert files(folder) == referenced(folder)
