"""Which of scikit-learn's scorers suits a target, and what to use instead of one that does not."""

from __future__ import annotations

import math
import warnings
from functools import cache
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from hpo.data.scorers import ScorerMetric, scorer
from hpo.data.wording import did_you_mean, listed, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpo.data.schema import Task

_LIST = "see docs/search.md or sklearn.metrics.get_scorer_names()"
_POSITIVE = "1"  # the label that scikit-learn looks for unless told otherwise
_MOST_TRIED = 3  # what a scorer can make of three classes, it can make of more


def find_scorer(
    name: str, task: Task, classes: Sequence[str], positive: str | None
) -> ScorerMetric:
    """Return the scorer as a metric of this target.

    Parameters
    ----------
    name : as `sklearn.metrics.get_scorer` knows it
    task : what it must score
    classes : the labels in their order; none in regression
    positive : the label that it is to look for; None for the one that scikit-learn does

    Raises
    ------
    ValueError
        There is no such scorer, or it cannot score this; the message is one line.
    """
    _check_name(name, task)
    if task == "regression":
        if positive is not None:
            refuse_positive(name)
        return ScorerMetric(name, task)
    _check_number(name, len(classes))
    return ScorerMetric(name, task, _index_of_positive(name, classes, positive))


def refuse_positive(name: str) -> NoReturn:
    """Raise ValueError for an option that would do nothing."""
    raise ValueError(f"--positive says nothing to '{name}', which looks for no class: leave it out")


def _check_name(name: str, task: Task) -> None:
    kinds = _kinds()
    fitting = [each for each, kind in kinds.items() if kind == task]
    if name not in kinds:
        raise ValueError(f"'{name}' is no metric; {_LIST}{did_you_mean(name, fitting)}")
    if kinds[name] == "clustering":
        raise ValueError(
            f"'{name}' is no metric for {task}: it compares clusterings, whose labels mean "
            f"nothing; choose another, {_LIST}"
        )
    if kinds[name] != task:
        raise ValueError(
            f"'{name}' is no metric for {task} but for {kinds[name]}: choose another, such as "
            f"{'accuracy' if task == 'classification' else 'r2'}, or the task with --task; {_LIST}"
        )


def _check_number(name: str, n_classes: int) -> None:
    """Refuse a scorer that wants more classes, or fewer."""
    tried = min(n_classes, _MOST_TRIED)
    why = _unfit(name, tried)
    if not why:
        return
    if not _unfit(name, 5 - tried):
        needs = "two classes" if tried > 2 else "more than two classes"
        raise ValueError(
            f"'{name}' needs {needs}, and there are {n_classes}{_instead(name, tried)}"
        )
    raise ValueError(f"'{name}' does not suit one class for each row ({why}); {_LIST}")


def _instead(name: str, tried: int) -> str:
    """Return what to use instead, to append to a message."""
    alike = [
        each
        for each, kind in _kinds().items()
        if kind == "classification" and each.startswith(f"{name}_") and not _unfit(each, tried)
    ]
    # What counts the first few classes is the accuracy if there is one.
    names = alike or (["accuracy"] if name.endswith("_accuracy") else [])
    return f": use {' or '.join(names)}" if names else f"; {_LIST}"


def _index_of_positive(name: str, classes: Sequence[str], positive: str | None) -> int:
    """Return the index of the class that the scorer looks for; 1 where it looks for none."""
    looks = len(classes) == 2 and _looks_for_one(name)
    if positive is not None:
        if not looks:
            refuse_positive(name)
        if positive not in classes:
            raise ValueError(
                f"--positive {shown(positive)} is no class: choose {listed(classes[:1])} or "
                f"{listed(classes[1:])}{did_you_mean(positive, classes)}"
            )
        return classes.index(positive)
    if not looks or not _wants_label_1(name):
        return 1
    if _POSITIVE not in classes:
        raise ValueError(
            f"'{name}' looks for one of two classes: say which with --positive, "
            f"{listed(classes[:1])} or {listed(classes[1:])}{_or(name)}"
        )
    return classes.index(_POSITIVE)


def _or(name: str) -> str:
    macro = f"{name}_macro"
    return f", or use {macro}" if macro in _kinds() else ""


@cache
def _kinds() -> dict[str, str]:
    """Return what each scorer is for: a task, or clustering."""
    from sklearn.metrics import get_scorer_names  # noqa: PLC0415  # slow to import

    return {name: _kind(name) for name in get_scorer_names()}


def _kind(name: str) -> str:
    # Only the module of its function tells what a scorer is for.
    module = scorer(name)._score_func.__module__  # noqa: SLF001
    if ".cluster." in module:
        return "clustering"
    return "regression" if module.endswith("_regression") else "classification"


@cache
def _unfit(name: str, n_classes: int) -> str:
    """What it is, if a scorer cannot score so many classes; empty if it can."""
    target = np.repeat(np.arange(n_classes), 3)
    return ScorerMetric(name, "classification").shortcoming(target, n_classes)


@cache
def _looks_for_one(name: str) -> bool:
    """Whether a score of two classes depends on which of them is the positive one."""
    target = np.array([0, 0, 0, 0, 1, 1])
    of_first = np.array([0.9, 0.8, 0.6, 0.3, 0.7, 0.1])
    prediction = np.stack([of_first, 1 - of_first], axis=-1)[None]
    first, second = (
        ScorerMetric(name, "classification", each)(prediction, target)[0] for each in (0, 1)
    )
    return not math.isclose(first, second, rel_tol=1e-9)


@cache
def _wants_label_1(name: str) -> bool:
    """Whether scikit-learn looks for the class 1, and does not take the last one."""
    from sklearn.dummy import DummyClassifier  # noqa: PLC0415  # slow to import

    X, labels = np.zeros((4, 1)), np.array(["no", "no", "yes", "yes"])
    texts = DummyClassifier(strategy="uniform", random_state=0).fit(X, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            scorer(name)(texts, X, labels)
        except ValueError:
            return True
    return False
