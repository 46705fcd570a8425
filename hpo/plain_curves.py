"""The curves of a trial in plain values, as JSON and pages take them."""

from __future__ import annotations

import math

from sqlalchemy import Connection

from storage import catalogue


def plain_curves(connection: Connection, uid: str, number: int) -> dict[str, list[float | None]]:
    """Name -> a value for each epoch, None where it was not finite; empty without curves."""
    return {
        name: [float(each) if math.isfinite(each) else None for each in values]
        for name, values in catalogue.load_curves(connection, uid, number).items()
    }
