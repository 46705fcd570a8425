"""A kill or an error at the n-th SQL statement, for n = 1, 2, 3 … until a run needs fewer."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.killing import Calm, Fault, Helper, check_finished, copied
from tests.faults.looking import check_interrupted, look, owners, said_in_one_line

PATIENCE = {"storage.engine:PATIENCE_SECONDS": 0.05}

GOODBYE = 6
"""The last statements of a run, in which it says that it searches no more."""

EVERY = pytest.param(1, id="every one", marks=pytest.mark.slow)
"""Minutes; what runs by default takes one of so many, another one in each test."""

Record = Callable[[str, object], None]


def sweep(calm: Calm, folder: Path, first: int, step: int) -> Iterator[tuple[int, Path]]:
    """Statements by their number, each with the folder in which a run is to be struck there.

    First those of a run that creates the database, then those of one that finds it empty.
    """
    first = min(first, step)
    for template, last in ((None, calm.creating), (calm.template, calm.statements)):
        for at in range(first, last + 1, step):
            yield at, copied(template, folder / "run")
            shutil.rmtree(folder / "run")


def report(record: Record, what: str, points: int, least: int) -> None:
    """Say how many points there were, which must be some."""
    record(what, points)
    print(f"{what}: {points}")  # noqa: T201  # for pytest -s
    assert points > least


@pytest.mark.parametrize("step", [pytest.param(47, id="some"), EVERY])
def test_after_a_kill_at_any_statement_the_same_command_goes_on_to_the_same_trials(
    helper: Helper, calm: Calm, tmp_path: Path, record_property: Record, step: int
) -> None:
    recorded = []
    for at, folder in sweep(calm, tmp_path, 4, step):
        killed = helper.run(folder, fault=Fault("kill", at=at))
        assert killed.code == -signal.SIGKILL, (at, killed)
        recorded.append(check_interrupted(look(folder), calm.study))
        check_finished(folder, helper.run(folder), calm)
        assert owners(folder) == []
    report(record_property, "kill points", len(recorded), 400 // step)
    # The kills were before, between and after the rounds.
    assert {0, 3, 6} <= set(recorded) <= {0, 3, 6, 7}


def test_a_run_needs_no_more_statements_than_were_struck(
    helper: Helper, calm: Calm, tmp_path: Path
) -> None:
    folder = copied(calm.template, tmp_path / "run")
    check_finished(folder, helper.run(folder, fault=Fault("kill", at=calm.statements + 1)), calm)
    folder = copied(None, tmp_path / "fresh")
    last = calm.creating + calm.statements
    assert helper.run(folder, fault=Fault("kill", at=last)).code == -signal.SIGKILL
    check_finished(folder, helper.run(folder), calm)


@pytest.mark.parametrize(
    "step", [pytest.param(40, id="some"), pytest.param(3, id="many", marks=pytest.mark.slow)]
)
def test_one_kill_after_the_other_in_the_same_study_changes_nothing(
    helper: Helper, calm: Calm, tmp_path: Path, record_property: Record, step: int
) -> None:
    """Each run gets a little further than the one before it."""
    recorded, at = [0], step
    while (ran := helper.run(tmp_path, fault=Fault("kill", at=at))).code:
        assert ran.code == -signal.SIGKILL, ran
        recorded.append(check_interrupted(look(tmp_path), calm.study))
        at += step
    report(record_property, "kills in a row", len(recorded) - 1, 100 // step)
    assert recorded == sorted(recorded)
    check_finished(tmp_path, ran, calm)


@pytest.mark.parametrize("step", [pytest.param(47, id="some"), EVERY])
def test_a_single_error_at_any_statement_is_survived_without_a_trace(
    helper: Helper, calm: Calm, tmp_path: Path, record_property: Record, step: int
) -> None:
    points = 0
    for at, folder in sweep(calm, tmp_path, 1, step):
        ran = helper.run(folder, fault=Fault("fail", at=at))
        assert ran.points >= at, "no statement was struck"
        check_finished(folder, ran, calm)
        # To say goodbye is tried once; the next search sees that the process is gone.
        if calm.statements - at > GOODBYE:
            assert owners(folder) == []
        points += 1
    report(record_property, "transient errors", points, 400 // step)


@pytest.mark.parametrize("step", [pytest.param(4, id="some"), EVERY])
def test_a_commit_whose_answer_got_lost_is_not_done_twice(
    helper: Helper, calm: Calm, tmp_path: Path, record_property: Record, step: int
) -> None:
    points = 0
    for at in range(min(2, step), calm.commits + 1, step):
        folder = copied(calm.template, tmp_path / str(at))
        ran = helper.run(folder, fault=Fault("fail", "COMMIT", at, "after"))
        assert ran.points >= at, "no COMMIT was struck"
        check_finished(folder, ran, calm)
        points += 1
    report(record_property, "lost answers", points, 16 // step)


@pytest.mark.parametrize("at", [1, 2])
def test_a_commit_of_new_tables_whose_answer_got_lost_is_not_done_twice(
    helper: Helper, calm: Calm, tmp_path: Path, at: int
) -> None:
    """Optuna's tables are the first, ours the second."""
    ran = helper.run(tmp_path, fault=Fault("fail", "COMMIT", at, "after"))
    assert ran.points > calm.commits
    check_finished(tmp_path, ran, calm)


@pytest.mark.parametrize("step", [pytest.param(59, id="some"), EVERY])
def test_a_lasting_error_ends_with_4_and_one_line_and_the_same_command_goes_on_later(
    helper: Helper, calm: Calm, tmp_path: Path, record_property: Record, step: int
) -> None:
    points = 0
    for at, folder in sweep(calm, tmp_path, 7, step):
        failed = helper.run(folder, fault=Fault("fail on", at=at), values=PATIENCE)
        # When the result stands, a goodbye that fails is no reason to say that it does not.
        if failed.code:
            assert failed.code == 4, (at, failed)
            assert said_in_one_line(failed) == (
                f"hpo: the disk fails to read or write the database: {folder / 'hpo.db'}; "
                "check it, and run the same command again"
            )
            assert failed.out == ""
        else:
            assert calm.statements - at <= GOODBYE
            check_finished(folder, failed, calm)
        check_interrupted(look(folder), calm.study)
        check_finished(folder, helper.run(folder), calm)
        assert owners(folder) == []
        points += 1
    report(record_property, "lasting errors", points, 400 // step)
