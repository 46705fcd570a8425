"""From parameters to outcomes: slots are trained as stacks, stacks are spread over processes.

A worker process trains and returns; it reads no file and writes none.
"""

from __future__ import annotations

import math
import os
import signal
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from multiprocessing import resource_tracker
from typing import Any, NamedTuple

import joblib
import numpy as np
from numpy.typing import NDArray

from hpo.data.metrics import Metric
from hpo.data.target_encoding import TargetEncoding
from hpo.nn.architecture import Architecture, Floats
from hpo.nn.measuring import Targets
from hpo.nn.members import Members, Rows, TrainingSettings
from hpo.nn.network import PREDICTION_ROWS, predict
from hpo.nn.training import Curves, Trained, train
from hpo.search import streams

STACK_BYTES = 1 << 28
"""Bounds the memory of one stack."""

MOST_MEMBERS = 64
"""More members than this do not make a stack quicker."""


class Slot(NamedTuple):
    """A trial to be trained: its number and its parameters."""

    number: int
    params: Mapping[str, Any]


@dataclass(frozen=True)
class Problem:
    """All that a worker needs to train a slot, the same for every slot of a study.

    ``training`` and ``validation`` hold the encoded target; ``training_target`` and
    ``validation_target`` (rows,) hold class indices or values in the user's units, which metrics
    are measured in.
    """

    architecture: Architecture
    settings: TrainingSettings
    metric: Metric
    target: TargetEncoding
    training: Rows
    validation: Rows
    training_target: NDArray[Any]
    validation_target: NDArray[Any]
    seed: int

    @property
    def member_bytes(self) -> int:
        """About what one member of a stack takes: state, activations and predictions, float32."""
        state = 5 * self.architecture.n_params
        rows = 2 * self.settings.batch_size + PREDICTION_ROWS
        outputs = 2 * len(self.validation) * self.architecture.n_outputs
        return 4 * (state + rows * sum(self.architecture.sizes[1:]) + outputs)

    def in_units(self, prediction: Floats) -> Floats:
        """Probabilities as they are, values in the user's units."""
        if self.target.task == "classification":
            return prediction
        return self.target.inverse(prediction)

    def row_loss(self, prediction: Floats, targets: Targets) -> Floats:
        """The metric's loss of each row; the one target as encoded."""
        (target,) = targets
        if self.target.task == "classification":
            return self.metric.loss_of_rows(prediction, target)
        units = self.target.inverse(target)[:, 0]
        return self.metric.loss_of_rows(self.target.inverse(prediction), units)


@dataclass(frozen=True)
class Outcome:
    """What became of a slot.

    ``value`` is the metric on the validation rows, None if training failed, for which ``reason``
    stands then. ``curves``: name -> (epochs,). ``prediction`` (rows, outputs) float32 for the
    validation rows, as the network gives it: probabilities, or standardised values, which float32
    holds whatever the user's units are. ``params`` (n_params,) float32. Epochs count from 1.
    """

    number: int
    value: float | None
    reason: str | None
    seconds: float
    train_value: float | None = None
    epochs: int = 0
    best_epoch: int = 0
    curves: Mapping[str, NDArray[np.float64]] | None = None
    prediction: NDArray[np.float32] | None = None
    params: NDArray[np.float32] | None = None

    @property
    def intermediate(self) -> dict[int, float]:
        """The metric on the validation rows after epochs 1, 2, 4, 8 … and the last."""
        if self.curves is None:
            return {}
        scores = self.curves["val_score"]
        steps = {2**power for power in range(len(scores).bit_length())} | {len(scores)}
        chosen = {step: float(scores[step - 1]) for step in sorted(steps) if step <= len(scores)}
        return {step: score for step, score in chosen.items() if math.isfinite(score)}


def row_order(seed: int) -> tuple[int, ...]:
    """The random state of the order of rows, the same for every trial of a study."""
    return seed, streams.ROW_ORDER


