"""The folds that score the trials of a study with ``--cv``, or why there are none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.data.metrics import Metric
from hpo.data.splitting import Split
from hpo.data.steering import SplitColumn
from hpo.data.table import Dataset
from hpo.data.target_encoding import TargetEncoding
from hpo.data.wording import counted, listed, shown
from hpo.errors import UsageError
from hpo.search import streams
from hpo.search.folds import Folds, count_folds, deal_folds, deal_groups
from hpo.settings import MOST_FOLDS, Settings


def deal(
    rows: NDArray[np.int64],
    target: NDArray[Any],
    n_classes: int,
    steering: SplitColumn | None,
    metric: Metric,
    seed: int,
    n_folds: int,
    stream: int,
) -> Folds | None:
    """The fold of each of ``rows``, classes spread evenly and the rows of a group together.

    None where they are too few for a score of each fold and of the rows outside of it, and where
    time decides: later rows would be learnt from to predict earlier ones. ``target`` (rows,): class
    indices, or values, for which ``n_classes`` is 0; ``stream`` as in `deal_folds`.
    """
    if n_folds < 2 or len(rows) < 2 * n_folds or (steering and steering.kind == "time"):
        return None
    classes = target if n_classes else None
    if steering is None:
        dealt = deal_folds(len(rows), classes, seed, n_folds, stream)
    else:
        groups = deal_groups(steering.keys[rows], classes, seed, n_folds, stream)
        if groups is None:
            return None
        dealt = groups
    parts = (chosen for fold in range(n_folds) for chosen in (dealt == fold, dealt != fold))
    return None if any(metric.shortcoming(target[p], n_classes or 1) for p in parts) else dealt


def folded(split: Split, dataset: Dataset, settings: Settings, metric: Metric) -> Split:
    """The split with its training and validation rows pooled, dealt to ``settings.cv`` folds.

    Raises ``UsageError`` if that cannot be, or if something asked for makes no sense with folds.
    """
    assert settings.cv is not None
    asked, steering = f"--cv {settings.cv}", dataset.steering
    if not 2 <= settings.cv <= MOST_FOLDS:
        raise UsageError(f"{asked}: there can be 2 to {MOST_FOLDS} folds")
    if settings.patience is not None:
        raise UsageError(
            f"{asked} makes no sense with --patience {settings.patience}: what a network does not "
            "see scores it and must not stop it; leave one out"
        )
    if steering is not None and steering.kind == "time":
        raise UsageError(
            f"{asked} makes no sense with --time {shown(steering.column.name)}: folds would learn "
            "from later rows to predict earlier ones; leave one out"
        )
    split = split.pooled()
    encoding = TargetEncoding.fit(dataset.target, split.train, settings.task)
    target, n_classes = encoding.units(dataset.target, split.train), len(encoding.classes)
    seed, kind = settings.seed, streams.CROSS_VALIDATION
    dealt = deal(split.train, target, n_classes, steering, metric, seed, settings.cv, kind)
    if dealt is None:
        what = counted(len(split.train), "row")
        if steering is not None:
            groups = np.unique(steering.keys[split.train])
            what = f"{what} in {counted(len(groups), 'group')}"
        raise UsageError(
            f"{asked}: {what} beside the test rows are too few for {metric.name} of each fold; "
            "choose fewer folds"
        )
    return replace(split, folds=dealt)


def describe_folds(split: Split, dataset: Dataset, settings: Settings) -> tuple[str, ...]:
    """A line if there are classes that do not stand in every fold; none otherwise."""
    if split.folds is None or settings.task == "regression":
        return ()
    n_folds, values = count_folds(split.folds), dataset.target.values[split.train]
    absent = [
        dataset.target.label(value)
        for value in np.unique(values)
        if len(np.unique(split.folds[values == value])) < n_folds
    ]
    return (f"classes that do not stand in every fold: {listed(absent)}",) if absent else ()
