"""From parameters to outcomes: slots are trained as stacks, stacks are spread over processes.

A worker process trains and returns; it reads no file and writes none.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hpo.data.metrics import RowMetric
from hpo.nn.architecture import Architecture, Floats
from hpo.nn.members import Members, Rows
from hpo.nn.network import predict
from hpo.nn.training import Curves, Trained, train
from hpo.search import streams
from hpo.search.problem import Problem
from hpo.search.processes import spread
from hpo.search.pruning import Judge, steps, who_leaves
from hpo.search.recipe import Recipe
from hpo.search.stacks import stacks
from hpo.search.views import Part, View, divided, out_of_fold, view


class Slot(NamedTuple):
    """A trial to be trained: its number and its parameters."""

    number: int
    params: Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What became of a slot.

    ``value`` is the metric on the rows that score a trial, None if training failed, for which
    ``reason`` stands then, or if the trial was ``pruned``: dropped before its end. ``curves``: name
    -> (epochs,). ``prediction`` (rows, outputs) float32 for these rows, as the network gives it:
    probabilities, or standardised values, which float32 holds whatever the user's units are.
    ``params`` (n_params,) float32, of a network of this ``architecture``; (folds, n_params) where
    there is one for each fold. Epochs count from 1. ``costs`` are the objectives besides the score,
    if any.
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
    costs: tuple[float, ...] = ()
    pruned: bool = False

    @property
    def failed(self) -> bool:
        """Whether nothing came of it."""
        return self.value is None and not self.pruned

    @property
    def intermediate(self) -> dict[int, float]:
        """The metric on the rows that score it after epochs 1, 2, 4, 8 … and the last."""
        if self.curves is None:
            return {}
        scores = self.curves["val_score"]
        chosen = {step: float(scores[step - 1]) for step in steps(len(scores))}
        return {step: score for step, score in chosen.items() if math.isfinite(score)}


def row_order(seed: int) -> tuple[int, ...]:
    """The random state of the order of rows, the same for every trial of a study."""
    return seed, streams.ROW_ORDER


class OutOfTimeError(Exception):
    """Training was broken off at its deadline."""


def train_slots(
    problem: Problem,
    slots: Sequence[Slot],
    deadline: float = math.inf,
    judge: Judge | None = None,
) -> list[Outcome]:
    """Train the slots, which have one recipe, as one stack and score each.

    Those that ``judge`` finds behind leave it at a rung, and nothing changes for the others.

    Raises ``OutOfTimeError`` after the epoch in which ``deadline``, by ``time.time``, passes.
    """
    start = time.perf_counter()
    recipe = problem.recipe.of(slots[0].params)
    members = _members(problem, recipe, slots)
    training, validation = _rows(problem, len(slots))

    numbers = [slot.number for slot in slots]
    views = _views(problem)

    def hopeless(epoch: int, curves: Curves) -> NDArray[np.bool_]:
        if time.time() >= deadline:
            raise OutOfTimeError
        losses = curves["val_score_loss"][:, epoch].reshape(len(slots), len(views))
        scores = _val_score(problem, views, losses.T)
        leaving = who_leaves(judge, numbers, epoch + 1, recipe.settings.epochs, scores)
        return np.repeat(leaving, len(views))

    trained = train(
        *recipe,
        members,
        training,
        validation,
        problem.row_loss,
        whole_loss=problem.whole_loss,
        hopeless=hopeless if judge is not None or deadline < math.inf else None,
    )
    shares = _shares(trained, time.perf_counter() - start)
    seconds = shares.reshape(len(slots), len(views)).sum(axis=1).tolist()
    return [
        _outcome(problem, recipe.architecture, views, slot.number, trained, place, seconds[place])
        for place, slot in enumerate(slots)
    ]


def _shares(trained: Trained, seconds: float) -> NDArray[np.float64]:
    """What each network took of all ``seconds``: an epoch is paid by those that trained in it."""
    present = np.arange(len(trained.seconds)) < trained.epochs[:, None]
    each = np.nan_to_num(trained.seconds) / np.maximum(1, present.sum(axis=0))
    own = present @ each
    return np.asarray(own + (seconds - own.sum()) / len(own))


def _members(problem: Problem, recipe: Recipe, slots: Sequence[Slot]) -> Members:
    """The networks of the slots, slot by slot and in each fold by fold."""
    folds: list[tuple[int, ...]] = [()]
    if problem.folds is not None:
        folds = [(fold,) for fold in range(problem.n_networks)]
    networks = [(slot, fold) for slot in slots for fold in folds]
    states = [(problem.seed, streams.MEMBER, slot.number, *fold) for slot, fold in networks]
    return recipe.members([slot.params for slot, _ in networks], states)


def _rows(problem: Problem, n_slots: int) -> tuple[Rows, Rows]:
    """What the networks of so many slots are trained and measured on."""
    training = plain(problem.training)
    if problem.folds is None:
        return training, plain(problem.validation)
    return divided(training, problem.folds, [*range(problem.n_networks)] * n_slots)


def _views(problem: Problem) -> list[View]:
    """What each network of a slot sees."""
    training = Part(np.asarray(problem.training.X), problem.training_target)
    if problem.folds is None:
        return [View(training, problem.scored)]
    return [view(training, problem.folds, fold) for fold in range(problem.n_networks)]


def plain(rows: Rows) -> Rows:
    """Return the same memory as plain arrays; workers get large arrays as memory-mapped ones."""
    return Rows(np.asarray(rows.X), tuple(map(np.asarray, rows.targets)))


def _outcome(
    problem: Problem,
    architecture: Architecture,
    views: Sequence[View],
    number: int,
    trained: Trained,
    place: int,
    seconds: float,
) -> Outcome:
    """What became of the slot that stands at ``place`` of the stack."""
    own = slice(place * len(views), (place + 1) * len(views))
    epochs = int(trained.epochs[own].min())
    curves = _curves(problem, views, trained, own, epochs)
    failed = Outcome(number, None, None, seconds, None, epochs, 0, curves)
    if trained.dropped[own].any():
        return replace(failed, pruned=True)
    diverged = trained.diverged[own]
    if diverged.any():
        first = int((diverged & (trained.epochs[own] == epochs)).argmax())
        fold = "" if problem.folds is None else f" of fold {first + 1}"
        return _failed(failed, f"diverged in epoch {epochs}{fold}: the loss was not finite")
    params, scored = trained.params[own], problem.scored
    found = [_predict(architecture, *each) for each in zip(params, views, strict=True)]
    unseen = [hidden for _, hidden in found]
    prediction = unseen[0] if problem.folds is None else out_of_fold(unseen, problem.folds)
    value = _score(problem, prediction, scored.target)
    fitted = [
        _score(problem, seen, each.seen.target)
        for (seen, _), each in zip(found, views, strict=True)
    ]
    train_value = math.fsum(fitted) / len(fitted)
    if not (math.isfinite(value) and math.isfinite(train_value)):
        parts = [(seen, each.seen.target) for (seen, _), each in zip(found, views, strict=True)]
        return _failed(
            failed, _without_score(problem, epochs, [(prediction, scored.target), *parts])
        )
    best_epoch = int(trained.best_epoch[own].max()) + 1
    if not isinstance(problem.metric, RowMetric):
        # Known now, whether it was measured while the network trained or not.
        curves["val_score"][best_epoch - 1] = value
    return Outcome(
        number=number,
        value=value,
        reason=None,
        seconds=seconds,
        train_value=train_value,
        epochs=epochs,
        best_epoch=best_epoch,
        curves=curves,
        prediction=prediction,
        params=params[0] if problem.folds is None else params,
        architecture=architecture,
    )


def _without_score(
    problem: Problem, epochs: int, parts: Iterable[tuple[Floats, NDArray[Any]]]
) -> str:
    """Why a network has no finite score on one of these predictions and targets."""
    said = (
        problem.metric.complaint(problem.in_units(given[None]), target) for given, target in parts
    )
    reason = next(filter(None, said), "")
    return f"{problem.metric.name} was not finite after epoch {epochs}" + (reason and f": {reason}")


def _failed(outcome: Outcome, reason: str) -> Outcome:
    return replace(outcome, value=None, reason=reason)


def _predict(architecture: Architecture, params: Floats, view: View) -> tuple[Floats, Floats]:
    """What one network gives for the rows that it sees and for the others, (rows, outputs)."""
    seen, hidden = (predict(architecture, params[None], part.X)[0] for part in view)
    return seen, hidden


def _score(problem: Problem, prediction: Floats, target: NDArray[Any]) -> float:
    return float(problem.metric(problem.in_units(prediction[None]), target)[0])


def _curves(
    problem: Problem, views: Sequence[View], trained: Trained, own: slice, epochs: int
) -> dict[str, NDArray[np.float64]]:
    """The means over the networks of a slot; over those rows that score it, of each row once."""
    raw = {name: curve[own, :epochs] for name, curve in trained.curves.items()}
    metric = problem.metric
    with np.errstate(over="ignore", invalid="ignore"):
        curves = {"train_loss": raw["train_loss"].mean(axis=0)}
        if isinstance(metric, RowMetric):
            # Of another one there is none: while weights change, nothing predicts all rows.
            fitted = [
                metric.score(losses, each.seen.target)
                for losses, each in zip(raw["train_score_loss"], views, strict=True)
            ]
            curves["train_score"] = np.mean(fitted, axis=0)
        curves["val_loss"] = (_shares_of_rows(views)[:, None] * raw["val_loss"]).sum(axis=0)
        curves["val_score"] = _val_score(problem, views, raw["val_score_loss"])
    return curves


def _val_score(
    problem: Problem, views: Sequence[View], losses: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The score of slots, or of a slot in epochs, by the losses (networks, …) of their networks.

    They are added one after the other, so that a score is the same bit for bit wherever it stands.
    """
    metric, shares = problem.metric, _shares_of_rows(views)
    if not isinstance(metric, RowMetric):
        whole: NDArray[np.float64] = -losses[0]  # each network of a slot has that of the slot
        return whole
    with np.errstate(over="ignore", invalid="ignore"):
        mean = functools.reduce(
            np.add, (part * own for part, own in zip(shares, losses, strict=True))
        )
    return metric.score(mean, problem.scored.target)


def _shares_of_rows(views: Sequence[View]) -> NDArray[np.float64]:
    """Which part of all rows that score a slot each of its networks scores."""
    counts = np.array([len(each.hidden.target) for each in views])
    return np.asarray(counts / counts.sum())


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

    def evaluate(
        self, slots: Sequence[Slot], judge: Judge | None = None
    ) -> Iterator[list[Outcome]]:
        """Outcomes of one stack after the other, in the order in which they are ready.

        ``judge`` decides which trials are dropped, in the process that trains them. A slot whose
        training kills its process fails with the reason.
        """
        chunks = stacks(self.problem, slots, self.n_workers, self.problem.n_networks)
        common = (self.problem, self.deadline, judge)
        yield from spread(_in_time, common, chunks, self.n_workers, _lost)


def _lost(slot: Slot, reason: str) -> Outcome:
    return Outcome(slot.number, None, reason, 0.0)


def _in_time(
    problem: Problem, deadline: float, judge: Judge | None, slots: Sequence[Slot]
) -> list[Outcome]:
    """What became of the slots; nothing, if the deadline passes before all are trained."""
    if time.time() >= deadline:
        return []
    try:
        return train_slots(problem, slots, deadline, judge)
    except OutOfTimeError:
        return []
