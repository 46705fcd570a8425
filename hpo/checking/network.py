"""Checks of the network that would be trained, on training rows alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.checking.finding import Finding
from hpo.data.wording import counted
from hpo.nn.architecture import Architecture
from hpo.nn.checks import LEARNT, RangeReport, learning_rate_range, overfit_small_batch
from hpo.nn.gradients import GradientReport, gradient_check
from hpo.nn.members import Rows, TrainingSettings
from hpo.search.problem import Problem

Floats = NDArray[np.float64]

BATCH = 16
"""Rows that must be learnt by heart."""

SMALL = 5
"""Units of a layer, and inputs, of the copy whose gradient is checked."""

MOST_OUTPUTS = 10
"""Outputs of a head of that copy."""

ROWS = 2000
STEPS = 150
"""The learning rates are tried on so many training rows, for at least so many steps."""

RATES = 32
MEMORY = 1 << 29
"""Bytes that the networks of all learning rates may take, or there are fewer of them."""

FEWEST_RATES = 8

NEARLY = 0.05
"""By so small a share of what the best learning rate gains others may be less good."""

FLAT = 0.02
"""A loss that falls by no larger share has not been lowered."""


@dataclass(frozen=True)
class NetworkChecks:
    """What the three checks gave.

    ``batch`` and ``rates`` hold training losses for each learning rate and epoch.
    """

    batch: RangeReport
    gradient: GradientReport
    rates: RangeReport
    rows: int

    def findings(self, searched: tuple[float, float]) -> list[Finding]:
        """A line for each; ``searched`` are the learning rates that a search begins with."""
        return [*_of_batch(self), *_of_gradient(self.gradient), *_of_rates(self.rates, searched)]

    def curves(self) -> dict[str, Any]:
        """What pictures show, in plain values; losses are None where a network diverged."""
        batch = _plain(self.batch) | {"best": self.batch.best, "enough": LEARNT}
        ends = {"learns": learns(self.rates), "best": best(self.rates)}
        spans = {name: rates[[0, -1]].tolist() for name, rates in ends.items()}
        return {"small_batch": batch, "learning_rate_range": _plain(self.rates) | spans}


def check_network(problem: Problem) -> NetworkChecks:
    """Learn a few rows by heart, check the gradient, and try many learning rates.

    ``problem`` is that of a search with validation rows; these are not looked at.
    """
    batch = overfit_small_batch(problem.architecture, problem.training, size=BATCH)
    gradient = gradient_check(small_copy(problem.architecture), random_state=problem.seed)
    rates, rows = _rates(problem)
    return NetworkChecks(batch, gradient, rates, rows)


def small_copy(architecture: Architecture) -> Architecture:
    """The same layers, activation and losses with few units.

    Central differences take two passes for each parameter.
    """
    heads = tuple(
        replace(head, n_outputs=min(MOST_OUTPUTS, head.n_outputs)) for head in architecture.heads
    )
    return replace(
        architecture,
        n_inputs=min(SMALL, architecture.n_inputs),
        hidden=tuple(min(SMALL, units) for units in architecture.hidden),
        heads=heads,
    )


def _rates(problem: Problem) -> tuple[RangeReport, int]:
    rows = _some(problem.training, problem.seed)
    batch_size = min(problem.settings.batch_size, len(rows))
    settings = TrainingSettings(
        problem.settings.optimizer,
        epochs=-(-STEPS // -(-len(rows) // batch_size)),
        batch_size=batch_size,
        patience=None,
    )
    room = MEMORY // max(1, problem.member_bytes(problem.recipe))
    rates = max(FEWEST_RATES, min(RATES, room))
    report = learning_rate_range(
        problem.architecture, settings, rows, rates=rates, random_state=problem.seed
    )
    return report, len(rows)


def _some(rows: Rows, seed: int) -> Rows:
    if len(rows) <= ROWS:
        return rows
    chosen = np.sort(np.random.default_rng(seed).permutation(len(rows))[:ROWS])
    return Rows(rows.X[chosen], tuple(target[chosen] for target in rows.targets))


def _of_batch(checks: NetworkChecks) -> Iterator[Finding]:
    report = checks.batch
    n_rows = counted(min(BATCH, checks.rows), "row")
    left = report.final_loss.min() / report.loss[0, 0]
    if report.learnt:
        what = f"{n_rows} are learnt by heart, {_share(left)} of the loss is left"
        yield Finding("ok", "small batch", what)
        return
    yield Finding(
        "problem",
        "small batch",
        f"{n_rows} cannot be learnt by heart: {_share(left)} of the loss is left after "
        f"{report.loss.shape[1]} epochs, and no more than {LEARNT:.0%} should be",
        "look for equal rows with different targets, for columns of wild scales, and for a target "
        "that is not what it seems; or take larger layers (--hidden)",
    )


def _of_gradient(report: GradientReport) -> Iterator[Finding]:
    if report.passed:
        what = f"the gradient agrees with central differences to {report.error:.0e}"
        yield Finding("ok", "gradient", what)
    else:
        yield Finding("problem", "gradient", f"the gradient is wrong: {report}", "report it")


def _of_rates(report: RangeReport, searched: tuple[float, float]) -> Iterator[Finding]:
    first, least = float(report.loss[0, 0]), float(report.final_loss.min())
    if not least < (1 - FLAT) * first:
        yield Finding(
            "warning",
            "learning rate",
            f"no learning rate from {report.learning_rate[0]:.0e} to "
            f"{report.learning_rate[-1]:.0e} lowers the loss of the training rows",
            "the features may say nothing about the target",
        )
        return
    rate, learning = report.learning_rate, learns(report)
    low, high = learning[[0, -1]]
    what = f"from {low:.1e} to {high:.1e} networks learn, best {_range(best(report))}"
    spoilt = rate[(report.final_loss > first) & (rate > high)]
    if len(spoilt):
        what += f"; from {spoilt[0]:.1e} on the loss rises"
    if ((learning >= searched[0]) & (learning <= searched[1])).any():
        yield Finding("ok", "learning rate", what)
        return
    yield Finding(
        "warning",
        "learning rate",
        f"{what}, outside of {searched[0]:.0e} to {searched[1]:.0e}, which a search begins with",
        f"search with --space learning_rate={low:.0e}..{high:.0e}:log",
    )


def learns(report: RangeReport) -> Floats:
    """Neighbouring rates that lower the loss by half as much as the best one, or more."""
    return _lowering(report, 0.5)


def best(report: RangeReport) -> Floats:
    """Neighbouring rates that lower the loss as much as the best one, but for a twentieth."""
    return _lowering(report, 1 - NEARLY)


def _lowering(report: RangeReport, share: float) -> Floats:
    """The longest row of rates that all gain this share of what the best one gains.

    Beyond it a rate may be good by chance.
    """
    first, least = report.loss[0, 0], report.final_loss.min()
    is_good = report.final_loss <= first - share * (first - least)
    edges = np.flatnonzero(np.diff(is_good, prepend=False, append=False))
    starts, ends = edges[::2], edges[1::2]
    longest = int(np.argmax(ends - starts))  # of equal ones the lowest
    return report.learning_rate[starts[longest] : ends[longest]]


def _range(rates: Floats) -> str:
    if len(rates) == 1:
        return f"at {rates[0]:.1e}"
    return f"from {rates[0]:.1e} to {rates[-1]:.1e}"


def _share(value: float) -> str:
    return "under 0.1%" if value < 0.001 else f"{value:.1%}"


def _plain(report: RangeReport) -> dict[str, Any]:
    loss = [[float(x) if np.isfinite(x) else None for x in row] for row in report.loss]
    return {"learning_rate": report.learning_rate.tolist(), "loss": loss}
