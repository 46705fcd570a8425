"""What a study is fixed by, apart from its data: the same settings give the same trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the command line reads the defaults, and --help must not wait for NumPy
    from hpo.data.schema import Task

OPTIMIZERS = (
    "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam", "nadam", "adamw",
)  # fmt: skip
DEFAULT_HIDDEN = (64, 64)
DEFAULT_EPOCHS = 50
DEFAULT_SCHEDULE = "cosine"
DEFAULT_WARMUP = 0.05
SAMPLERS = ("narrowing", "random", "tpe", "gp", "cmaes", "qmc", "nsga2")
PRUNERS = ("none", "rungs", "median", "percentile", "asha", "hyperband")
OBJECTIVES = ("score", "size", "latency")
SCHEDULES = ("constant", "step", "exponential", "cosine", "one_cycle")
DEFAULT_PRUNER = "none"
DEFAULT_ROUNDS = 5
DEFAULT_TRIALS = 100
DEFAULT_REPEATS = 5
MOST_FOLDS = 100
"""As many as a stored split has room for."""
DEFAULT_KEEP = 50
"""How many networks of a study are kept whole: the best by validation score."""

_OLDER: Mapping[str, Any] = {
    "schedule": "constant",
    "warmup": 0.0,
    "sampler": "narrowing",
    "pruner": "none",
    "asynchronous": False,
    "points": [],
    "warm_start": None,
    "objectives": ["score"],
}
"""What a study was made with that does not say."""

_TUPLES = ("numeric", "hidden", "points", "objectives")


@dataclass(frozen=True)
class Settings:
    """Everything that decides what the trials of a study are.

    ``space`` as `SearchSpace.to_json` gives it; ``group`` or ``time`` is the column by which rows
    are split, ``positive`` the class that the metric looks for, and studies of older versions have
    none of these. ``batch_size`` None is `batch_size_for` the number of training rows; ``patience``
    None trains every network for all ``epochs``. ``cv`` is the number of folds that score a trial,
    None where the validation rows do. ``pruner`` drops trials before their end. ``objectives`` are
    some of `OBJECTIVES`, in their order, always the score.

    A round that is ``asynchronous`` does not wait for those before it. ``points`` are tried first,
    a parameter that one lacks is drawn; ``warm_start`` names a study that narrows the first round.
    """

    target: str | None
    header: bool
    numeric: tuple[str, ...]
    task: Task
    metric: str
    space: Mapping[str, Any]
    seed: int = 0
    rounds: int = DEFAULT_ROUNDS
    sampler: str = "narrowing"
    test_size: float = 0.2
    validation_size: float = 0.2
    group: str | None = None
    time: str | None = None
    positive: str | None = None
    hidden: tuple[int, ...] = DEFAULT_HIDDEN
    optimizer: str = "adam"
    epochs: int = DEFAULT_EPOCHS
    batch_size: int | None = None
    patience: int | None = None
    schedule: str = DEFAULT_SCHEDULE
    warmup: float = DEFAULT_WARMUP
    cv: int | None = None
    pruner: str = DEFAULT_PRUNER
    asynchronous: bool = False
    points: tuple[Mapping[str, Any], ...] = ()
    warm_start: str | None = None
    objectives: tuple[str, ...] = ("score",)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Settings:
        """The settings that `to_json` wrote, also in an older version."""
        known = {**_OLDER, **record}
        return cls(**(known | {name: tuple(known[name]) for name in _TUPLES}))

    def to_json(self) -> dict[str, Any]:
        """Plain values, equal for equal settings."""
        return asdict(self) | {name: list(getattr(self, name)) for name in _TUPLES}


def batch_size_for(n_rows: int) -> int:
    """A power of two from 32 to 256, growing with the table so that an epoch has enough steps."""
    return min(256, max(32, 1 << (n_rows // 100).bit_length()))


def describe_difference(stored: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """Each setting that differs, as ``epochs 50 (stored) / 20 (asked for)``; empty if none does."""
    stored = {**_OLDER, **stored}
    names = [name for name in (*stored, *(set(asked) - set(stored))) if name in asked]
    gone = [f"{name} is no setting any more" for name in stored if name not in asked]
    return "; ".join(
        gone
        + [
            f"{name} {_shown(name, stored.get(name))} (stored) / "
            f"{_shown(name, asked[name])} (asked for)"
            for name in names
            if stored.get(name) != asked[name]
        ]
    )


def _shown(name: str, value: Any) -> str:
    if name == "space" and isinstance(value, Mapping):
        return ", ".join(f"{key}={_range(each)}" for key, each in value.items())
    if name == "points" and value:
        return " and ".join(map(described, value))
    if isinstance(value, list):
        return ",".join(map(str, value)) or "none"
    if value is None:
        return "automatic" if name == "batch_size" else "none"
    return str(value)


def described(point: Mapping[str, Any]) -> str:
    """A point as ``--point`` takes it."""
    return ",".join(f"{name}={value}" for name, value in point.items())


def _range(distribution: Mapping[str, Any]) -> str:
    attributes = distribution["attributes"]
    if "choices" in attributes:
        return "|".join(map(str, attributes["choices"]))
    log = ":log" if attributes.get("log") else ""
    return f"{attributes.get('low'):g}..{attributes.get('high'):g}{log}"
