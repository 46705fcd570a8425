"""kill -9 at every named stage of a search: what is recorded stays, and the rest is done again."""

from __future__ import annotations

import signal
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.killing import Calm, Fault, Helper, check_finished, copied
from tests.faults.looking import Study, check_interrupted, claimed, look, owners

CREATE = "hpo.study_store:StudyStore.create_round"
ENTER_ROUND = "storage.slots:create"
CLAIM = "storage.leases:claim"
EPOCH = "hpo.nn.training:_settle"
SAVE = "storage.artifacts:ArtifactFolder.save_all"
RENAME = "pathlib:Path.replace"
FINISH = "hpo.study_store:StudyStore._finish"
DELETE = "storage.artifacts:ArtifactFolder.delete"
CHOOSE = "hpo.choice:Chooser.choose"
ENTER_WINNER = "hpo.choice:Chooser._enter"
LOOK = "storage.ledger:look"
ENTER = "storage.ledger:_enter"
READ = "hpo.preparation:SealedRows.score"
LEAVE = "storage.leases:leave"
CLOSE = "storage.trials:RoundStorage.close"

OPEN, SCORED = "opened", "scored"


@dataclass(frozen=True)
class Left:
    """What a kill leaves: complete, waiting and claimed trials, and the look at the test rows."""

    complete: int
    waiting: int = 0
    claimed: int = 0
    look: str | None = None


# Rounds are of 3, 3 and 1 trials; each trains for two epochs.
STAGES = {
    "before the study is entered": (Fault("kill", "storage.slots:create_study"), Left(0)),
    "before the COMMIT of the study": (
        Fault("kill", "storage.slots:create_study", 1, "before the COMMIT"),
        Left(0),
    ),
    "after the COMMIT of the study": (
        Fault("kill", "storage.slots:create_study", 1, "after the COMMIT"),
        Left(0),
    ),
    "before the first round is created": (Fault("kill", CREATE), Left(0)),
    "before the COMMIT of the first round": (
        Fault("kill", ENTER_ROUND, 1, "before the COMMIT"),
        Left(0),
    ),
    "after the first round was created": (Fault("kill", CREATE, 1, "after"), Left(0, 3)),
    "before the COMMIT of a claim": (Fault("kill", CLAIM, 2, "before the COMMIT"), Left(0, 3)),
    "after the COMMIT of a claim": (Fault("kill", CLAIM, 2, "after the COMMIT"), Left(0, 0, 3)),
    "in the first epoch": (Fault("kill", EPOCH, 1), Left(0, 0, 3)),
    "after the last epoch of the first round": (Fault("kill", EPOCH, 2, "after"), Left(0, 0, 3)),
    "before networks are stored": (Fault("kill", SAVE, 1), Left(0, 0, 3)),
    "after networks are stored": (Fault("kill", SAVE, 1, "after"), Left(0, 0, 3)),
    "before the COMMIT of results": (Fault("kill", FINISH, 1, "before the COMMIT"), Left(0, 0, 3)),
    "after the COMMIT of results": (Fault("kill", FINISH, 1, "after the COMMIT"), Left(3)),
    "before the second round is created": (Fault("kill", CREATE, 2), Left(3)),
    "after the second round was created": (Fault("kill", CREATE, 2, "after"), Left(3, 3)),
    "in the last epoch of the second round": (Fault("kill", EPOCH, 4), Left(3, 0, 3)),
    "after networks of the second round are stored": (
        Fault("kill", SAVE, 2, "after"),
        Left(3, 0, 3),
    ),
    "before the COMMIT of the second round's results": (
        Fault("kill", FINISH, 2, "before the COMMIT"),
        Left(3, 0, 3),
    ),
    "after the COMMIT of the second round's results": (
        Fault("kill", FINISH, 2, "after the COMMIT"),
        Left(6),
    ),
    "before networks that fell out are removed": (Fault("kill", DELETE, 1), Left(6)),
    "after networks that fell out are removed": (Fault("kill", DELETE, 1, "after"), Left(6)),
    "in the last round": (Fault("kill", EPOCH, 6), Left(6, 0, 1)),
    "after the COMMIT of the last results": (Fault("kill", FINISH, 3, "after the COMMIT"), Left(7)),
    "before the look": (Fault("kill", LOOK), Left(7)),
    "before the COMMIT of the look": (Fault("kill", ENTER, 1, "before the COMMIT"), Left(7)),
    "after the COMMIT of the look": (
        Fault("kill", ENTER, 1, "after the COMMIT"),
        Left(7, look=OPEN),
    ),
    "before the test rows are read": (Fault("kill", READ), Left(7, look=OPEN)),
    "after the test rows were read": (Fault("kill", READ, 1, "after"), Left(7, look=OPEN)),
    "before the COMMIT of the score": (
        Fault("kill", READ, 1, "before the COMMIT"),
        Left(7, look=OPEN),
    ),
    "after the COMMIT of the score": (
        Fault("kill", READ, 1, "after the COMMIT"),
        Left(7, look=SCORED),
    ),
    "before the winner is chosen": (Fault("kill", CHOOSE), Left(7)),
    "after the best were trained again": (Fault("kill", ENTER_WINNER), Left(7)),
    "before the COMMIT of the winner": (
        Fault("kill", ENTER_WINNER, 1, "before the COMMIT"),
        Left(7),
    ),
    "after the COMMIT of the winner": (Fault("kill", ENTER_WINNER, 1, "after the COMMIT"), Left(7)),
    "before it says goodbye": (Fault("kill", LEAVE, 1), Left(7, look=SCORED)),
    "after it said goodbye": (Fault("kill", LEAVE, 1, "after the COMMIT"), Left(7, look=SCORED)),
    "before the database is closed": (Fault("kill", CLOSE), Left(7, look=SCORED)),
}


