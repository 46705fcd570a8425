"""How well estimators do untuned, side by side with others: ``python -m benchmarks.defaults``.

Each contestant gets the training rows of a split and predicts the test rows: log loss of classes,
with probabilities clipped to [1e-7, 1 - 1e-7] and made to add up to 1 again for everybody alike,
and root mean squared error of values. All run in this process, each on one thread.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import math
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import TransformedTargetRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import hpo
from benchmarks import tables
from benchmarks.output import STANDARD_OUTPUT, add_json, screen, write
from benchmarks.tables import Split

CLIP = 1e-7
"""Probabilities nearer to 0 or 1 count as this one."""

FLOOR = 0.01
"""Added to losses before ratios, or the tables that anyone can solve would decide."""

OURS, SKLEARN, REALMLP = "ours", "scikit-learn", "RealMLP"

Maker = Callable[[int], Any]
"""Random state -> an estimator."""


class Contestant(NamedTuple):
    """Who takes part: the package it is in, and what makes its estimators (None: none such)."""

    package: str
    classifier: Maker | None
    regressor: Maker | None


def _ours_classes(seed: int) -> Any:
    return hpo.MLPClassifier(random_state=seed)


def _ours_values(seed: int) -> Any:
    return hpo.MLPRegressor(random_state=seed)


def _sklearn_classes(seed: int) -> Any:
    return make_pipeline(StandardScaler(), MLPClassifier(random_state=seed))


def _sklearn_values(seed: int) -> Any:
    return make_pipeline(StandardScaler(), MLPRegressor(random_state=seed))


def _sklearn_scaled(seed: int) -> Any:
    return TransformedTargetRegressor(_sklearn_values(seed), transformer=StandardScaler())


def _realmlp_classes(seed: int) -> Any:
    from pytabkit import RealMLP_TD_Classifier  # noqa: PLC0415

    return RealMLP_TD_Classifier(device="cpu", n_threads=1, random_state=seed)


def _realmlp_log_loss(seed: int) -> Any:
    """RealMLP as its authors advise for log loss: no smoothing, best epoch by cross-entropy."""
    estimator = _realmlp_classes(seed)
    return estimator.set_params(val_metric_name="cross_entropy", use_ls=False)


def _realmlp_values(seed: int) -> Any:
    from pytabkit import RealMLP_TD_Regressor  # noqa: PLC0415

    return RealMLP_TD_Regressor(device="cpu", n_threads=1, random_state=seed)


CONTESTANTS = {
    OURS: Contestant("hpo", _ours_classes, _ours_values),
    SKLEARN: Contestant("scikit-learn", _sklearn_classes, _sklearn_values),
    f"{SKLEARN}, scaled target": Contestant("scikit-learn", None, _sklearn_scaled),
    REALMLP: Contestant("pytabkit", _realmlp_classes, _realmlp_values),
    f"{REALMLP} for log loss": Contestant("pytabkit", _realmlp_log_loss, None),
}

Record = dict[str, Any]
"""One fit: table, contestant, package, seed, digest of the split, loss, score, seconds."""


def main(arguments: list[str] | None = None) -> None:
    """Fit the chosen contestants on the chosen tables and print what came out."""
    options = _parser().parse_args(arguments)
    folder = options.data or os.environ.get("HPO_BENCHMARK_DATA")
    out = screen(options.json)
    names = [name for name in CONTESTANTS if name in options.contestants]
    if not _installed("pytabkit"):
        print("RealMLP is not fitted: pip install pytabkit", file=out)
    known = _known(options.reuse)
    records: list[Record] = []
    absent = []
    for name in options.sets:
        table = tables.load(name, Path(folder) if folder else None)
        if table is None:
            absent.append(name)
            continue
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            split = table.split(seed)
            records += _fits(names, known, split, {"set": name, "seed": seed}, table.classifies)
        own = [record for record in records if record["set"] == name]
        print("\n".join(_table(name, own, table.classifies)), file=out, flush=True)
        if options.json != STANDARD_OUTPUT:  # so that what took hours outlives an interruption
            write(options.json, clip=CLIP, fits=records)
    print("\n".join(_summary(records)), file=out)
    if absent:
        print(f"not measured for want of --data: {', '.join(absent)}", file=out)
    if options.json == STANDARD_OUTPUT:
        write(options.json, clip=CLIP, fits=records)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.defaults", description=__doc__)
    add = parser.add_argument
    add("--sets", nargs="+", choices=tables.NAMES, default=tables.NAMES, help="default: all")
    add("--seeds", type=int, default=5, help="splits of each table (5)")
    add("--first-seed", type=int, default=0, help="of the splits (0)")
    names = tuple(CONTESTANTS)
    add("--contestants", nargs="+", choices=names, default=names, help="default: all")
    add("--data", help="folder with the tables that are files (or $HPO_BENCHMARK_DATA)")
    add_json(parser)
    add("--reuse", metavar="FILE", help="take the others' fits from what --json wrote")
    return parser


def _known(file: str | None) -> dict[tuple[str, int, str, str], Record]:
    """What others did in an earlier run; ours is always fitted anew."""
    if file is None:
        return {}
    records = json.loads(Path(file).read_text(encoding="utf-8"))["fits"]
    return {_key(record): record for record in records if record["contestant"] != OURS}


def _key(record: Record) -> tuple[str, int, str, str]:
    return record["set"], record["seed"], record["contestant"], record["digest"]


def _fits(
    names: Sequence[str],
    known: dict[tuple[str, int, str, str], Record],
    split: Split,
    where: Record,
    classifies: bool,
) -> Iterator[Record]:
    """One record for each contestant that can do the task."""
    for name in names:
        contestant = CONTESTANTS[name]
        make = contestant.classifier if classifies else contestant.regressor
        if make is None:
            continue
        record = where | {"contestant": name, "digest": split.digest}
        if (old := known.get(_key(record))) is not None:
            yield old
        elif name == OURS or _installed(contestant.package):
            measured = fit(make(where["seed"]), split, classifies)
            yield record | {"package": _version(contestant.package)} | measured


def _installed(package: str) -> bool:
    return find_spec({"scikit-learn": "sklearn"}.get(package, package)) is not None


def _version(package: str) -> str:
    return f"hpo {hpo.__version__}" if package == "hpo" else f"{package} {version(package)}"


def fit(estimator: Any, split: Split, classifies: bool) -> dict[str, float]:
    """Loss and score (accuracy or R²) on the test rows, and seconds of the fit."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        estimator.fit(split.X, split.y)
        seconds = time.perf_counter() - start
        if classifies:
            loss, score = classes_measured(estimator.predict_proba(split.X_test), split.y_test)
        else:
            loss, score = values_measured(estimator.predict(split.X_test), split.y_test)
    return {"loss": loss, "score": score, "seconds": seconds}


