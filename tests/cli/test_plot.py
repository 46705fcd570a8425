"""Curves as characters: by hand."""

from __future__ import annotations

import pytest

from hpo.cli.plot import plot


def test_a_line_and_a_gap() -> None:
    assert plot([("*", [0.0, 1.0, None, 3.0])], 7, 4) == [
        "3 ┤   *",
        "  ┤",
        "  ┤ *",
        "0 ┤*",
        "   epoch 1 4",
    ]


def test_what_comes_last_lies_on_top_and_shorter_curves_end() -> None:
    assert plot([(".", [2.0, 2.0, 0.0]), ("*", [2.0])], 6, 2) == [
        "2 ┤*.",
        "0 ┤  .",
        "   epoch 1 3",
    ]


def test_far_values_are_drawn_by_their_logarithm() -> None:
    """1, 10 and 100 are equally far apart, which 0, 10 and 100 are not."""
    drawn = [line[-3:] for line in plot([("*", [1.0, 10.0, 100.0])], 8, 3)[:3]]
    assert [line.index("*") if "*" in line else None for line in drawn] == [2, 2, 2]
    lines = plot([("*", [1.0, 10.0, 100.0])], 8, 3)
    assert lines[:3] == ["100 ┤  *", "    ┤ *", "  1 ┤*"]
    assert plot([("*", [0.0, 10.0, 100.0])], 8, 3)[:3] == ["100 ┤  *", "    ┤", "  0 ┤**"]


@pytest.mark.parametrize("n_epochs", [1, 2, 50, 1000])
def test_it_is_as_wide_as_asked(n_epochs: int) -> None:
    lines = plot([("*", [float(epoch) for epoch in range(n_epochs)])], 40, 5)
    assert len(lines) == 6
    assert max(map(len, lines)) <= 40
    assert lines[4].count("*") + sum(line.count("*") for line in lines[:4]) == (
        40 - len(f"{max(n_epochs - 1, 0):.3g}") - 2
    )


def test_a_constant_stands_at_the_bottom() -> None:
    assert plot([("*", [0.5, 0.5])], 20, 3) == [
        "    ┤",
        "    ┤",
        "0.5 ┤" + "*" * 15,
        "     epoch 1" + "2".rjust(8),
    ]


def test_no_value_no_picture() -> None:
    assert plot([("*", [None, None])], 20, 3) == []
    assert plot([], 20, 3) == []
