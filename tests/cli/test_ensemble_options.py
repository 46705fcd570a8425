"""What ``hpo ensemble`` says without importing what it speaks of is still so."""

from __future__ import annotations

from hpo.cli.ensemble import METHODS, ensemble
from hpo.ensembling import assembling
from hpo.ensembling.building import DEFAULT_METHODS, DEFAULT_NAME


def test_the_methods_are_those_that_there_are() -> None:
    assert (*assembling.METHODS, *assembling.REWEIGHTED) == METHODS


def test_the_defaults_are_those_of_a_plan() -> None:
    defaults = {each.name: each.default for each in ensemble.params}
    assert defaults["methods"] == ",".join(DEFAULT_METHODS)
    assert defaults["name"] == DEFAULT_NAME
