"""An ensemble with all its parts, ready for new rows, and to and from plain bytes."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensembles.combining import Combination, MeanOf, MetaModel, WeightedMean
from ensembles.losses import Values
from ensembles.meta_features import KINDS
from hpo.data.arrays import read_npz
from hpo.data.encoding import Encoding
from hpo.data.errors import DataError
from hpo.data.table import Table
from hpo.data.target_encoding import TargetEncoding
from hpo.ensembling.parts import Learners, Networks, Part
from hpo.nn.architecture import Architecture
from hpo.persistence import DamagedModelError, check_fit
from hpo.safe_learners import dumps, loads

FORMAT = "hpo.ensemble.1"
TOLERANCE = 1e-9

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class EnsembleModel:
    """An ensemble of networks and learners, with all that it needs for new rows.

    ``names`` and ``parts`` are its members', ``combination`` what is made of their predictions.
    ``trial`` says where it comes from, in plain values.
    """

    encoding: Encoding
    target: TargetEncoding
    names: tuple[str, ...]
    parts: tuple[Part, ...]
    combination: Combination
    trial: dict[str, Any]

    def predict(self, table: Table, rows: NDArray[np.int64] | None = None) -> Values:
        """Probabilities (rows, classes), or values (rows, 1) in the user's units."""
        X = self.encoding.transform(table, rows)
        combined = self.combination(self.outputs(X))
        if self.target.classes:
            return combined
        values: Values = self.target.inverse(combined)
        return values

    def outputs(self, X: NDArray[np.float32]) -> Values:
        """What each member predicts for encoded rows, (members, rows, outputs)."""
        n_classes = len(self.target.classes) or None
        return np.stack([each.outputs(X, n_classes) for each in self.parts])

    def to_bytes(self) -> tuple[bytes, bytes]:
        """The ``.npz`` and the JSON document.

        Raises ``UnsafeLearnerError`` for a learner that could not be read again.
        """
        arrays: Arrays = {}
        members = [
            {"name": name} | _written(part, str(place), arrays)
            for place, (name, part) in enumerate(zip(self.names, self.parts, strict=True))
        ]
        document = {
            "format": FORMAT,
            "encoding": self.encoding.to_json(),
            "target": self.target.to_json(),
            "members": members,
            "combination": _combination(self.combination, arrays),
            "trial": self.trial,
        }
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        return buffer.getvalue(), json.dumps(document, sort_keys=True).encode()

    @classmethod
    def from_bytes(cls, arrays: bytes, document: bytes) -> EnsembleModel:
        """The ensemble that ``to_bytes`` wrote; ``DamagedModelError`` for anything else."""
        try:
            record = json.loads(document)
            if record["format"] != FORMAT:
                raise DamagedModelError(f"a stored ensemble has the format {record['format']!r}")
            held = read_npz(arrays)
            target = TargetEncoding.from_json(record["target"])
            encoding = Encoding.from_json(record["encoding"])
            ends = encoding.n_outputs, target.n_outputs
            parts = tuple(
                _read(each, str(place), held, ends) for place, each in enumerate(record["members"])
            )
            names = tuple(str(each["name"]) for each in record["members"])
            combination = _read_combination(record["combination"], held, len(parts), target)
            return cls(encoding, target, names, parts, combination, dict(record["trial"]))
        except (
            ArithmeticError,
            AttributeError,
            DataError,
            LookupError,
            RecursionError,
            TypeError,
            ValueError,
        ) as error:
            raise DamagedModelError(f"a stored ensemble cannot be read: {error}") from error


def _written(part: Part, place: str, arrays: Arrays) -> dict[str, Any]:
    """The plain part of a member; its arrays go to ``arrays``."""
    if isinstance(part, Networks):
        arrays[f"{place}.params"] = np.asarray(part.params, np.float32)
        if part.weights is not None:
            arrays[f"{place}.weights"] = np.asarray(part.weights, np.float64)
        return {"kind": "networks", "architecture": part.architecture.to_json()}
    assert isinstance(part, Learners)
    for number, data in enumerate(part.written().stored or ()):
        arrays[f"{place}.{number}"] = np.frombuffer(data, np.uint8)
    return {"kind": "learners", "models": part.n_models}


def _read(
    record: Mapping[str, Any], place: str, arrays: Mapping[str, NDArray[Any]], ends: tuple[int, int]
) -> Part:
    if record["kind"] == "networks":
        architecture = Architecture.from_json(record["architecture"])
        params = arrays[f"{place}.params"]
        check_fit(architecture, params, ends, "the architecture of its networks")
        weights = arrays.get(f"{place}.weights")
        if weights is not None:
            _check_shares(weights, len(params))
        return Networks(architecture, params, weights)
    if record["kind"] != "learners":
        raise ValueError(f"it has members of the kind {record['kind']!r}")
    count = int(record["models"])
    learners = Learners.read([arrays[f"{place}.{each}"].tobytes() for each in range(count)])
    for each in learners.models:
        if getattr(each, "n_features_in_", ends[0]) != ends[0]:
            raise ValueError("a learner does not fit its encodings")
        # Most places of a class would be outside of the predictions.
        if ends[1] > 1 and not set(np.asarray(each.classes_).tolist()) <= set(range(ends[1])):
            raise ValueError("a learner knows classes that there are not")
    return learners


def _combination(combination: Combination, arrays: Arrays, place: str = "meta") -> dict[str, Any]:
    """The plain part; the bytes of a meta-model go to ``arrays``, at ``place``."""
    if isinstance(combination, MeanOf):
        each = enumerate(combination.combinations)
        return {
            "kind": "blend",
            "of": [_combination(one, arrays, f"{place}.{number}") for number, one in each],
        }
    if isinstance(combination, WeightedMean):
        return {"kind": "mean", "weights": combination.weights.tolist()}
    assert isinstance(combination, MetaModel)
    arrays[place] = np.frombuffer(dumps(combination.model), np.uint8)
    return {"kind": "model", "features": combination.kind}


def _read_combination(
    record: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    members: int,
    target: TargetEncoding,
    place: str = "meta",
) -> Combination:
    if record["kind"] == "blend":
        return MeanOf(
            tuple(
                _read_combination(each, arrays, members, target, f"{place}.{number}")
                for number, each in enumerate(record["of"])
            )
        )
    if record["kind"] == "mean":
        weights = np.array(record["weights"], np.float64)
        _check_shares(weights, members)
        return WeightedMean(weights)
    if record["kind"] != "model" or record["features"] not in KINDS:
        raise ValueError(f"it combines its members by {record['kind']!r}")
    return MetaModel(loads(arrays[place].tobytes()), record["features"], bool(target.classes))


def _check_shares(weights: NDArray[Any], members: int) -> None:
    if weights.shape != (members,) or not abs(weights.sum() - 1) <= TOLERANCE:
        raise ValueError(f"weights of shape {weights.shape} do not fit {members} members")
