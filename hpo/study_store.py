"""A study as the search sees it: rounds, claims and results over storage and artifacts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from hpo.persistence import DamagedModelError, Network
from hpo.preparation import Prepared
from hpo.search.evaluation import Outcome, Slot
from hpo.search.loop import Ranges
from hpo.search.narrowing import FinishedTrial
from hpo.search.space import SearchSpace
from storage import catalogue, records, trials
from storage.artifacts import Artifact, ArtifactStore
from storage.errors import ArtifactError, StudyGoneError
from storage.trials import RoundStorage

KEEP_NETWORKS = 50
"""How many networks of a study are kept whole: the best by validation score."""

EXPERIMENT_ATTRIBUTE = "hpo:experiment"
"""The user attribute of a study that holds our experiment's uid."""

OURS = "train"
"""The attribute that every complete trial of ours has: the metric on the training rows."""


class StudyStore:
    """The `RoundStore` of one study; see there. One search at a time may use it.

    ``uid`` names the experiment in our tables, ``study_id`` the study in Optuna's.
    """

    def __init__(
        self,
        rounds: RoundStorage,
        study_id: int,
        uid: str,
        space: SearchSpace,
        prepared: Prepared,
    ) -> None:
        self.rounds = rounds
        self.study_id = study_id
        self.uid = uid
        self.space = space
        self.prepared = prepared
        self.artifacts = ArtifactStore(rounds.folder)

    def release(self) -> None:
        """Let what a dead search had claimed be claimed again."""
        with self._writing() as connection:
            trials.release_slots(connection, self.study_id)

    def trials(self) -> list[records.TrialRecord]:
        """Every trial, in the order of its number."""
        with self.rounds.reading() as connection:
            return trials.trials(connection, self.study_id)

    def ranked(self) -> list[records.TrialRecord]:
        """The complete trials, best first; of equal ones the one with the lower number."""
        return rank(self.trials())

    def size(self) -> int:
        """How many trials there are, in whatever state."""
        with self.rounds.reading() as connection:
            return trials.count(connection, self.study_id)

    def losses(self) -> list[FinishedTrial]:
        """The complete trials; the metric is maximised, so a loss is its negative."""
        return [
            FinishedTrial(trial.number, -value, trial.params)
            for trial, value in ((each, each.value) for each in self.ranked())
            if value is not None
        ]

    def create_round(self, index: int, ranges: Ranges, slots: Sequence[Slot]) -> None:
        """Enter a round's ranges and its slots in one transaction."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        rows = [records.Slot(slot.number, dict(slot.params)) for slot in slots]
        with self._writing() as connection:
            trials.create_slots(connection, self.study_id, rows, self.space.distributions)
            catalogue.save_round(connection, self.uid, records.RoundRecord(index, ranges), now)

    def claim(self, below: int) -> list[Slot]:
        """Take the waiting trials numbered under ``below``."""
        with self._writing() as connection:
            claimed = trials.claim_slots(connection, self.study_id, below)
        return [Slot(slot.number, slot.params) for slot in claimed]

    def finish(self, outcomes: Sequence[Outcome]) -> None:
        """Save the networks that are worth it, then enter all results in one transaction."""
        results = [_result(outcome) for outcome in outcomes]
        digests = {outcome.number: self._save(outcome) for outcome in self._worth_keeping(outcomes)}
        with self._writing() as connection:
            trials.finish_slots(connection, self.study_id, results)
            catalogue.save_arrays(connection, self.uid, results)
            catalogue.save_artifacts(connection, self.uid, digests)
            best = {number for number, _ in self._best(connection)}
            kept = catalogue.load_artifacts(connection, self.uid)
            dropped = {number: digest for number, digest in kept.items() if number not in best}
            catalogue.drop_artifacts(connection, self.uid, list(dropped))
            unused = catalogue.unreferenced(connection, list(dropped.values()))
        for digest in unused:
            self.artifacts.delete(digest)

    def prediction(self, number: int) -> NDArray[np.float32]:
        """What the network of a complete trial gives for the validation rows, (rows, outputs)."""
        with self.rounds.reading() as connection:
            return catalogue.load_predictions(connection, self.uid, [number])[number]

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A transaction on our study, and not on one that got the number of ours, deleted."""
        with self.rounds.transaction() as connection:
            if trials.study_attribute(connection, self.study_id, EXPERIMENT_ATTRIBUTE) != self.uid:
                raise StudyGoneError("the study was deleted while it was searched")
            yield connection

    def network(self, number: int) -> tuple[str, Network]:
        """The stored network of a trial and its digest.

        Raises
        ------
        ArtifactError
            If it is missing or damaged; names the trial and the file.
        """
        with self.rounds.reading() as connection:
            digest = catalogue.load_artifacts(connection, self.uid).get(number)
        if digest is None:
            raise ArtifactError(f"trial {number}: its network is not among those that are kept")
        try:
            return digest, Network.from_bytes(*self.artifacts.load(digest))
        except (ArtifactError, DamagedModelError) as error:
            raise ArtifactError(f"trial {number}: {error}") from error

    def _worth_keeping(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Those that are among the best so far; what falls out of them later is dropped then."""
        with self.rounds.reading() as connection:
            known = self._best(connection)
        bar = known[-1][1] if len(known) == KEEP_NETWORKS else float("-inf")
        return [each for each in outcomes if each.value is not None and each.value >= bar]

    def _best(self, connection: Connection) -> list[tuple[int, float]]:
        return trials.best(connection, self.study_id, KEEP_NETWORKS, having=OURS)

    def _save(self, outcome: Outcome) -> str:
        assert outcome.params is not None
        # The uid makes the file this study's own, which no other study can remove.
        trial = {"experiment": self.uid, "number": outcome.number, "validation": outcome.value}
        network = self.prepared.network(outcome.params, trial)
        return self.artifacts.save(Artifact(*network.to_bytes()))


def rank(records_of_trials: Sequence[records.TrialRecord]) -> list[records.TrialRecord]:
    """The complete trials of ours, best first; of equal ones the lower number first.

    What another program added to the study has no network and no predictions, so it cannot win.
    """
    ours = [
        each for each in records_of_trials if each.value is not None and OURS in each.attributes
    ]
    return sorted(ours, key=lambda each: (-(each.value or 0.0), each.number))


def _result(outcome: Outcome) -> records.Result:
    curves = outcome.curves or {}
    attributes = {
        OURS: outcome.train_value,
        "epochs": outcome.epochs,
        "best_epoch": outcome.best_epoch,
        "seconds": round(outcome.seconds, 4),
        "reason": outcome.reason,
    }
    return records.Result(
        number=outcome.number,
        value=outcome.value,
        intermediate=outcome.intermediate,
        attributes={name: value for name, value in attributes.items() if value is not None},
        curve_names=tuple(curves),
        curves=_float32(curves),
        prediction=outcome.prediction,
    )


def _float32(curves: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float32]:
    """The curves (names, epochs) as they are stored; a loss beyond float32 becomes infinite."""
    with np.errstate(over="ignore"):
        return np.array(list(curves.values()), dtype=np.float32)
