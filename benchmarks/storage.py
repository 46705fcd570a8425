"""What the storage costs, beside Optuna's own: ``python -m benchmarks.storage``.

Milliseconds per trial on the wall, at a number of trials that the study holds already. Ours enters,
claims and finishes rounds of 100 trials, each with two parameters, seven intermediate values, four
attributes, four curves of 50 epochs and the predictions for 288 rows of ten classes. Optuna's own
asks, suggests two parameters, reports ten values and tells, one trial after the other, on a copy of
the same study. Networks are left out here: only the best fifty of a study are stored.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import sqlalchemy as sa
from optuna.storages import RDBStorage
from sqlalchemy.engine import make_url

from benchmarks.output import add_json, screen, write
from hpo.data.loading import load
from hpo.joined_study import JoinedStudy
from hpo.joining import joined
from hpo.search.evaluation import Outcome, Slot
from hpo.search.narrowing import propose
from hpo.search.space import SearchSpace
from hpo.settings import Settings
from storage.artifacts import Artifact

LEVELS = (0, 1000, 10_000)
ROUND = 100
EPOCHS = 50
TARGET_MS, TARGET_RATIO = 0.25, 100.0
STUDY = "digits"


class NoArtifacts:
    """Takes networks and keeps none."""

    def save_all(self, artifacts: Sequence[Artifact]) -> list[str]:
        """A name for each."""
        return ["0" * 64] * len(artifacts)

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


def main(arguments: list[str] | None = None) -> None:
    """Measure on every database that is named and print a table."""
    options = _parser().parse_args(arguments)
    out = screen(options.json)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    places = {"sqlite": sqlite_file()}
    if options.postgresql:
        places["postgresql"] = schema_of(options.postgresql)
    else:
        print("postgresql is left out: --postgresql URL", file=out)
    levels = [level for level in LEVELS if level <= options.most]
    records = []
    print(f"{'database':12}{'trials':>8}{'ours ms':>10}{'Optuna ms':>11}{'ratio':>8}", file=out)
    for name, place in places.items():
        with place as url:
            for level in levels:
                ours, theirs = measure(url, level, options)
                records.append({"database": name, "trials": level, "ours": ours, "optuna": theirs})
                print(
                    f"{name:12}{level:>8}{ours:>10.3f}{theirs:>11.1f}{theirs / ours:>8.0f}",
                    file=out,
                    flush=True,
                )
    print("\n" + "\n".join(verdict(records)), file=out)
    write(options.json, round=ROUND, records=records)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.storage", description=__doc__)
    url = os.environ.get("HPO_TEST_POSTGRESQL")
    parser.add_argument("--postgresql", metavar="URL", default=url, help="a database to use too")
    parser.add_argument("--rounds", type=int, default=12, help="rounds of ours a level (12)")
    parser.add_argument("--trials", type=int, default=20, help="trials of Optuna's a level (20)")
    parser.add_argument("--most", type=int, default=LEVELS[-1], help="largest level (10000)")
    add_json(parser)
    return parser


def verdict(records: list[dict[str, Any]]) -> list[str]:
    """Each target and whether it was met."""
    ours = [each["ours"] for each in records if each["database"] == "sqlite"]
    least = min(each["optuna"] / each["ours"] for each in records if each["database"] == "sqlite")
    quick = "met" if max(ours) <= TARGET_MS else "not met"
    ahead = "met" if least >= TARGET_RATIO else "not met"
    return [
        f"SQLite: at most {max(ours):.3f} ms a trial (target {TARGET_MS}): {quick}",
        f"SQLite: at least {least:.0f} times as fast (target {TARGET_RATIO:g}): {ahead}",
        f"SQLite: the largest level costs {ours[-1] / ours[0]:.2f} times the smallest",
    ]


def measure(url: str, level: int, options: argparse.Namespace) -> tuple[float, float]:
    """Means in milliseconds per trial, ours and Optuna's, with ``level`` trials stored."""
    with opened(url) as experiment:
        size = experiment.store.size()
        for _ in range(size, level, ROUND):
            enter_round(experiment)
        enter_round(experiment)  # statements are compiled, and what is there is known
        ours = [enter_round(experiment) for _ in range(options.rounds)]
    with copied(url) as copy:
        theirs = stock(copy, options.trials)
    return statistics.mean(ours), statistics.mean(theirs)


def opened(url: str) -> Any:
    """The experiment whose rounds have 100 trials."""
    settings = Settings(
        None, True, (), "classification", "accuracy", SearchSpace().to_json(), rounds=1
    )
    return joined(load(STUDY), settings, study=STUDY, url=url, trials=ROUND)