def left(folder: Path, study: Study) -> Left:
    """What a kill has left in ``folder``."""
    states = Counter(trial["state"] for trial in study["trials"].values())
    looks = [OPEN if score is None else SCORED for _, score in study["looks"]]
    assert len(looks) <= 1
    running = [n for n, trial in study["trials"].items() if trial["state"] == "RUNNING"]
    assert claimed(folder) == running
    return Left(states["COMPLETE"], states["WAITING"], len(running), looks[0] if looks else None)


@pytest.mark.parametrize("stage", STAGES)
def test_after_a_kill_at_a_stage_the_same_command_goes_on_to_the_same_trials(
    helper: Helper, calm: Calm, tmp_path: Path, stage: str
) -> None:
    fault, expected = STAGES[stage]
    folder = copied(calm.template, tmp_path / "run")
    killed = helper.run(folder, fault=fault)
    assert killed.code == -signal.SIGKILL, killed
    study = look(folder)
    check_interrupted(study, calm.study)
    assert left(folder, study) == expected
    check_finished(folder, helper.run(folder), calm)
    assert owners(folder) == []


# After one rename is a moment before the next.
@pytest.mark.parametrize("moment", ["before", pytest.param("after", marks=pytest.mark.slow)])
def test_after_a_kill_at_the_rename_of_any_artifact_the_same_command_goes_on(
    helper: Helper, calm: Calm, tmp_path: Path, moment: str
) -> None:
    points = 0
    while True:
        points += 1
        folder = copied(calm.template, tmp_path / str(points))
        fault = Fault("kill", RENAME, points, "before" if moment == "before" else "after")
        killed = helper.run(folder, fault=fault)
        if killed.code == 0:
            break
        assert killed.code == -signal.SIGKILL, killed
        study = look(folder)
        check_interrupted(study, calm.study)
        found = left(folder, study)
        # Its trial is claimed still; the winner's model comes when all have finished.
        assert found.claimed > 0 or found == Left(7)
        assert found.look is None
        check_finished(folder, helper.run(folder), calm)
    check_finished(folder, killed, calm)
    # Of the first round all, of the others those that are among the best two by then.
    assert points > 2 * 4
