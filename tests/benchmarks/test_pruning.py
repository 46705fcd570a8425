"""The sums of the benchmark of dropped trials, on numbers worked by hand."""

from __future__ import annotations

import pytest

from benchmarks.pruning import Pair, Search, difference, line, main, ratio, verdict, whole_ratio


def pair(score: float, gain: float, training: float, whole: float = 0.5) -> Pair:
    """One of a search of 8 processor seconds, 4 of them of training, with these shares of them."""
    return Pair(
        Search(score, 4.0, 8.0, 0.0), Search(score + gain, 4 * training, 8 * whole, dropped=0.75)
    )


def test_the_difference_and_its_standard_error() -> None:
    pairs = [pair(0.5, 0.01, 0.25), pair(0.75, -0.03, 0.75)]
    # Deviations of 0.02 from -0.01: a variance of 8e-4, and half of it for the mean of two.
    assert difference(pairs) == pytest.approx((-0.01, 0.02))
    assert (ratio(pairs), whole_ratio(pairs)) == (0.5, 0.5)
    assert line("wine", pairs).split() == [
        "wine", "2", "0.6250", "-0.0100", "0.0200", "-0.5", "75%", "0.50", "0.50",
    ]  # fmt: skip
    assert line("wine", pairs[:1]).split()[5] == "-"


def test_a_table_counts_if_it_is_quick_and_not_worse() -> None:
    good = [pair(0.5, 0.01, 0.5), pair(0.5, -0.03, 0.5)]
    slow = [pair(0.5, 0.0, 0.75), pair(0.5, 0.0, 0.75)]
    worse = [pair(0.5, -0.01, 0.25), pair(0.5, -0.02, 0.25)]  # by three standard errors
    _, beyond, counted = verdict([good] * 6 + [slow, worse])
    assert beyond == "beyond two standard errors worse: 1 of 8 tables"
    assert counted.endswith("6 (target 6): met")
    assert verdict([good] * 5 + [slow, worse])[2].endswith("5 (target 6): not met")


def test_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    main(["wine", "--seeds", "1", "--trials", "30", "--epochs", "8"])
    head, row, *rest = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["table", "runs", "without"]
    assert row.split()[:2] == ["wine", "1"]
    dropped, training, _ = row.split()[-3:]
    assert 0 < int(dropped.rstrip("%")) <= 80
    assert 0 < float(training) < 1.5
    assert len(rest) == 3