def enter_round(experiment: JoinedStudy) -> float:
    """Enter, claim and finish a round; milliseconds per trial. Making up its outcomes is free."""
    store, space = experiment.store, experiment.store.space
    store.artifacts = NoArtifacts()
    first = store.size()
    numbers = range(first, first + ROUND)
    points = propose(space.distributions, [], experiment.narrowing, numbers)
    slots = [Slot(*pair) for pair in zip(numbers, points, strict=True)]
    outcomes = [made_up(experiment, number) for number in numbers]
    began = time.perf_counter()
    store.losses()
    store.create_round(first // ROUND, space.ranges({}), slots)
    claimed = store.claim(first + ROUND)
    recorded = store.finish(outcomes)
    seconds = time.perf_counter() - began
    assert len(claimed) == len(recorded) == ROUND
    return 1000 * seconds / ROUND


def made_up(experiment: JoinedStudy, number: int) -> Outcome:
    """What a network of 50 epochs leaves behind."""
    rng = np.random.default_rng(number)
    problem = experiment.prepared.problem
    shape = len(problem.validation), problem.architecture.n_outputs
    names = ("train_loss", "train_score", "val_loss", "val_score")
    return Outcome(
        number=number,
        # Each a little less good: the best fifty, whose networks are stored, are the first.
        value=1.0 / (number + 1),
        reason=None,
        seconds=0.5,
        train_value=0.75,
        epochs=EPOCHS,
        best_epoch=EPOCHS - 1,
        curves={name: rng.random(EPOCHS) for name in names},
        prediction=rng.random(shape, dtype=np.float32),
        params=np.zeros(problem.architecture.n_params, np.float32),
    )


def stock(url: str, trials: int) -> list[float]:
    """Milliseconds of each of Optuna's own trials."""
    storage = RDBStorage(url)
    study = optuna.load_study(
        study_name=STUDY, storage=storage, sampler=optuna.samplers.RandomSampler(0)
    )
    spent = []
    for count in range(trials + 1):
        began = time.perf_counter()
        trial = study.ask()
        trial.suggest_float("learning_rate", 1e-5, 1e-1, log=True)
        trial.suggest_float("weight_decay", 1e-5, 10.0, log=True)
        for step in range(10):
            trial.report(0.5, step)
        study.tell(trial, 0.5)
        if count:  # the first reads the whole study
            spent.append(1000 * (time.perf_counter() - began))
    storage.remove_session()
    storage.engine.dispose()
    return spent


@contextmanager
def sqlite_file() -> Iterator[str]:
    """A new file."""
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{folder}/hpo.db"


@contextmanager
def schema_of(url: str) -> Iterator[str]:
    """A schema of its own in a PostgreSQL database, which is dropped afterwards."""
    name = f"hpo_benchmark_{uuid.uuid4().hex[:12]}"
    plain = make_url(url).set(drivername="postgresql+psycopg")
    engine = sa.create_engine(plain, isolation_level="AUTOCOMMIT")
    with closing(engine.raw_connection()) as connection:
        connection.cursor().execute(f"CREATE SCHEMA {name}")
    try:
        inside = plain.update_query_dict({"options": f"-csearch_path={name}"})
        yield inside.render_as_string(hide_password=False)
    finally:
        with closing(engine.raw_connection()) as connection:
            connection.cursor().execute(f"DROP SCHEMA {name} CASCADE")
        engine.dispose()


@contextmanager
def copied(url: str) -> Iterator[str]:
    """A copy of the database for Optuna; on a server the same, less what it adds."""
    if not url.startswith("sqlite"):
        yield from forgotten(url)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "copy.db"
        shutil.copy(url.removeprefix("sqlite:///"), path)
        yield f"sqlite:///{path}"


def forgotten(url: str) -> Iterator[str]:
    """The URL; the trials that were added meanwhile are removed afterwards."""
    tables = ("trial_values", "trial_intermediate_values", "trial_params", "trial_user_attributes")
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        last = connection.execute(sa.text("SELECT max(trial_id) FROM trials")).scalar_one()
    yield url
    with engine.begin() as connection:
        for table in (*tables, "trials"):
            connection.execute(
                sa.text(f"DELETE FROM {table} WHERE trial_id > :last"),  # noqa: S608
                {"last": last},
            )
    engine.dispose()


if __name__ == "__main__":
    main()
