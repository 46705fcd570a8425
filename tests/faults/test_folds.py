"""kill -9 while trials train over folds, and while the winner is refitted."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.faults.killing import COMMAND, Calm, Fault, Helper, check_finished, copied, undisturbed
from tests.faults.looking import look

FOLDED = (*COMMAND, "--cv", "3", "--refit")
EPOCH = "hpo.nn.training:_settle"
FINISH = "hpo.study_store:StudyStore._finish"
CHOOSE = "hpo.choice:Chooser._enter"
REFIT = "hpo.refit:Refit.train"
ENTER = "hpo.refit:enter"
READ = "hpo.preparation:SealedRows.score"

# What is left: complete trials, winners (chosen, then refitted) and looks at the test rows.
STAGES = {
    "in the first epoch": (Fault("kill", EPOCH, 1), (0, 0, 0)),
    "after the last epoch of the first round": (Fault("kill", EPOCH, 2, "after"), (0, 0, 0)),
    "before the COMMIT of results": (Fault("kill", FINISH, 1, "before the COMMIT"), (0, 0, 0)),
    "after the COMMIT of results": (Fault("kill", FINISH, 1, "after the COMMIT"), (3, 0, 0)),
    "in the second round": (Fault("kill", EPOCH, 3), (3, 0, 0)),
    "after the COMMIT of the winner": (Fault("kill", CHOOSE, 1, "after the COMMIT"), (7, 1, 0)),
    "before the winner is refitted": (Fault("kill", REFIT), (7, 1, 0)),
    "after the winner was refitted": (Fault("kill", ENTER), (7, 1, 0)),
    "before the COMMIT of the refitted model": (
        Fault("kill", ENTER, 1, "before the COMMIT"),
        (7, 1, 0),
    ),
    "after the COMMIT of the refitted model": (
        Fault("kill", ENTER, 1, "after the COMMIT"),
        (7, 2, 0),
    ),
    "before the test rows are read": (Fault("kill", READ), (7, 2, 1)),
    "after the test rows were read": (Fault("kill", READ, 1, "after"), (7, 2, 1)),
}


@pytest.fixture(scope="module")
def folded(helper: Helper, tmp_path_factory: pytest.TempPathFactory) -> Calm:
    """What an undisturbed run leaves."""
    return undisturbed(helper, tmp_path_factory.mktemp("folded"), *FOLDED)


def test_an_undisturbed_run_chooses_refits_and_looks_once(folded: Calm) -> None:
    repeats = [repeats for _, _, _, repeats, *_ in folded.study["selections"]]
    assert repeats == [5, -6]
    (look_,) = folded.study["looks"]
    assert look_[0].endswith(", refitted)")
    assert folded.document["test"]["evaluations"] == 1


@pytest.mark.parametrize("stage", STAGES)
def test_after_a_kill_the_same_command_goes_on_to_the_same_trials_and_model(
    helper: Helper, folded: Calm, tmp_path: Path, stage: str
) -> None:
    fault, expected = STAGES[stage]
    folder = copied(folded.template, tmp_path / "run")
    killed = helper.run(folder, *FOLDED, fault=fault)
    assert killed.code == -signal.SIGKILL, killed
    now, calm = look(folder), folded.study
    complete = {n: each for n, each in now["trials"].items() if each["state"] == "COMPLETE"}
    assert complete == {number: calm["trials"][number] for number in complete}
    assert now["selections"] == calm["selections"][: len(now["selections"])]
    assert (len(complete), len(now["selections"]), len(now["looks"])) == expected
    check_finished(folder, helper.run(folder, *FOLDED), folded)


def test_the_same_command_again_trains_nothing(
    helper: Helper, folded: Calm, tmp_path: Path
) -> None:
    folder = copied(folded.template, tmp_path / "run")
    check_finished(folder, helper.run(folder, *FOLDED), folded)
    # Would strike if anything were trained or the test rows read.
    for where in (EPOCH, REFIT, READ):
        check_finished(folder, helper.run(folder, *FOLDED, fault=Fault("kill", where)), folded)
