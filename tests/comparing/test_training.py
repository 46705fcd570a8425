"""Every network of a comparison is the one that it would be alone, bit for bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hpo.comparing.choices import RATES, choices_of
from hpo.comparing.training import Job, Run, jobs_of, train_jobs
from hpo.data.loading import load
from hpo.nn import Architecture, Head, Members, Schedule, TrainingSettings, predict, train
from hpo.preparation import prepare
from hpo.search import streams
from hpo.search.problem import Problem
from hpo.settings import Settings

EPOCHS, SEEDS = 6, 2


@pytest.fixture(scope="module")
def problem() -> Problem:
    settings = Settings(
        target=None,
        header=True,
        numeric=(),
        task="classification",
        metric="accuracy",
        space={},
        seed=3,
        hidden=(9, 7),
        optimizer="momentum",
        epochs=EPOCHS,
        schedule="constant",
        warmup=0.0,
    )
    return prepare(load("iris"), settings).problem


def by_job(problem: Problem, what: str, *texts: str) -> dict[tuple[str, int], tuple[Job, Run]]:
    jobs = jobs_of(problem, choices_of(what, texts, "relu"), SEEDS, {})
    wanted = {(job.choice, job.seed): job for job in jobs}
    runs = [run for stack in train_jobs(problem, jobs, 1) for run in stack]
    assert len(runs) == len(jobs)
    return {key: (wanted[key], run) for run in runs for key in [(run.choice, run.seed)]}


@pytest.mark.parametrize(
    ("what", "texts"),
    [
        ("optimizer", ("sgd", "adam", "adadelta")),
        ("initializer", ("normal:0.01", "he_normal")),
        ("activation", ("tanh", "mish")),
        ("batch-norm", ("off", "on")),
        ("weight-decay", ("0", "0.5")),
        ("dropout", ("0", "0.3")),
        ("early-stopping", ("off", "1")),
    ],
)
def test_a_network_alone_has_the_same_curves(
    problem: Problem, what: str, texts: tuple[str, ...]
) -> None:
    found = by_job(problem, what, *texts)
    for job, run in found.values():
        alone = train_alone(problem, job)
        assert run.epochs == alone.epochs[0]
        assert run.kept == alone.best_epoch[0] + 1
        for name in ("train_loss", "val_loss"):
            expected = alone.curves[name][0, : run.epochs]
            assert run.curves[name].tobytes() == expected.tobytes()
        expected = 1 - alone.curves["val_score_loss"][0, : run.epochs]
        assert np.array_equal(run.curves["val_score"], expected)
        rows, target = problem.validation.X, problem.validation_target
        guessed = predict(architecture(problem, job), alone.params, rows)[0].argmax(axis=1)
        assert run.val_score == pytest.approx(np.mean(guessed == target), abs=1e-12)


def architecture(problem: Problem, job: Job) -> Architecture:
    return Architecture(
        4,
        (9, 7),
        (Head(3),),
        job.params.get("activation", "relu"),
        job.params.get("batch_norm", "none"),
    )


def train_alone(problem: Problem, job: Job):  # type: ignore[no-untyped-def]
    """The network of a job as `hpo.nn` alone trains it."""
    optimizer = job.params.get("optimizer", "momentum")
    settings = TrainingSettings(
        optimizer=optimizer,
        epochs=EPOCHS,
        batch_size=problem.settings.batch_size,
        patience=job.patience,
        schedule=Schedule("constant"),
        row_order=(3, streams.ROW_ORDER),
    )
    natural = "xavier_uniform" if job.params.get("activation") == "tanh" else "he_normal"
    members = Members(
        random_state=((3, streams.MEMBER, job.seed),),
        learning_rate=RATES[optimizer],
        weight_decay=job.params["weight_decay"],
        dropout=job.params["dropout"],
        initializer=(job.params.get("initializer", natural),),
    )
    shape = architecture(problem, job)
    return train(shape, settings, members, problem.training, problem.validation, problem.row_loss)


def test_early_stopping_ends_a_curve_and_changes_nothing_before(problem: Problem) -> None:
    longer = replace(problem, settings=replace(problem.settings, epochs=60))
    found = by_job(longer, "early-stopping", "off", "2")
    for seed in range(SEEDS):
        whole, stopped = (found[name, seed][1] for name in ("no early stopping", "patience 2"))
        assert stopped.epochs < whole.epochs == 60
        for name, curve in stopped.curves.items():
            assert np.array_equal(curve, whole.curves[name][: stopped.epochs])
        assert stopped.kept == np.argmin(stopped.curves["val_loss"]) + 1


def test_a_network_that_diverges_is_told_of(problem: Problem) -> None:
    jobs = jobs_of(problem, choices_of("optimizer", ("sgd", "adam"), "relu"), 1, {}, [1e9])
    runs = {run.choice: run for stack in train_jobs(problem, jobs, 1) for run in stack}
    assert runs["sgd"].reason is not None
    assert "diverged in epoch 1" in runs["sgd"].reason
