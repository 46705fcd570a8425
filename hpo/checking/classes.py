"""Classes that are too few, or too uneven, to be learnt or scored."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hpo.checking.finding import Finding
from hpo.checking.subject import Subject
from hpo.data.wording import listed, shown

FEW = 10
"""A class with fewer training rows is hardly learnt."""

UNEVEN = 0.95
"""A class with such a share of the rows makes accuracy say little."""

CHECK = "classes"


def check_classes(subject: Subject) -> Iterator[Finding]:
    """Classes with few training rows, and one that is nearly all; nothing in regression."""
    if subject.task != "classification":
        return
    target = subject.dataset.target
    labels, index = np.unique(target.values[subject.known], return_inverse=True)
    counts = np.bincount(index, minlength=len(labels))
    is_training = np.isin(subject.known, subject.split.train)
    trained = np.bincount(index[is_training], minlength=len(labels))
    few = np.flatnonzero(trained < FEW)
    if len(few):
        names = [f"{shown(target.label(labels[i]))[1:-1]} ({trained[i]})" for i in few]
        yield Finding(
            "warning",
            CHECK,
            f"classes with fewer than {FEW} training rows: {listed(names)}",
            "give more rows of them, or join or delete them",
        )
    share = counts.max() / counts.sum()
    if share >= UNEVEN:
        most = shown(target.label(labels[counts.argmax()]))
        yield Finding(
            "warning",
            CHECK,
            f"{share:.1%} of the rows are of class {most}, so always saying it is as accurate",
            "search with --metric balanced_accuracy or average_precision",
        )
    if not len(few) and share < UNEVEN:
        yield Finding("ok", CHECK, f"every class has {trained.min():,} training rows or more")
