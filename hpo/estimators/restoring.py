"""A fitted estimator of a document and arrays that may have been damaged or forged.

What does not hold together raises an error of one kind or another, before anything is computed
with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hpo.estimators.inputs import InputScaling
from hpo.estimators.starting import Progress
from hpo.estimators.targets import Classes, Labels, Numbers, TargetCoder
from hpo.nn.activations import ACTIVATIONS
from hpo.nn.architecture import Architecture
from hpo.nn.augmentation import Augmentation
from hpo.nn.losses import LOSSES
from hpo.nn.names import find
from hpo.nn.schedules import Schedule

if TYPE_CHECKING:
    from hpo.estimators.base import BaseMLP

Arrays = dict[str, NDArray[Any]]


def restore(kind: type[BaseMLP], document: Mapping[str, Any], arrays: Arrays) -> BaseMLP:
    """The estimator of class ``kind`` that the document describes."""
    estimator = kind(**_given(document["parameters"]))
    estimator.architecture_ = architecture = _architecture(document["architecture"])
    estimator.scaling_ = _scaling(arrays, architecture, _flag(document["clipped"]))
    estimator.coders_ = tuple(
        _read_coder(record, n, arrays) for n, record in enumerate(document["coders"])
    )
    if architecture.heads != tuple(coder.head for coder in estimator.coders_):
        raise ValueError("the heads do not fit the targets")
    estimator.diverged_ = _flag(document["diverged"])
    estimator.params_ = _params(arrays, architecture, diverged=estimator.diverged_)
    estimator.n_iter_ = _whole(document["n_iter"], 1)
    estimator.best_epoch_ = _whole(document["best_epoch"], 1)
    estimator.history_ = _history(arrays, estimator.n_iter_)
    estimator.n_features_in_ = architecture.n_inputs
    if document["feature_names"] is not None:
        estimator.feature_names_in_ = _names(document["feature_names"], architecture.n_inputs)
    # The first files did not say where training ended.
    seed, calls = _whole(document.get("seed", 0), 0), _whole(document.get("calls", 0), 0)
    estimator.progress_ = Progress(seed, calls)
    return estimator


def _given(record: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters."""
    params = dict(record)
    if isinstance(params["schedule"], Mapping):
        params["schedule"] = Schedule(**params["schedule"])
    if params["augment"] is not None:
        params["augment"] = Augmentation.from_json(params["augment"])
    if isinstance(params.get("class_weight"), Mapping):
        params["class_weight"] = dict(params["class_weight"]["pairs"])
    for name, value in params.items():
        params[name] = tuple(value) if isinstance(value, list) else value
    return params


def _architecture(record: Mapping[str, Any]) -> Architecture:
    architecture = Architecture.from_json(record)
    for size in architecture.sizes:
        _whole(size, 1)
    find(ACTIVATIONS, architecture.activation, "activation")
    for head in architecture.heads:
        _whole(head.n_outputs, 1)
        find(LOSSES, head.loss, "loss")
    return architecture


def _scaling(arrays: Arrays, architecture: Architecture, clipped: bool) -> InputScaling:
    shape = (architecture.n_inputs,)
    centre, factor = _doubles(arrays["centre"], shape), _doubles(arrays["factor"], shape)
    if (factor < 0).any():
        raise ValueError("a scale of the inputs is negative")
    return InputScaling(centre, factor, clipped)


def _params(arrays: Arrays, architecture: Architecture, *, diverged: bool) -> NDArray[np.float32]:
    params = arrays["params"]
    if params.shape != (architecture.n_params,) or params.dtype != np.float32:
        raise ValueError(f"{params.dtype} parameters of shape {params.shape} do not fit")
    if not diverged and not np.isfinite(params).all():
        raise ValueError("the parameters are not all finite")
    return params


def _history(arrays: Arrays, epochs: int) -> dict[str, NDArray[np.float64]]:
    prefix = "history."
    curves = {
        name.removeprefix(prefix): values
        for name, values in arrays.items()
        if name.startswith(prefix)
    }
    for name, values in {"train_loss": arrays[f"{prefix}train_loss"], **curves}.items():
        if values.shape != (epochs,) or values.dtype != np.float64:
            raise ValueError(f"the history's {name} is no curve of {epochs} epochs")
    return curves


def _names(record: Any, n_features: int) -> NDArray[Any]:
    texts = isinstance(record, list) and all(isinstance(name, str) for name in record)
    if not texts or len(record) != n_features:
        raise ValueError(f"the feature names are not {n_features} texts")
    names: NDArray[Any] = np.array(record, dtype=object)
    return names


def _read_coder(record: Mapping[str, Any], number: int, arrays: Arrays) -> TargetCoder:
    rest = {name: value for name, value in record.items() if name not in ("kind", "object")}
    if record["kind"] == "classes":
        classes = _classes(arrays[f"{number}.classes"])
        return Classes(classes.astype(object) if _flag(record["object"]) else classes, **rest)
    if record["kind"] == "labels":
        return Labels(**rest)
    if record["kind"] == "numbers":
        mean = arrays[f"{number}.mean"]
        shape = (mean.size,)
        scale = _doubles(arrays[f"{number}.scale"], shape)
        if (scale <= 0).any():
            raise ValueError("a scale of the target is not above 0")
        _flag(record["flat"])
        return Numbers(_doubles(mean, shape), scale, **rest)
    raise ValueError(f"unknown kind of target {record['kind']!r}")


def _classes(classes: NDArray[Any]) -> NDArray[Any]:
    if classes.ndim != 1 or classes.tolist() != np.unique(classes).tolist():
        raise ValueError("the classes are no list of different ones in their order")
    return classes


def _doubles(array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Finite numbers of that shape."""
    if array.dtype != np.float64 or array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"{array.dtype} numbers of shape {array.shape} are not finite {shape}")
    return array


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value


def _whole(value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{value!r} is no whole number from {least}")
    return value