class OutOfTimeError(Exception):
    """Training was broken off at its deadline."""


def train_slots(
    problem: Problem, slots: Sequence[Slot], deadline: float = math.inf
) -> list[Outcome]:
    """Train the slots as one stack and score each member.

    Raises ``OutOfTimeError`` after the epoch in which ``deadline``, by ``time.time``, passes.
    """
    start = time.perf_counter()
    members = Members(
        random_state=tuple((problem.seed, streams.MEMBER, slot.number) for slot in slots),
        learning_rate=[slot.params["learning_rate"] for slot in slots],
        weight_decay=[slot.params["weight_decay"] for slot in slots],
    )
    training, validation = _plain(problem.training), _plain(problem.validation)

    def check_time(_epoch: int, _curves: Curves) -> NDArray[np.bool_]:
        if time.time() >= deadline:
            raise OutOfTimeError
        return np.zeros(len(slots), dtype=np.bool_)

    trained = train(
        problem.architecture,
        problem.settings,
        members,
        training,
        validation,
        problem.row_loss,
        hopeless=check_time if deadline < math.inf else None,
    )
    seconds = (time.perf_counter() - start) / len(slots)
    return [
        _outcome(problem, slot.number, trained, member, seconds)
        for member, slot in enumerate(slots)
    ]


def _plain(rows: Rows) -> Rows:
    """The same memory as plain arrays; workers get large arrays as memory-mapped ones."""
    return Rows(np.asarray(rows.X), tuple(map(np.asarray, rows.targets)))


def _outcome(
    problem: Problem, number: int, trained: Trained, member: int, seconds: float
) -> Outcome:
    epochs = int(trained.epochs[member])
    curves = _curves(problem, trained, member, epochs)
    failed = Outcome(number, None, None, seconds, None, epochs, 0, curves)
    if trained.diverged[member]:
        return _failed(failed, f"diverged in epoch {epochs}: the loss was not finite")
    params = trained.params[member]
    prediction = _predict(problem, params, problem.validation.X)
    value = _score(problem, prediction, problem.validation_target)
    fitted = _predict(problem, params, problem.training.X)
    train_value = _score(problem, fitted, problem.training_target)
    if not (math.isfinite(value) and math.isfinite(train_value)):
        return _failed(failed, f"{problem.metric.name} was not finite after epoch {epochs}")
    return Outcome(
        number=number,
        value=value,
        reason=None,
        seconds=seconds,
        train_value=train_value,
        epochs=epochs,
        best_epoch=int(trained.best_epoch[member]) + 1,
        curves=curves,
        prediction=prediction[0],
        params=params,
    )


def _failed(outcome: Outcome, reason: str) -> Outcome:
    fields = {"value": None, "reason": reason}
    return Outcome(**(vars(outcome) | fields))


def _predict(problem: Problem, params: Floats, X: Floats) -> Floats:
    """Predictions (1, rows, outputs) of one member, as the network gives them."""
    return predict(problem.architecture, params[None], np.asarray(X))


def _score(problem: Problem, prediction: Floats, target: NDArray[Any]) -> float:
    return float(problem.metric(problem.in_units(prediction), target)[0])


def _curves(
    problem: Problem, trained: Trained, member: int, epochs: int
) -> dict[str, NDArray[np.float64]]:
    raw = {name: curve[member, :epochs] for name, curve in trained.curves.items()}
    score = problem.metric.score
    return {
        "train_loss": raw["train_loss"],
        "train_score": score(raw["train_score_loss"], problem.training_target),
        "val_loss": raw["val_loss"],
        "val_score": score(raw["val_score_loss"], problem.validation_target),
    }


