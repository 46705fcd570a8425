"""``hpo test``: open the sealed test rows for a stored model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from hpo.cli.options import (
    artifacts_option,
    json_option,
    model_option,
    storage_option,
    study_argument,
)
from hpo.cli.printing import emit, plain, room, wrapped
from hpo.cli.study_again import data_again_options, study_again


@click.command(short_help="Score a stored model on the sealed test rows; counted.")
@study_argument
@storage_option
@model_option
@data_again_options
@artifacts_option
@json_option
def test(model: str | None, as_json: bool, **options: Any) -> None:
    """Score a model of STUDY on the test rows.

    \b
    Example:
      hpo test digits --model ensemble

    Each model is one look at these rows, which is entered before they are read; the same model
    again gets its stored score. The more looks, the less the best of the scores can be believed.
    STUDY may be left out where there is only one.
    """
    document, why = _looked(model, options)
    if as_json:
        emit(json.dumps(document, allow_nan=False))
    else:
        emit("\n".join(wrapped(_lines(document, why), room())))


def _looked(model: str | None, options: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Open the test rows for the model; its score in plain values, and which model it is."""
    from hpo import models
    from storage.urls import masked

    with study_again(options) as experiment:
        store = experiment.store
        chosen = models.choose(store.rounds.read(lambda each: models.ready(each, store.uid)), model)
        look = experiment.look(models.load(store.artifacts, chosen), chosen.digest, chosen.why)
        looks = experiment.looks()
        document = {
            "study": experiment.study,
            "storage": masked(options["storage"]),
            "metric": experiment.settings.metric,
            "model": chosen.name,
            "digest": chosen.digest,
            "expected": chosen.expected,
            "expected_se": chosen.standard_error,
            "rows": experiment.prepared.rows["test"],
            "test": {"score": look.score, "look": look.order, "evaluations": len(looks)},
            "looks": [{"look": each.order, "why": each.why, "score": each.score} for each in looks],
        }
    return document, chosen.why


def _lines(document: Mapping[str, Any], why: str) -> list[str]:
    from hpo.cli.words import metric_word, plus_minus, score

    metric = metric_word(document["metric"])
    test, looks = document["test"], document["looks"]
    seen = "no finite score" if test["score"] is None else f"{metric} {score(test['score'])}"
    lines = [f"{plain(document['study'])}, {plain(why)}"]
    if document["expected"] is not None and document["expected_se"] is not None:
        promised = plus_minus(document["expected"], document["expected_se"])
        lines.append(f"expected: {metric} {promised}")
    lines.append(f"test: {seen} on {document['rows']} rows (look {test['look']})")
    if len(looks) > 1:
        lines.append(f"these rows were looked at {len(looks)} times:")
        for each in looks:
            found = "no finite score" if each["score"] is None else score(each["score"])
            lines.append(f"  look {each['look']}: {found}, {plain(each['why'])}")
    return lines
