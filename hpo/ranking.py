"""Which trials are ours, and which is better."""

from __future__ import annotations

from collections.abc import Sequence

from storage.records import TrialRecord

EXPERIMENT_ATTRIBUTE = "hpo:experiment"
"""The user attribute of a study that holds our experiment's uid."""

OURS = "train"
"""The attribute that every complete trial of ours has: the metric on the training rows."""

WINNER = "winner"
"""What the model is called that a search hands over, among a study's models."""


def rank(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The complete trials of ours, best first; of equal ones the cheaper, then the lower number.

    What another program added to the study has no network and no predictions, so it cannot win.
    """
    ours = [each for each in trials if each.value is not None and OURS in each.attributes]
    return sorted(ours, key=lambda each: (-(each.value or 0.0), each.costs, each.number))
