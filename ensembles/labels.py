"""Classes by their labels: where each stands, and models that know them by these."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ensembles.losses import Values


def places(labels: ArrayLike) -> dict[Any, int]:
    """Each label with its place.

    Labels are compared as Python compares them: NumPy would make numbers of one array and words of
    another one alike.
    """
    return {label: place for place, label in enumerate(np.asarray(labels).tolist())}


def known_classes(models: Iterable[Any]) -> list[Any]:
    """What the models have as ``classes_``, each once; nothing of models without."""
    found = [np.asarray(each.classes_).tolist() for each in models if hasattr(each, "classes_")]
    return list(dict.fromkeys(label for labels in found for label in labels))


def check_labels(classes: ArrayLike, n_outputs: int, models: Sequence[Any]) -> None:
    """Raise ``ValueError`` for labels that are not those of the columns and of all models."""
    own = places(classes) if np.ndim(classes) == 1 else {}
    if np.shape(classes) != (n_outputs,) or len(own) != n_outputs:
        raise ValueError(
            f"classes must be {n_outputs} different labels, one for each column of predictions, "
            f"not {classes!r}"
        )
    for each in known_classes(models):
        if each not in own:
            raise ValueError(
                f"a model has the class {each!r}, which is none of classes {list(own)}: name the "
                "labels that it learnt, or give no classes if it learnt their indices"
            )


def known_by_index(name: str, models: Sequence[Any], labels: NDArray[Any]) -> bool:
    """Whether models have indices of ``labels`` as their ``classes_``, and not labels.

    Raises
    ------
    ValueError
        If they have neither, or what may be both.
    """
    place, known = places(labels), known_classes(models)
    indices = all(each in range(len(place)) for each in known)
    if not all(each in place for each in known):
        if indices:
            return True
        raise ValueError(
            f"{name} has models of the classes {known}, but y has {list(place)}: give Stored "
            "classes=, and rows of all of them"
        )
    if indices and any(place[each] != each for each in known):
        raise ValueError(
            f"{name} has models of the classes {known}, which may be labels or indices of "
            f"{list(place)}: give Stored classes= if they are labels, else fit to y as indices"
        )
    return indices


def proba_of_labels(model: Any, X: Any, labels: ArrayLike) -> Values:
    """Probabilities (rows, labels) of a model whose classes are some of ``labels``.

    One without ``predict_proba`` is as sure as can be of what it predicts.

    Raises
    ------
    ValueError
        If it predicts another one.
    """
    place = places(labels)
    if hasattr(model, "predict_proba"):
        proba = np.asarray(model.predict_proba(X), np.float64)
        aligned = np.zeros((len(proba), len(place)))
        aligned[:, [place[each] for each in known_classes([model])]] = proba
        return aligned
    chosen = np.asarray(model.predict(X)).tolist()
    unknown = [each for each in chosen if each not in place]
    if unknown:
        raise ValueError(
            f"{type(model).__name__} predicts {unknown[0]!r}, which is none of the classes "
            f"{list(place)}: leave it out, or name all of its classes"
        )
    voted: Values = np.eye(len(place))[[place[each] for each in chosen]]
    return voted
