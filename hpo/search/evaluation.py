"""From parameters to outcomes: slots are trained as stacks, stacks are spread over processes.

A worker process trains and returns; it reads no file and writes none.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from hpo.data.metrics import Metric
from hpo.data.target_encoding import TargetEncoding
from hpo.nn.architecture import Architecture, Floats
from hpo.nn.measuring import Targets
from hpo.nn.members import Rows, TrainingSettings
from hpo.nn.network import PREDICTION_ROWS, predict
from hpo.nn.training import Curves, Trained, train
from hpo.search import streams
from hpo.search.processes import spread
from hpo.search.recipe import Recipe

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
    def recipe(self) -> Recipe:
        """What a trial trains whose parameters say nothing else."""
        return Recipe(self.architecture, self.settings)

    def member_bytes(self, recipe: Recipe) -> int:
        """About what one member of a stack takes: state, activations and predictions, float32."""
        architecture, settings = recipe
        state = 5 * architecture.n_params
        rows = 2 * settings.batch_size + PREDICTION_ROWS
        outputs = 2 * len(self.validation) * architecture.n_outputs
        return 4 * (state + rows * sum(architecture.sizes[1:]) + outputs)

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
    holds whatever the user's units are. ``params`` (n_params,) float32, of a network of this
    ``architecture``. Epochs count from 1.
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
    architecture: Architecture | None = None

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
    """Train the slots, which have one recipe, as one stack and score each member.

    Raises ``OutOfTimeError`` after the epoch in which ``deadline``, by ``time.time``, passes.
    """
    start = time.perf_counter()
    params = [slot.params for slot in slots]
    recipe = problem.recipe.of(params[0])
    states = [(problem.seed, streams.MEMBER, slot.number) for slot in slots]
    members = recipe.members(params, states)
    training, validation = plain(problem.training), plain(problem.validation)

    def check_time(_epoch: int, _curves: Curves) -> NDArray[np.bool_]:
        if time.time() >= deadline:
            raise OutOfTimeError
        return np.zeros(len(slots), dtype=np.bool_)

    trained = train(
        *recipe,
        members,
        training,
        validation,
        problem.row_loss,
        hopeless=check_time if deadline < math.inf else None,
    )
    seconds = (time.perf_counter() - start) / len(slots)
    return [
        _outcome(problem, recipe.architecture, slot.number, trained, member, seconds)
        for member, slot in enumerate(slots)
    ]


def plain(rows: Rows) -> Rows:
    """Return the same memory as plain arrays; workers get large arrays as memory-mapped ones."""
    return Rows(np.asarray(rows.X), tuple(map(np.asarray, rows.targets)))


def _outcome(
    problem: Problem,
    architecture: Architecture,
    number: int,
    trained: Trained,
    member: int,
    seconds: float,
) -> Outcome:
    epochs = int(trained.epochs[member])
    curves = _curves(problem, trained, member, epochs)
    failed = Outcome(number, None, None, seconds, None, epochs, 0, curves)
    if trained.diverged[member]:
        return _failed(failed, f"diverged in epoch {epochs}: the loss was not finite")
    params = trained.params[member]
    prediction = _predict(architecture, params, problem.validation.X)
    value = _score(problem, prediction, problem.validation_target)
    fitted = _predict(architecture, params, problem.training.X)
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
        architecture=architecture,
    )


def _failed(outcome: Outcome, reason: str) -> Outcome:
    fields = {"value": None, "reason": reason}
    return Outcome(**(vars(outcome) | fields))


def _predict(architecture: Architecture, params: Floats, X: Floats) -> Floats:
    """Predictions (1, rows, outputs) of one member, as the network gives them."""
    return predict(architecture, params[None], np.asarray(X))


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


class HasParams(Protocol):
    """A network to be trained with these hyperparameters."""

    @property
    def params(self) -> Mapping[str, Any]:
        """Name to value."""


ToTrain = TypeVar("ToTrain", bound=HasParams)


def stacks(problem: Problem, wanted: Sequence[ToTrain], n_workers: int) -> list[list[ToTrain]]:
    """Networks as stacks of one recipe each, for so many processes.

    What takes longest comes first, so that no process waits long for another at the end.
    """
    groups: dict[Recipe, list[ToTrain]] = {}
    for each in wanted:
        groups.setdefault(problem.recipe.of(each.params), []).append(each)
    found: list[tuple[int, list[ToTrain]]] = []
    for recipe, group in groups.items():
        size = stack_size(problem, recipe, len(group), -(-n_workers // len(groups)))
        work = recipe.settings.epochs * recipe.architecture.n_params
        for start in range(0, len(group), size):
            stack = group[start : start + size]
            found.append((work * len(stack), stack))
    return [stack for _, stack in sorted(found, key=lambda each: -each[0])]


def stack_size(problem: Problem, recipe: Recipe, n_slots: int, n_workers: int) -> int:
    """How many networks train as one stack, if so many are spread over so many processes."""
    largest = max(1, min(MOST_MEMBERS, STACK_BYTES // problem.member_bytes(recipe)))
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

        A slot whose training kills its process fails with the reason.
        """
        chunks = stacks(self.problem, slots, self.n_workers)
        common = (self.problem, self.deadline)
        yield from spread(_in_time, common, chunks, self.n_workers, _lost)


def _lost(slot: Slot, reason: str) -> Outcome:
    return Outcome(slot.number, None, reason, 0.0)


def _in_time(problem: Problem, deadline: float, slots: Sequence[Slot]) -> list[Outcome]:
    """What became of the slots; nothing, if the deadline passes before all are trained."""
    if time.time() >= deadline:
        return []
    try:
        return train_slots(problem, slots, deadline)
    except OutOfTimeError:
        return []
