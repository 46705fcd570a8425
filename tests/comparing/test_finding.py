"""The sentence, on numbers made by hand."""

from __future__ import annotations

from typing import Any

from hpo.comparing.training import Run
from tests.comparing.making import comparison, lost, run

A, B, C = (0.30, 0.31, 0.32), (0.40, 0.42, 0.44), (0.29, 0.33, 0.35)
"""B is above A by 0.10, 0.11 and 0.12; C by -0.01, 0.02 and 0.03."""


def ending(name: str, losses: tuple[float, ...], gaps: tuple[float, ...] = (0.1,) * 3) -> list[Run]:
    return [
        run(name, seed, [1.5, loss], 0.8, gap)
        for seed, (loss, gap) in enumerate(zip(losses, gaps, strict=False))
    ]


def contest(**losses: tuple[float, ...]) -> str:
    return str(
        comparison("optimizer", {name: ending(name, each) for name, each in losses.items()})[
            "finding"
        ]
    )


def test_the_best_against_every_other() -> None:
    # t = 0.11 / (0.01 / sqrt(3)) = 19.1 and 0.0133 / (0.0208 / sqrt(3)) = 1.1
    assert contest(a=A, b=B, c=C) == (
        "a has the lowest validation loss at its best epoch, "
        "0.310 ± 0.010, lower than b by more than the "
        "noise between seeds; c cannot be told apart from it (paired t test over 3 seeds, Holm's "
        "correction, 5 % level)."
    )
    assert contest(b=B, a=A) == (
        "a has the lowest validation loss at its best epoch, "
        "0.310 ± 0.010, lower than b by more than the "
        "noise between seeds (paired t test over 3 seeds, 5 % level)."
    )
    assert contest(a=A, b=B, d=B) == (
        "a has the lowest validation loss at its best epoch, "
        "0.310 ± 0.010, lower than every other by more "
        "than the noise between seeds (paired t test over 3 seeds, Holm's correction, 5 % level)."
    )
    assert contest(a=A, c=C) == (
        "a has the lowest validation loss at its best epoch, "
        "0.310 ± 0.010, but by no more than the noise "
        "between seeds (paired t test over 3 seeds, 5 % level)."
    )


def test_one_seed_is_no_evidence() -> None:
    assert contest(a=A[:1], b=B[:1]) == (
        "a has the lowest validation loss at its best epoch, "
        "0.300; one seed does not tell how large the noise "
        "between seeds is."
    )


def test_what_failed_is_said() -> None:
    runs = {
        "a": ending("a", A),
        "b": [*ending("b", B)[:2], lost("b", 2)],
        "c": [lost("c", seed) for seed in range(3)],
    }
    assert comparison("optimizer", runs)["finding"].endswith(
        "5 % level); b failed with 1 of 3 seeds; c failed with 3 of 3 seeds."
    )


def switch(
    before: tuple[float, ...], after: tuple[float, ...], gaps: Any = ((0.1,) * 3,) * 2
) -> str:
    runs = {"off": ending("off", before, gaps[0]), "on": ending("on", after, gaps[1])}
    return str(comparison("dropout", runs, {"on": "off"})["finding"])


def test_a_switch_that_helps() -> None:
    # The gaps differ by 0.10, 0.11 and 0.09: t = 0.1 / (0.01 / sqrt(3)) = 17.3, and with two
    # degrees of freedom p = 1 - t / sqrt(2 + t²).
    assert switch(B, A, ((0.20, 0.21, 0.19), (0.1, 0.1, 0.1))) == (
        "on lowers the validation loss from 0.420 to 0.310 against off, by more than the noise "
        "between seeds (−0.110 ± 0.00577, p = 0.003), and narrows the gap between training and "
        "validation accuracy from 0.200 to 0.100 (p = 0.003) (paired t test over 3 seeds, 5 % "
        "level)."
    )


def test_a_switch_that_does_harm() -> None:
    assert switch(A, B, ((0.1, 0.1, 0.1), (0.20, 0.21, 0.19))).startswith(
        "on raises the validation loss from 0.310 to 0.420 against off, by more than the noise "
        "between seeds (+0.110 ± 0.00577, p = 0.003), and widens the gap between training and "
        "validation accuracy from 0.100 to 0.200 (p = 0.003)"
    )


def test_a_switch_that_changes_nothing_that_can_be_told() -> None:
    assert switch(A, C, ((0.1, 0.2, 0.3), (0.1, 0.3, 0.2))) == (
        "on moves the validation loss from 0.310 to 0.323 against off, which is no more than the "
        "noise between seeds (+0.013 ± 0.012, p = 0.383); it moves the gap between training and "
        "validation accuracy from 0.200 to 0.200, which is no more than noise (p = 1.000) (paired "
        "t test over 3 seeds, 5 % level)."
    )


def test_a_switch_with_one_seed() -> None:
    assert switch(A[:1], B[:1]) == (
        "on moves the validation loss from 0.300 to 0.400 against off, and moves the gap between "
        "training and validation accuracy from 0.100 to 0.100; one seed does not tell how large "
        "the noise between seeds is."
    )


def test_who_is_quick_and_who_is_slow() -> None:
    quick, slow = [0.4, 0.4, 0.4], [1.0, 1.0, 0.4]

    def of(**curves: list[float]) -> str:
        runs = {
            name: [run(name, seed, each, 0.8) for seed in range(2)] for name, each in curves.items()
        }
        return str(comparison("activation", runs)["finding"]).split("; ")[-1]

    # The level is 0.5.
    assert (
        of(a=slow, b=quick)
        == "b is the first at a loss of 0.5, in 1 epoch, and a the last, in 3 epochs."
    )
    never = [1.0, 0.9, 0.9]
    assert of(a=slow, b=never, c=never, d=quick) == (
        "d is the first at a loss of 0.5, in 1 epoch, and b and c do not get there."
    )
