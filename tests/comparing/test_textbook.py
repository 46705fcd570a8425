"""Claims of textbooks are granted where they hold, and denied where they do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.comparing.making import comparison, run


def verdict(what: str, curves: Mapping[str, Sequence[float]], **baselines: str) -> Any:
    """On three seeds that differ little."""
    runs = {
        name: [
            run(name, seed, [loss + seed / 1000 * (i + 1) for loss in losses], 0.8)
            for seed in range(3)
        ]
        for i, (name, losses) in enumerate(curves.items())
    }
    named = {name.replace("__", " + "): base for name, base in baselines.items()}
    found = comparison(what, runs, named)["textbook"]
    return found and (found["holds"], found["found"])


QUICK, MIDDLE, SLOW, SLOWER = [0.3, 0.3, 0.3], [1.0, 0.4, 0.3], [1.9, 1.0, 0.8], [1.9, 1.5, 1.2]


def test_the_slowest_optimizers() -> None:
    assert verdict(
        "optimizer", {"sgd": SLOW, "adam": QUICK, "adadelta": SLOWER, "nadam": MIDDLE}
    ) == ("yes", "")
    assert verdict(
        "optimizer", {"sgd": SLOWER, "adam": SLOW, "adadelta": QUICK, "nadam": MIDDLE}
    ) == ("partly", "adadelta is no slower than adam and nadam")
    assert verdict(
        "optimizer", {"sgd": QUICK, "adam": SLOWER, "adadelta": MIDDLE, "nadam": SLOW}
    ) == (
        "no",
        "sgd is no slower than adam and nadam; adadelta is no slower than adam and nadam",
    )
    # As slow as others is not the slowest.
    assert verdict(
        "optimizer", {"sgd": SLOWER, "adam": QUICK, "adadelta": MIDDLE, "nadam": MIDDLE}
    ) == ("partly", "adadelta is no slower than nadam")
    assert verdict("optimizer", {"sgd": SLOW, "adam": QUICK}) is None


def test_he_with_relu() -> None:
    assert verdict("initializer", {"he_normal": QUICK, "xavier_normal": SLOW}) == ("yes", "")
    assert verdict("initializer", {"he_normal": SLOW, "xavier_normal": QUICK}) == (
        "no",
        "xavier_normal has the lowest loss",
    )
    assert verdict("initializer", {"he_normal": QUICK, "xavier_normal": [1.0, 1.0, 0.2]}) == (
        "partly",
        "it is the first at the level, but xavier_normal has the lowest loss",
    )
    tied = {"he_normal": [0.3], "xavier_normal": [0.2999], "normal:0.01": [2.0]}
    assert verdict("initializer", tied)[0] == "untold"
    assert verdict("initializer", {"zeros": QUICK, "xavier_normal": SLOW}) is None


def test_relu_beside_sigmoid() -> None:
    assert verdict("activation", {"relu": QUICK, "sigmoid": MIDDLE}) == ("yes", "")
    assert verdict("activation", {"relu": MIDDLE, "sigmoid": QUICK}) == (
        "no",
        "sigmoid is not slower than relu",
    )
    assert verdict("activation", {"relu": MIDDLE, "tanh": QUICK}) is None


def test_what_batch_normalisation_rescues() -> None:
    def of(small: Sequence[float], rescued: Sequence[float]) -> Any:
        curves = {"normal:0.01": small, "normal:0.01 + batch norm": rescued}
        return verdict("batch-norm", curves, **{"normal:0.01__batch norm": "normal:0.01"})

    assert of(SLOW, QUICK) == ("yes", "")
    assert of(SLOWER, SLOW) == ("no", "with it the level is not reached either")
    assert of(MIDDLE, QUICK) == (
        "no",
        "they are no obstacle here: without it the level is reached too",
    )


def test_early_stopping_and_the_loss() -> None:
    def of(before: Sequence[float], after: Sequence[float]) -> Any:
        return verdict("early-stopping", {"off": before, "on": after}, on="off")

    assert of(SLOW, QUICK) == ("yes", "")
    assert of(QUICK, SLOW) == ("no", "")


def test_several_strengths_may_differ() -> None:
    curves = {"off": [0.5], "on": [0.3], "more": [0.9]}
    found = verdict("early-stopping", curves, on="off", more="off")
    assert found == ("partly", "on: yes, more: no")
