"""Networks to and from plain bytes: arrays as ``.npz`` without pickle, the rest as JSON."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.data.arrays import read_npz
from hpo.data.encoding import Encoding
from hpo.data.errors import DataError
from hpo.data.table import Table
from hpo.data.target_encoding import TargetEncoding
from hpo.nn.activations import ACTIVATIONS
from hpo.nn.architecture import Architecture, Floats
from hpo.nn.losses import LOSSES
from hpo.nn.network import predict

FORMAT, SEVERAL = "hpo.network.2", "hpo.network.3"
"""One network, and the mean of several."""


class DamagedModelError(Exception):
    """A stored model that does not hold together."""


@dataclass(frozen=True)
class Network:
    """A trained network, or the mean of several, with all that it needs for new rows.

    ``params`` (members, n_params) float32. ``trial`` says where it comes from, in plain values.
    """

    architecture: Architecture
    encoding: Encoding
    target: TargetEncoding
    params: Floats
    trial: dict[str, Any]

    def predict(self, table: Table, rows: NDArray[np.int64] | None = None) -> Floats:
        """Probabilities (rows, classes), or values (rows, 1) in the user's units."""
        X = self.encoding.transform(table, rows)
        prediction = predict(self.architecture, self.params, X).mean(axis=0)
        return prediction if self.target.classes else self.target.inverse(prediction)

    def to_bytes(self) -> tuple[bytes, bytes]:
        """The ``.npz`` and the JSON document; the same network gives the same bytes."""
        arrays = io.BytesIO()
        params = np.asarray(self.params, dtype=np.float32)
        alone = len(params) == 1
        np.savez(arrays, params=params[0] if alone else params)
        document = {
            "format": FORMAT if alone else SEVERAL,
            "architecture": self.architecture.to_json(),
            "encoding": self.encoding.to_json(),
            "target": self.target.to_json(),
            "trial": self.trial,
        }
        return arrays.getvalue(), json.dumps(document, sort_keys=True).encode()

    @classmethod
    def from_bytes(cls, arrays: bytes, document: bytes) -> Network:
        """The network that ``to_bytes`` wrote; raises ``DamagedModelError`` for anything else."""
        try:
            record = json.loads(document)
            if record["format"] not in {FORMAT, SEVERAL}:
                raise DamagedModelError(f"a stored network has the format {record['format']!r}")
            network = cls(
                Architecture.from_json(record["architecture"]),
                Encoding.from_json(record["encoding"]),
                TargetEncoding.from_json(record["target"]),
                np.atleast_2d(read_npz(arrays)["params"]),
                dict(record["trial"]),
            )
            check_fit(
                network.architecture,
                network.params,
                (network.encoding.n_outputs, network.target.n_outputs),
                "its architecture",
            )
        except (
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            RecursionError,
            DataError,
        ) as error:
            raise DamagedModelError(f"a stored network cannot be read: {error}") from error
        return network


def check_fit(
    architecture: Architecture, params: NDArray[Any], ends: tuple[int, int], named: str
) -> None:
    """Raise ``ValueError`` for parts that do not fit, before anything is computed with them.

    ``params`` (members, n_params) float32; ``ends`` are the outputs of both encodings. A message
    calls the architecture as ``named``.
    """
    losses = {head.loss for head in architecture.heads}
    known = architecture.activation in ACTIVATIONS and losses <= set(LOSSES)
    if not known or (architecture.n_inputs, architecture.n_outputs) != ends:
        raise ValueError(f"{named} does not fit its encodings")
    if params.shape != (len(params), architecture.n_params) or params.dtype != np.float32:
        raise ValueError(f"{params.dtype} parameters of shape {params.shape} do not fit")
