"""Pictures of trainings: the score after each epoch, on validation rows and on training rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from xml.etree.ElementTree import Element

from hpo.report import drawing
from hpo.report.records import Study, Trial
from hpo.report.scales import Scale, thinned
from hpo.report.words import metric_word, score, scored_word

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 210.0, 150.0, 38.0, 20.0, 204.0, 122.0
MOST_POINTS = 120
"""Of a line; more cannot be told apart."""

Values = Sequence[float | None]


class Drawn(NamedTuple):
    """Which curves are drawn, and what they are of."""

    validation: str
    train: str
    says: str


def drawn(study: Study) -> Drawn | None:
    """The scores, or the losses where a score is not measured while networks train.

    None if no curve is stored.
    """
    curves = [each.curves for each in study.ranked if each.curves]
    if not curves:
        return None
    if all("train_score" in each and _any(each["val_score"]) for each in curves):
        return Drawn("val_score", "train_score", metric_word(study.metric))
    return Drawn("val_loss", "train_loss", "loss")


def courses(study: Study) -> list[Element]:
    """A picture of each of the best trials, all to one scale; none if no curve is stored."""
    of = drawn(study)
    if of is None:
        return []
    trials = [each for each in study.ranked if each.curves]
    scale = Scale(*limits(trials, of), BOTTOM, TOP)
    return [_course(study, each, of, scale) for each in trials]


def limits(trials: Sequence[Trial], of: Drawn) -> tuple[float, float]:
    """From where to where the scale reaches: what most curves do, and where every one ends.

    In its first epochs, or once in between, a network may be as bad as it likes, and would press
    all others into a line.
    """
    curves = [each.curves.get(name, ()) for each in trials for name in (of.validation, of.train)]
    known = [[value for value in values if value is not None] for values in curves]
    found = sorted(value for values in known for value in values[len(values) // 10 :])
    if not found:
        return 0.0, 1.0
    ends = [values[-1] for values in known if values]
    beyond = len(found) // 20
    low, high = min(*ends, found[beyond]), max(*ends, found[-1 - beyond])
    margin = (high - low) / 20 or abs(high) / 20 or 1.0
    return low - margin, high + margin


def _course(study: Study, trial: Trial, of: Drawn, scale: Scale) -> Element:
    validation, train = trial.curves.get(of.validation, ()), trial.curves.get(of.train, ())
    epochs = Scale(1, max(2, len(validation), len(train)), LEFT, RIGHT)
    return drawing.canvas(
        WIDTH,
        HEIGHT,
        f"Best-{trial.rank}, trial {trial.number}: {_described(study, trial, of)}",
        drawing.text(LEFT, 12, f"Best-{trial.rank}", "panel-title"),
        drawing.text(RIGHT, 12, f"trial {trial.number}", "axis-title", anchor="end"),
        drawing.left_axis(scale, LEFT, RIGHT, most=4),
        drawing.bottom_axis(epochs, BOTTOM, most=4),
        drawing.curve(_places(train, epochs, scale), "train"),
        drawing.curve(_places(validation, epochs, scale), "validation"),
    )


def _described(study: Study, trial: Trial, of: Drawn) -> str:
    validation, train = trial.curves.get(of.validation, ()), trial.curves.get(of.train, ())
    parts = []
    for name, values in ((scored_word(study.cv), validation), ("train", train)):
        known = [value for value in values if value is not None]
        if known:
            parts.append(f"{name} {of.says} from {score(known[0])} to {score(known[-1])}")
    return ", ".join([*parts, f"{max(len(validation), len(train))} epochs"])


def _places(values: Values, epochs: Scale, scale: Scale) -> list[tuple[float, float] | None]:
    return [
        None if value is None else (epochs.at(epoch), scale.at(value))
        for epoch, value in thinned(list(enumerate(values, start=1)), MOST_POINTS)
    ]


def _any(values: Values) -> bool:
    return any(value is not None for value in values)
