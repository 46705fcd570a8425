"""A fitted estimator to and from one ``.npz`` file that holds arrays and a JSON document.

Nothing is pickled and nothing is unpickled: a file from anywhere can be opened.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hpo._version import __version__
from hpo.data.arrays import read_npz
from hpo.data.errors import DataError
from hpo.data.wording import shown
from hpo.estimators.restoring import Arrays, restore
from hpo.estimators.targets import Classes, Labels, Numbers, TargetCoder
from hpo.nn.schedules import Schedule

if TYPE_CHECKING:
    from hpo.estimators.base import BaseMLP

FORMAT = "hpo.estimator.1"


class ModelFileError(ValueError):
    """A file that holds no estimator of ours, or a damaged one."""


def save(estimator: BaseMLP, path: Path) -> None:
    """Write a fitted estimator to ``path``; the same one gives the same bytes."""
    arrays: Arrays = {
        "params": estimator.params_,
        "centre": estimator.scaling_.centre,
        "factor": estimator.scaling_.factor,
    }
    arrays |= {f"history.{name}": values for name, values in estimator.history_.items()}
    document = {
        "format": FORMAT,
        "version": __version__,
        "class": type(estimator).__name__,
        "parameters": _parameters(estimator),
        "architecture": estimator.architecture_.to_json(),
        "clipped": estimator.scaling_.clipped,
        "coders": [_coder(coder, n, arrays) for n, coder in enumerate(estimator.coders_)],
        "n_iter": estimator.n_iter_,
        "best_epoch": estimator.best_epoch_,
        "diverged": estimator.diverged_,
        "feature_names": _names(estimator),
        "seed": estimator.progress_.seed,
        "calls": estimator.progress_.calls,
    }
    text = json.dumps(document, sort_keys=True).encode()
    arrays["document"] = np.frombuffer(text, dtype=np.uint8)
    _write(path, arrays)


def _write(path: Path, arrays: Arrays) -> None:
    """Write the file as a whole: under a name of its own first, so that none is ever half there."""
    target = path.resolve()  # a link stays a link
    unfinished = target.with_name(f".{target.name}.{secrets.token_hex(4)}.new")
    try:
        with unfinished.open("xb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(target)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def load(kind: type[BaseMLP], path: Path) -> BaseMLP:
    """Read an estimator of class ``kind`` that `save` wrote.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ModelFileError
        It holds no such estimator, or a damaged one; the message is one line.
    """
    path.stat()
    try:
        arrays = read_npz(path)
        document = json.loads(arrays.pop("document").tobytes())
        _check_kind(document, kind)
        return restore(kind, document, arrays)
    except DataError as error:
        raise ModelFileError(str(error)) from None
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from None
    except (
        ArithmeticError,  # numbers that are too large
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise ModelFileError(f"{path}: a damaged model, or none ({error!r})") from error


def _check_kind(document: Mapping[str, Any], kind: type[BaseMLP]) -> None:
    if document["format"] != FORMAT:
        raise ModelFileError(f"the format {shown(str(document['format']))} is not {FORMAT!r}")
    if document["class"] != kind.__name__:
        found = shown(str(document["class"]))[1:-1]
        raise ModelFileError(f"the file holds a {found}: use its load")


def _parameters(estimator: BaseMLP) -> dict[str, Any]:
    """Parameters as plain values; where training came from (``init_from``) is not kept."""
    params = dict(estimator.get_params(deep=False))
    params["init_from"] = None
    if not isinstance(params["random_state"], int | np.integer):
        params["random_state"] = None
    if isinstance(params["schedule"], Schedule):
        params["schedule"] = params["schedule"].to_json()
    if params["augment"] is not None:
        params["augment"] = params["augment"].to_json()
    if isinstance(params.get("class_weight"), Mapping):
        pairs = [[_plain(key), float(value)] for key, value in params["class_weight"].items()]
        params["class_weight"] = {"pairs": pairs}
    return {name: _plain(value) for name, value in params.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value


def _names(estimator: BaseMLP) -> list[str] | None:
    names = getattr(estimator, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]


def _coder(coder: TargetCoder, number: int, arrays: Arrays) -> dict[str, Any]:
    """The plain part of a coder; its arrays go to ``arrays``."""
    if isinstance(coder, Classes):
        classes = coder.classes
        texts = classes.dtype == object
        if texts and not all(isinstance(each, str) for each in classes):
            raise ValueError(f"classes of type object must be texts to be saved: {classes[:5]}")
        arrays[f"{number}.classes"] = classes.astype(str) if texts else classes
        return {"kind": "classes", "object": texts, "weight": coder.weight}
    if isinstance(coder, Labels):
        return {"kind": "labels", "n_labels": coder.n_labels, "weight": coder.weight}
    if isinstance(coder, Numbers):
        arrays[f"{number}.mean"], arrays[f"{number}.scale"] = coder.mean, coder.scale
        rest = {"flat": coder.flat, "loss": coder.loss, "weight": coder.weight}
        return {"kind": "numbers", **rest}
    raise TypeError(f"a coder of type {type(coder).__name__} cannot be saved")
