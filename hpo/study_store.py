"""A study as the search sees it: rounds, claims and results over storage and artifacts."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from hpo.known_trials import EPOCHS, KnownTrials
from hpo.persistence import DamagedModelError, Network
from hpo.preparation import Prepared
from hpo.ranking import EXPERIMENT_ATTRIBUTE, OURS, rank
from hpo.search.evaluation import Outcome, Slot, train_slots
from hpo.search.narrowing import FinishedTrial, Point
from hpo.search.pruning import Course
from hpo.search.space import Ranges, SearchSpace
from hpo.settings import DEFAULT_KEEP
from storage import catalogue, history, leases, records, slots
from storage.artifacts import Artifact, Artifacts
from storage.errors import ArtifactError, StorageError, StudyGoneError
from storage.trials import RoundStorage

WAIT_SECONDS = 0.1
"""How often a search that has nothing to train looks whether there is something."""

LONGEST_WAIT_SECONDS = 1.0
"""How long it only looks; then it asks for trials, also for those of dead searches."""

T = TypeVar("T")


class StudyStore:
    """The `RoundStore` of one study; see there. Any number of searches may use a study at once.

    ``uid`` names the experiment in our tables, ``study_id`` the study in Optuna's; ``keep`` is how
    many networks are kept whole. What ``join`` encloses may claim trials.
    """

    def __init__(
        self,
        rounds: RoundStorage,
        study_id: int,
        uid: str,
        space: SearchSpace,
        prepared: Prepared,
        artifacts: Artifacts,
        keep: int = DEFAULT_KEEP,
    ) -> None:
        self.rounds = rounds
        self.study_id = study_id
        self.uid = uid
        self.space = space
        self.prepared = prepared
        self.artifacts = artifacts
        self.keep = keep
        self.owner = leases.this_process()
        self.known = KnownTrials(study_id)
        self._begun = False

    @contextmanager
    def join(self) -> Iterator[None]:
        """Be one of the study's searches; what is not finished at the end waits for another."""
        self.write(self._beat)
        heart = leases.Heart(lambda: self._once(self._beat))
        heart.start()
        try:
            yield
        finally:
            heart.stop()
            # Nothing is lost if this fails: whoever comes next finds the owner dead.
            with contextlib.suppress(StorageError):
                self._once(self._leave)

    def write(self, work: Callable[[Connection], T]) -> T:
        """What ``work`` returns for a transaction on our study, tried again as need be."""
        return self.rounds.write(lambda connection: self._on_our_study(connection, work))

    def trials(self) -> list[records.TrialRecord]:
        """Every trial, in the order of its number."""
        return self.rounds.read(lambda connection: history.trials(connection, self.study_id))

    def ranked(self) -> list[records.TrialRecord]:
        """The complete trials, best first; of equal ones the cheaper, then the lower number."""
        return rank(self.trials())

    def states(self) -> dict[str, int]:
        """Optuna's name of a state -> how many trials are in it."""
        return self.rounds.read(lambda connection: history.states(connection, self.study_id))

    def size(self) -> int:
        """How many trials there are, in whatever state."""
        return self.rounds.read(lambda connection: history.count(connection, self.study_id))

    def losses(self) -> list[FinishedTrial]:
        """The complete trials, a loss being the negative of the metric; and the pruned ones."""
        return self.rounds.read(self.known.losses)

    def courses(self) -> list[Course]:
        """How the finished trials of ours went, by their intermediate values."""
        return self.rounds.read(self.known.courses)

    def objectives(self) -> dict[int, tuple[float, ...]]:
        """Number -> every objective of a complete trial of ours as a loss, the score's first."""
        return {each.number: (-(each.value or 0.0), *each.costs) for each in self.ranked()}

    def points(self) -> list[Point]:
        """The parameters of every trial, in whatever state."""
        return [dict(trial.params) for trial in self.trials()]

    def ranges(self, index: int) -> Ranges | None:
        """What a round searches, as it was entered; None if there is no such round."""
        record = self.rounds.read(lambda each: catalogue.load_round(each, self.uid, index))
        return None if record is None else record.ranges

    def create_round(self, index: int, ranges: Ranges, new: Sequence[Slot]) -> None:
        """Enter a round's ranges and its slots in one transaction, unless another search did."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        rows = [records.Slot(slot.number, dict(slot.params)) for slot in new]

        def create(connection: Connection) -> None:
            if slots.create(connection, self.study_id, rows, self.space.distributions):
                catalogue.save_round(connection, self.uid, records.RoundRecord(index, ranges), now)

        self.write(create)

    def claim(self, below: int) -> list[Slot]:
        """Take a fair share of the waiting trials numbered under ``below``.

        On a server the first time that is at most half of them: another search may be about to
        join, which would have nothing to do until the next round.
        """
        on_server = self.rounds.place.path is None

        def claim(connection: Connection) -> list[records.Slot]:
            of_study = connection, self.study_id, self.uid, self.owner
            expected = 2 if on_server and not self._begun else 1
            return leases.claim(*of_study, below, self.known.since, expected)

        claimed = [Slot(slot.number, slot.params) for slot in self.write(claim)]
        self.known.claim(claimed)
        self._begun |= bool(claimed)
        return claimed

    def wait(self, below: int) -> bool:
        """Wait while others train all trials under ``below`` that are left; False if none is left.

        Returns now and then without a reason, so that the claims of the dead are noticed.
        """

        def unfinished(connection: Connection) -> set[str]:
            return history.unfinished(connection, self.study_id, below, self.known.since)

        deadline = time.monotonic() + LONGEST_WAIT_SECONDS
        while states := self.rounds.read(unfinished):
            # Also before what waits is asked for: it may be another's, set back by somebody.
            time.sleep(WAIT_SECONDS)
            if states != {"RUNNING"} or time.monotonic() >= deadline:
                return True
        return False

    def finish(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Save the networks that are worth it, then enter all results in one transaction.

        Returns those that were entered: a trial that was taken from us meanwhile is another's.
        """
        kept = self._save(self._worth_keeping(outcomes))
        results = {outcome.number: _result(outcome) for outcome in outcomes}
        entered, unused = self.write(lambda connection: self._finish(connection, results, kept))
        for digest in unused:
            self.artifacts.delete(digest)
        recorded = [outcome for outcome in outcomes if outcome.number in entered]
        self.known.enter(recorded)
        return recorded

    def claim_selection(self) -> bool:
        """Whether it is for this search to choose the winner, and not for another that lives."""

        def claim(connection: Connection) -> bool:
            since = self.known.since
            return leases.claim_selection(connection, self.study_id, self.uid, self.owner, since)

        return self.write(claim)

    def drop_selection(self) -> None:
        """Let another search choose the winner, if need be."""
        self.write(lambda connection: leases.drop_selection(connection, self.uid, self.owner))

    def predictions(self, numbers: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        """What complete trials give for the rows that score them, (rows, outputs) each."""
        return self.rounds.read(
            lambda connection: catalogue.load_predictions(connection, self.uid, numbers)
        )

    def network(self, number: int) -> tuple[str, Network]:
        """The network of a complete trial and its digest; trained again if it was not kept.

        Raises
        ------
        ArtifactError
            If it is missing or damaged, or trained again it is not what it was; names the trial.
        """
        digest = self._digest(number)
        if digest is None:
            return self._train_again(number)
        try:
            return digest, self.model(number, digest)
        except ArtifactError:
            # Another search that found better ones may have removed it meanwhile.
            if self._digest(number) is None:
                return self._train_again(number)
            raise

    def model(self, number: int, digest: str) -> Network:
        """A stored model of a trial; raises ``ArtifactError`` if it is missing or damaged."""
        try:
            return Network.from_bytes(*self.artifacts.load(digest))
        except (ArtifactError, DamagedModelError) as error:
            raise ArtifactError(f"trial {number}: {error}") from error

    def kept(self) -> list[records.Kept]:
        """The networks that are kept whole, the best first."""
        return self.rounds.read(lambda connection: catalogue.load_artifacts(connection, self.uid))

    def _digest(self, number: int) -> str | None:
        """That of the trial's network, if it is kept."""
        return next((each.digest for each in self.kept() if each.number == number), None)

    def _once(self, work: Callable[[Connection], T]) -> T:
        """A transaction on our study that is not tried again."""
        with self.rounds.transaction() as connection:
            return self._on_our_study(connection, work)

    def _on_our_study(self, connection: Connection, work: Callable[[Connection], T]) -> T:
        """Do ``work`` while nobody else changes our study."""
        # It might be one that got the number of ours, deleted.
        if slots.lock_study(connection, self.study_id, EXPERIMENT_ATTRIBUTE) != self.uid:
            raise StudyGoneError("the study was deleted while it was searched")
        return work(connection)

    def _beat(self, connection: Connection) -> None:
        leases.beat(connection, self.uid, self.owner)

    def _leave(self, connection: Connection) -> None:
        leases.leave(connection, self.study_id, self.uid, self.owner, self.known.since)

    def _finish(
        self,
        connection: Connection,
        results: Mapping[int, records.Result],
        digests: Mapping[int, str],
    ) -> tuple[set[int], list[str]]:
        """Enter the results that are ours to enter, and forget networks that fell out of the best.

        Returns the numbers that were entered, and digests that nothing refers to any more.
        """
        held = leases.held(connection, self.uid, self.owner)
        ids = {number: held[number] for number in results if number in held}
        taken = [results[number] for number in ids]
        slots.finish(connection, ids, taken)
        catalogue.save_arrays(connection, self.uid, taken)
        new = [
            records.Kept(number, digest, results[number].value)
            for number, digest in digests.items()
            if number in ids
        ]
        catalogue.save_artifacts(connection, self.uid, new)
        leases.drop(connection, self.uid, self.owner, results)
        if not new:
            return set(ids), []
        dropped = catalogue.load_artifacts(connection, self.uid)[self.keep :]
        catalogue.drop_artifacts(connection, self.uid, [each.number for each in dropped])
        unused = catalogue.unreferenced(connection, [each.digest for each in dropped])
        return set(ids), unused

    def _worth_keeping(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Those that are among the best so far; what falls out of them later is dropped then."""
        kept = self.kept()
        values = {each.number: each.value for each in kept if each.value is not None}
        values |= {each.number: each.value for each in outcomes if each.value is not None}
        ranked = sorted(values, key=lambda number: (-values[number], number))
        best = set(ranked[: self.keep])
        return [each for each in outcomes if each.number in best]

    def _save(self, outcomes: Sequence[Outcome]) -> dict[int, str]:
        """Number -> digest of the stored network."""
        artifacts = [Artifact(*self._network(outcome).to_bytes()) for outcome in outcomes]
        digests = self.artifacts.save_all(artifacts)
        return {each.number: digest for each, digest in zip(outcomes, digests, strict=True)}

    def _network(self, outcome: Outcome) -> Network:
        assert outcome.params is not None
        # The uid makes the file this study's own, which no other study can remove.
        trial = {"experiment": self.uid, "number": outcome.number, "validation": outcome.value}
        return self.prepared.network(outcome.params, trial, outcome.architecture)

    def _train_again(self, number: int) -> tuple[str, Network]:
        record = next((each for each in self.trials() if each.number == number), None)
        stored = self.predictions([number]).get(number)
        if record is None or record.value is None or stored is None:
            raise ArtifactError(f"trial {number} has no network")
        (outcome,) = train_slots(self.prepared.problem, [Slot(number, record.params)])
        if outcome.prediction is None or not np.array_equal(outcome.prediction, stored):
            raise ArtifactError(
                f"trial {number}: its network was not kept, and trained again it gives other "
                "predictions: another processor or another version of NumPy trained it"
            )
        network = self._network(outcome)
        return Artifact(*network.to_bytes()).digest, network


def _result(outcome: Outcome) -> records.Result:
    curves = outcome.curves or {}
    attributes = {
        OURS: outcome.train_value,
        EPOCHS: outcome.epochs,
        "best_epoch": outcome.best_epoch,
        "seconds": round(outcome.seconds, 4),
        "reason": outcome.reason,
    }
    intermediate = outcome.intermediate
    last = next(reversed(intermediate.values()), None)
    return records.Result(
        number=outcome.number,
        # Optuna gives a pruned trial the value that it had last.
        value=last if outcome.pruned else outcome.value,
        pruned=outcome.pruned,
        # Of a study with several objectives Optuna keeps none.
        intermediate={} if outcome.costs else intermediate,
        attributes={name: value for name, value in attributes.items() if value is not None},
        curve_names=tuple(curves),
        curves=_float32(curves),
        prediction=outcome.prediction,
        costs=outcome.costs,
    )


def _float32(curves: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float32]:
    """The curves (names, epochs) as they are stored; a loss beyond float32 becomes infinite."""
    with np.errstate(over="ignore"):
        return np.array(list(curves.values()), dtype=np.float32)
