"""Optuna's pruners between our rungs, beside a plain loop that asks them itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from hpo.search.evaluation import Outcome, Slot
from hpo.search.loop import search
from hpo.search.narrowing import NarrowingSettings
from hpo.search.optuna_pruning import OPTUNA_PRUNERS, AskedPruner
from hpo.search.pruning import Judge, is_rung, steps
from hpo.search.space import SearchSpace
from hpo.settings import PRUNERS
from tests.search.test_loop import MemoryStore

SIZE, TOTAL, EPOCHS, SEED = 10, 40, 20, 5
SETTINGS = NarrowingSettings(seed=SEED, trials_per_round=SIZE, n_rounds=4)


def curve(number: int) -> np.ndarray:
    """The scores of a trial that are nobody's business before it is trained; every ninth fails."""
    rng = np.random.default_rng(number)
    return np.asarray(rng.random() * (1 - 0.8 ** np.arange(1, EPOCHS + 1)) + 0.1 * rng.random())


def fails(number: int) -> bool:
    return number % 9 == 4


def evaluate(slots: Sequence[Slot], judge: Judge | None) -> Iterator[list[Outcome]]:
    """One stack, whose members are asked for at every rung."""
    assert judge is not None
    left = [slot.number for slot in slots]
    ended: dict[int, int] = {}
    for epochs in filter(is_rung, range(1, EPOCHS)):
        scores = np.array([curve(number)[epochs - 1] for number in left])
        behind = judge.behind(left, epochs, scores)
        ended |= {number: epochs for number, gone in zip(left, behind, strict=True) if gone}
        left = [number for number in left if number not in ended]
    yield [_outcome(slot.number, ended.get(slot.number)) for slot in slots]


def _outcome(number: int, epochs: int | None) -> Outcome:
    curves = {"val_score": curve(number)[:epochs]}
    value = None if epochs or fails(number) else float(curve(number)[-1])
    return Outcome(number, value, None, 0.0, curves=curves, pruned=epochs is not None)


def run(name: str, store: MemoryStore, total: int = TOTAL) -> dict[int, int]:
    """Search; the epochs after which a trial was dropped."""
    pruner = AskedPruner(name, store, SEED, SIZE, EPOCHS)
    for _ in search(store, evaluate, SearchSpace(), SETTINGS, total, pruner=pruner):
        pass
    return {
        number: len(outcome.curves["val_score"])
        for number, outcome in sorted(store.study.outcomes.items())
        if outcome.pruned and outcome.curves is not None
    }


def by_hand(name: str) -> dict[int, int]:
    """The same in Optuna's own words."""
    study = optuna.create_study(
        study_name=str(SEED), direction="maximize", pruner=OPTUNA_PRUNERS[name](EPOCHS)
    )
    dropped: dict[int, int] = {}
    for first in range(0, TOTAL, SIZE):
        trials = [study.ask() for _ in range(SIZE)]
        assert trials[0].number == first
        for epochs in (1, 2, 4, 8, 16):
            left = [trial for trial in trials if trial.number not in dropped]
            for trial in left:
                trial.report(float(curve(trial.number)[epochs - 1]), epochs)
            dropped |= {trial.number: epochs for trial in left if trial.should_prune()}
        for trial in trials:
            if trial.number in dropped:
                study.tell(trial, state=TrialState.PRUNED)
            elif fails(trial.number):
                study.tell(trial, state=TrialState.FAIL)
            else:
                study.tell(trial, float(curve(trial.number)[-1]))
    return dict(sorted(dropped.items()))


def test_every_pruner_can_be_named() -> None:
    assert set(PRUNERS) == {"rungs", "none", *OPTUNA_PRUNERS}
    assert steps(EPOCHS)[-1] == EPOCHS


@pytest.mark.parametrize("name", OPTUNA_PRUNERS)
def test_it_is_optunas_own_pruner(name: str) -> None:
    dropped = run(name, MemoryStore())
    assert dropped == by_hand(name)
    assert 5 < len(dropped) < TOTAL


@pytest.mark.parametrize("name", OPTUNA_PRUNERS)
def test_a_search_in_parts_drops_the_same(name: str) -> None:
    """Each part begins with nothing in memory."""
    store = MemoryStore()
    for total in (SIZE, 2 * SIZE, TOTAL):
        found = run(name, store, total)
    assert found == run(name, MemoryStore())


def test_hyperband_has_several_brackets() -> None:
    """Or its brackets would be no test of the numbers."""
    assert run("hyperband", MemoryStore()) != run("asha", MemoryStore())
