"""Studies that are thrown away once they are measured."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from hpo.data.metrics import default_metric
from hpo.data.schema import infer_task
from hpo.data.table import Dataset
from hpo.joined_study import JoinedStudy
from hpo.joining import joined
from hpo.search.space import SearchSpace
from hpo.settings import Settings


@contextmanager
def thrown_away(dataset: Dataset, trials: int, **changed: Any) -> Iterator[JoinedStudy]:
    """A new study of the data set; ``changed`` are settings that are not the default ones."""
    task = infer_task(dataset.target)
    default = Settings(None, True, (), task, default_metric(task), SearchSpace().to_json())
    settings = replace(default, **changed)
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/hpo.db"
        with joined(dataset, settings, study="s", url=url, trials=trials) as study:
            yield study
