"""``hpo test``: open the sealed test rows for a stored model."""

from __future__ import annotations

import json

import click

from hpo.cli.options import artifacts_option, data_again_options, storage_option
from hpo.cli.printing import emit, plain, room, wrapped


@click.command(short_help="Score a stored model on the sealed test rows; counted.")
@click.argument("study", required=False)
@storage_option
@click.option(
    "--model",
    metavar="NAME",
    help="The winner, or an ensemble by its name. Default: that with the best promised score.",
)
@data_again_options
@artifacts_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def test(
    study: str | None,
    storage: str,
    model: str | None,
    data: str | None,
    labels: str | None,
    artifacts: str | None,
    as_json: bool,
) -> None:
    """Score a model of STUDY on the test rows.

    \b
    Example:
      hpo test digits --model ensemble

    Each model is one look at these rows, which is entered before they are read; the same model
    again gets its stored score. The more looks, the less the best of the scores can be believed.
    STUDY may be left out where there is only one.
    """
    import optuna

    from hpo import models
    from hpo.cli.words import metric_word, plus_minus, score
    from hpo.joining import Joining
    from hpo.reopening import reopened
    from storage.urls import masked

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with reopened(
        study, storage, data=data, labels=labels, joining=Joining(artifacts)
    ) as experiment:
        store = experiment.store
        chosen = models.choose(store.rounds.read(lambda each: models.ready(each, store.uid)), model)
        look = experiment.look(models.load(store.artifacts, chosen), chosen.digest, chosen.why)
        looks = experiment.looks()
        rows = experiment.prepared.rows["test"]
    document = {
        "study": experiment.study,
        "storage": masked(storage),
        "metric": experiment.settings.metric,
        "model": chosen.name,
        "digest": chosen.digest,
        "expected": chosen.expected,
        "expected_se": chosen.standard_error,
        "rows": rows,
        "test": {"score": look.score, "look": look.order, "evaluations": len(looks)},
        "looks": [{"look": each.order, "why": each.why, "score": each.score} for each in looks],
    }
    if as_json:
        emit(json.dumps(document, allow_nan=False))
        return
    metric = metric_word(experiment.settings.metric)
    seen = "no finite score" if look.score is None else f"{metric} {score(look.score)}"
    lines = [f"{plain(experiment.study)}, {plain(chosen.why)}"]
    if chosen.expected is not None and chosen.standard_error is not None:
        lines.append(f"expected: {metric} {plus_minus(chosen.expected, chosen.standard_error)}")
    lines.append(f"test: {seen} on {rows} rows (look {look.order})")
    if len(looks) > 1:
        lines.append(f"these rows were looked at {len(looks)} times:")
        for each in looks:
            found = "no finite score" if each.score is None else score(each.score)
            lines.append(f"  look {each.order}: {found}, {plain(each.why)}")
    emit("\n".join(wrapped(lines, room())))
