"""The model that a search hands over: the mean of a trial's networks, and where it is kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from hpo.persistence import Network
from hpo.preparation import Prepared
from hpo.study_store import LONGEST_WAIT_SECONDS, WAIT_SECONDS, StudyStore
from storage import catalogue, repeats
from storage.artifacts import Artifact
from storage.records import SelectionRecord, TrialRecord
from storage.repeats import Choice


def stored(
    store: StudyStore, finished: int, repeats: int, *, refit: bool = False
) -> SelectionRecord | None:
    """The winner that a search has entered after as many finished trials."""
    return store.rounds.read(
        lambda connection: catalogue.load_selection(
            connection, store.uid, finished, repeats, refit=refit
        )
    )


def agreed(
    store: StudyStore,
    finished: int,
    repeats: int,
    choose: Callable[[], SelectionRecord | None],
    help_others: Callable[[], bool],
    deadline: float,
    *,
    refit: bool = False,
) -> SelectionRecord | None:
    """The winner that one search of the study chooses; the others help it, and wait for it.

    ``help_others`` trains a share of what that takes, and returns whether there was any.

    If that one dies, another takes its place. Who still waits at ``deadline``, by ``time.time``,
    has the winner that is not trained on all rows, if there is one yet.
    """
    asked = -math.inf
    while (found := stored(store, finished, repeats, refit=refit)) is None:
        if time.time() >= deadline:
            return stored(store, finished, repeats)
        if time.monotonic() - asked < LONGEST_WAIT_SECONDS:
            if not help_others():
                time.sleep(WAIT_SECONDS)
            continue
        asked = time.monotonic()
        if store.claim_selection():
            # Who had the claim before may have entered the winner meanwhile.
            found = stored(store, finished, repeats, refit=refit) or choose()
            store.drop_selection()
            return found
    return found


def enter(store: StudyStore, network: Network, new: SelectionRecord) -> SelectionRecord | None:
    """Store the model and enter the winner, whose ``digest`` is filled in; what stands then."""
    (digest,) = store.artifacts.save_all([Artifact(*network.to_bytes())])
    now = datetime.now(UTC).isoformat(timespec="seconds")
    record = new._replace(digest=digest)

    def save(connection: Connection) -> list[str]:
        catalogue.save_selection(connection, store.uid, record, now)
        return repeats.forget(connection, Choice(store.uid, new.trials, new.repeats))

    for unused in store.write(save):
        store.artifacts.delete(unused)
    # Another search that finished at the same moment may have been the first.
    return stored(store, new.trials, new.repeats, refit=new.refit)


def mean_network(
    store: StudyStore,
    prepared: Prepared,
    trial: TrialRecord,
    params: Sequence[NDArray[np.float32]],
    **about: Any,
) -> Network:
    """The mean of networks with a trial's hyperparameters; ``params``: (n_params,) each."""
    recipe = prepared.problem.recipe.of(trial.params)
    told = {"experiment": store.uid, "number": trial.number, "validation": trial.value, **about}
    return prepared.network(np.stack(params), told, recipe.architecture)


def best_epochs(prepared: Prepared, trial: TrialRecord) -> int:
    """For how many epochs to train again: as many as it took the trial to its best one."""
    return int(trial.attributes.get("best_epoch") or prepared.problem.settings.epochs)
