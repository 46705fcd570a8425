"""What a storage holds of a finished study, looked at without joining it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from hpo import models
from hpo.errors import NoFiniteTrialError, UsageError
from hpo.fitted import About
from hpo.inventory import where_of
from hpo.models import Ready
from hpo.persistence import Network
from hpo.ranking import OURS, rank
from hpo.reopening import Known, known
from storage import catalogue, optuna_trials
from storage.artifacts import Artifacts
from storage.errors import ArtifactError
from storage.records import ExperimentRecord, TrialRecord
from storage.urls import Place


class Held(NamedTuple):
    """What a storage holds of a study at one moment.

    ``trials`` are the complete ones, best first; ``kept`` maps a trial's number to the digest of
    its network, ``ready`` are the models with names. ``where`` is the folder or bucket of both.
    """

    found: Known
    record: ExperimentRecord
    trials: Sequence[TrialRecord]
    kept: dict[int, str]
    ready: list[Ready]
    where: str

    @property
    def columns(self) -> Sequence[str]:
        """The columns of the data but the target, in their order."""
        return tuple(self.record.fingerprint["columns"])

    def best(self, top: int | None) -> list[TrialRecord]:
        """The best ``top`` trials whose networks are kept; raises ``NoFiniteTrialError``."""
        if top is not None and top < 1:
            raise UsageError(f"top={top}: it counts trials, so 1 is the least; None takes all")
        if not self.trials:
            raise NoFiniteTrialError("the study has no network yet: no trial of it has completed")
        found = [each for each in self.trials if each.number in self.kept][:top]
        if not found:
            raise NoFiniteTrialError("the study keeps no network whole: search with --keep")
        return found

    def network(self, artifacts: Artifacts, trial: TrialRecord) -> Network:
        """The kept network of a trial; raises ``ArtifactError`` if it is missing or damaged."""
        name = f"trial {trial.number}"
        model = models.load(artifacts, Ready(name, self.kept[trial.number], None, None, name))
        if not isinstance(model, Network):
            raise ArtifactError(f"{name}: what is stored for it is no network")
        return model

    def about(self, trial: TrialRecord) -> About:
        """What is to be told of the network of a trial."""
        return About(
            self.found.name,
            f"trial {trial.number}",
            self.columns,
            trial.number,
            trial.value,
            trial.params,
        )


def read(connection: Connection, study: str, place: Place, artifacts: str | None) -> Held:
    """What is there of the study; its networks are in ``artifacts``, or where it says if None."""
    found = known(connection, study)
    uid = found.made.uid
    ready = models.ready(connection, uid)  # first, as it refuses what is too old
    record = catalogue.load_experiment(connection, uid)
    assert record is not None
    trials = rank(optuna_trials.trials(connection, found.study_id, (OURS,)))
    kept = {each.number: each.digest for each in catalogue.load_artifacts(connection, uid)}
    return Held(found, record, trials, kept, ready, artifacts or where_of(found.made, place))