def stack_size(problem: Problem, n_slots: int, n_workers: int) -> int:
    """How many networks train as one stack, if so many are spread over so many processes."""
    largest = max(1, min(MOST_MEMBERS, STACK_BYTES // problem.member_bytes))
    # As many for every process, so that none waits long for another.
    each = math.ceil(n_slots / n_workers)
    return math.ceil(each / math.ceil(each / largest))


class Workers:
    """Trains slots in ``n_workers`` processes, or in this one if that is 1.

    What is not trained at ``deadline``, by ``time.time``, is left out.
    """

    def __init__(self, problem: Problem, n_workers: int, deadline: float = math.inf) -> None:
        self.problem = problem
        self.n_workers = n_workers
        self.deadline = deadline

    def is_over(self) -> bool:
        """Whether the deadline has passed."""
        return time.time() >= self.deadline

    def evaluate(self, slots: Sequence[Slot]) -> Iterator[list[Outcome]]:
        """Outcomes of one stack after the other, in the order in which they are ready.

        A worker that dies ends the whole call of joblib, so every stack that has not returned is
        trained again one slot at a time, until the culprit is known; it fails with the reason.
        """
        left = {slot.number: slot for slot in slots}
        try:
            for outcomes in self._spread(self._stacks(slots)):
                for outcome in outcomes:
                    del left[outcome.number]
                if outcomes:
                    yield outcomes
        except (BrokenProcessPool, MemoryError):
            for slot in list(left.values()):
                if outcomes := self._alone(slot):
                    yield outcomes

    def _stacks(self, slots: Sequence[Slot]) -> list[Sequence[Slot]]:
        size = stack_size(self.problem, len(slots), self.n_workers)
        return [slots[start : start + size] for start in range(0, len(slots), size)]

    def _spread(self, stacks: list[Sequence[Slot]]) -> Iterator[list[Outcome]]:
        if self.n_workers == 1:
            yield from (_in_time(self.problem, stack, self.deadline) for stack in stacks)
            return
        # Never one job, or joblib would train in this process.
        n_jobs = max(2, min(self.n_workers, len(stacks)))
        work = [joblib.delayed(_work)(self.problem, stack, self.deadline) for stack in stacks]
        with _results(n_jobs, work) as results:
            # Not "yield from", which would close the results before the warnings are off.
            for outcomes in results:  # noqa: UP028
                yield outcomes

    def _alone(self, slot: Slot) -> list[Outcome]:
        """Train one slot in a process of its own, so that its death harms nothing else."""
        try:
            work = joblib.delayed(_work)(self.problem, [slot], self.deadline)
            with _results(2, [work]) as results:
                outcomes = next(results)
        except BrokenProcessPool:
            reason = "the worker process was killed while it trained"
        except MemoryError:
            reason = "there was not enough memory to train it"
        else:
            return outcomes
        return [Outcome(slot.number, None, reason, 0.0)]


@contextmanager
def _results(n_jobs: int, work: Sequence[Any]) -> Iterator[Iterator[list[Outcome]]]:
    """What worker processes return, in the order in which they are ready."""
    parallel = joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    results = None
    # A terminal sends ^C to the workers too. They inherit that it does not reach them, or one that
    # is still importing would print a traceback.
    resource_tracker.ensure_running()  # which lets it through again when it is started
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        try:
            results = parallel(work)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        yield results
    finally:
        with warnings.catch_warnings():  # of what was not waited for: that was meant
            warnings.simplefilter("ignore")
            if results is not None:
                results.close()


def _work(problem: Problem, slots: Sequence[Slot], deadline: float) -> list[Outcome]:
    _follow_parent()
    return _in_time(problem, slots, deadline)


def _in_time(problem: Problem, slots: Sequence[Slot], deadline: float) -> list[Outcome]:
    """What became of the slots; nothing, if the deadline passes before all are trained."""
    if time.time() >= deadline:
        return []
    try:
        return train_slots(problem, slots, deadline)
    except OutOfTimeError:
        return []


@cache
def _follow_parent() -> None:
    """End this worker when its parent has died; it would train for nobody."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
