"""Whether a learner is of the kind that an ensemble needs: one of classes, or one of values."""

from __future__ import annotations

from typing import Any

from sklearn.utils import get_tags


def check_learner(name: str, given: Any, *, classifier: bool) -> None:
    """Raise ``ValueError`` for what is no learner, or one of another kind.

    One that does not say what it is may be of any: nothing has to be inherited from.
    """
    wanted = "classifier" if classifier else "regressor"
    if isinstance(given, type) or not hasattr(given, "get_params"):
        raise ValueError(f"{name} must be a {wanted}, not {given!r}")
    if _kind(given) not in {wanted, None} or not hasattr(given, "predict"):
        raise ValueError(f"{name} must be a {wanted}, not {type(given).__name__}")


def _kind(learner: Any) -> str | None:
    try:
        kind: str | None = get_tags(learner).estimator_type
    except AttributeError:  # of one that inherits nothing
        return None
    return kind