def classes_measured(
    probabilities: NDArray[np.floating[Any]], y: NDArray[np.int64]
) -> tuple[float, float]:
    """Log loss and accuracy of ``probabilities`` (rows, classes) for class indices (rows,)."""
    clipped = np.clip(probabilities.astype(np.float64), CLIP, 1 - CLIP)
    clipped /= clipped.sum(axis=1, keepdims=True)
    accuracy = float(np.mean(probabilities.argmax(axis=1) == y))
    return float(-np.mean(np.log(clipped[np.arange(len(y)), y]))), accuracy


def values_measured(
    values: NDArray[np.floating[Any]], y: NDArray[np.float64]
) -> tuple[float, float]:
    """Root mean squared error and R² of ``values`` (rows,) or (rows, 1) for ``y`` (rows,)."""
    squares = np.square(values.reshape(len(y)).astype(np.float64) - y)
    return float(np.sqrt(squares.mean())), float(1 - squares.mean() / y.var())


def _table(name: str, records: Sequence[Record], classifies: bool) -> list[str]:
    """Means over the seeds, and their standard errors."""
    loss, score = ("log loss", "accuracy") if classifies else ("RMSE", "R²")
    lines = [f"{name:<28}{loss:>12}{'± s.e.':>10}{score:>10}{'seconds':>9}{'splits':>8}"]
    for contestant, own in _by_contestant(records).items():
        losses = np.array([record["loss"] for record in own])
        error = losses.std(ddof=1) / math.sqrt(len(losses)) if len(losses) > 1 else math.nan
        lines.append(
            f"  {contestant:<26}{losses.mean():>12.5g}{error:>10.2g}{_mean(own, 'score'):>10.4f}"
            f"{_mean(own, 'seconds'):>9.2f}{len(own):>8}"
        )
    return [*lines, ""]


def _by_contestant(records: Sequence[Record]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record["contestant"], []).append(record)
    return found


def _mean(records: Sequence[Record], what: str) -> float:
    return float(np.mean([record[what] for record in records]))


def _summary(records: Sequence[Record]) -> list[str]:
    """Against each other contestant: tables on which ours is ahead, geometric mean of ratios."""
    means: dict[str, dict[str, float]] = {}
    for name in dict.fromkeys(record["set"] for record in records):
        own = [record for record in records if record["set"] == name]
        means[name] = {each: _mean(fits, "loss") for each, fits in _by_contestant(own).items()}
    lines = []
    for other in CONTESTANTS:
        both = [m for m in means.values() if OURS in m and other in m]
        if other == OURS or not both:
            continue
        ahead = sum(m[OURS] < m[other] for m in both)
        plain, floored = (_ratio(both, other, floor) for floor in (0.0, FLOOR))
        lines.append(
            f"ours is ahead of {other} on {ahead} of {len(both)} tables; geometric mean of the "
            f"ratios of losses {plain:.3f}, with {FLOOR:g} added to every loss {floored:.3f}"
        )
    return lines


def _ratio(means: Sequence[dict[str, float]], other: str, floor: float) -> float:
    """Geometric mean of our losses over those of another contestant."""
    logs = [math.log((each[OURS] + floor) / (each[other] + floor)) for each in means]
    return math.exp(sum(logs) / len(logs))


if __name__ == "__main__":
    main()
