"""The command that makes a study again: what is parsed from it are the study's settings."""

from __future__ import annotations

from typing import Any

import click
import pytest

from hpo.cli.app import cli
from hpo.cli.search_settings import settings_of
from hpo.data.loading import load
from hpo.reproduction import Course, commands
from hpo.search.notation import parse_item, write_item


def parsed(typed: list[str]) -> dict[str, Any]:
    group = click.Context(cli, info_name="hpo")
    return cli.commands["search"].make_context("search", typed, parent=group).params


@pytest.mark.parametrize(
    "options",
    [
        "",
        "--target x --no-header --numeric a --numeric b --group g --test-size 0.3",
        "--time t --validation-size 0.25 --metric r2 --task regression",
        "--rounds 3 --sampler nsga2 --objectives score,size --seed 5",
        "--pruner rungs --async --hidden 8,16 --optimizer sgd --epochs 7 --batch-size 48",
        "--patience 3 --schedule one_cycle --cv 4",
        "--space learning_rate=0.000123456789..0.1:log --space batch_size=16..1234567",
        "--space hidden=4|8,8 --space dropout=0..0.30000000000000004",
        "--space wide --space activation=tanh",
        "--point learning_rate=0.0123456789012345,weight_decay=1 --warm-start other",
    ],
)
def test_the_settings_are_the_same(options: str) -> None:
    dataset = load("diabetes" if "regression" in options else "iris")
    settings = settings_of(dataset, parsed(options.split()))
    course = Course(100, -(-100 // settings.rounds))
    (words,) = commands("s", "iris", "sqlite:///hpo.db", settings, course, None)
    assert words[:3] == ["hpo", "search", "iris"]
    assert settings_of(dataset, parsed(words[2:])) == settings


@pytest.mark.parametrize(
    ("course", "totals"),
    [
        (Course(100, 20), [None]),  # the default
        (Course(10, 2), ["10"]),
        (Course(9, 2), ["9"]),
        (Course(4, 20), [None]),  # stopped in its first round
        (Course(4, 2), ["10"]),
        (Course(120, 20), [None, "120"]),  # more were asked for later
        (Course(11, 2), ["10", "11"]),
    ],
)
def test_the_totals_give_rounds_of_the_same_size(course: Course, totals: list[str | None]) -> None:
    settings = settings_of(load("iris"), parsed([]))
    found = commands("iris", "iris", "sqlite:///hpo.db", settings, course, None)
    given = [parsed(words[2:])["trials"] for words in found]
    assert given == [100 if total is None else int(total) for total in totals]
    assert -(-given[0] // settings.rounds) == course.per_round


def test_what_is_no_setting() -> None:
    settings = settings_of(load("iris"), parsed([]))
    course = Course(100, 20, repeats=0, refit=True, sealed=True)
    (words,) = commands("mine", "my data.csv", "sqlite:///x.db", settings, course, "test.csv")
    options = parsed(words[2:])
    assert (options["study"], options["storage"]) == ("mine", "sqlite:///x.db")
    assert (options["data"], options["test_file"]) == ("my data.csv", "test.csv")
    assert (options["repeats"], options["refit"], options["keep_sealed"]) == (0, True, True)


@pytest.mark.parametrize("text", ["l1=1.23456789e-07..1e-4:log", "batch_size=2..12345678"])
def test_ranges_are_written_to_the_last_digit(text: str) -> None:
    name, distribution = parse_item(text)
    assert parse_item(write_item(name, distribution)) == (name, distribution)
