"""A trial on the screen, drawn from the document of ``hpo show``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hpo.cli.front import cost
from hpo.cli.plot import Curve, plot
from hpo.cli.printing import plain, wrapped
from hpo.cli.words import metric_word, parameter, parameter_word, score, scored_word

WIDEST, HEIGHT = 72, 8
"""Of a plot, in characters."""

VALIDATION, TRAINING = "•", "·"

Document = Mapping[str, Any]


def trial_lines(document: Document, width: int | None) -> list[str]:
    """All of a trial, in lines of at most ``width``."""
    lines = wrapped(_facts(document), width)
    params = [
        f"{parameter_word(name)}: {plain(parameter(value))}"
        for name, value in document["params"].items()
    ]
    if params:
        lines += ["", *wrapped(params, width)]
    for title, kind in (("loss", "loss"), (metric_word(document["metric"]), "score")):
        drawn = _drawn(document["curves"], title, kind, min(WIDEST, width or WIDEST))
        if drawn:
            lines += ["", *wrapped(drawn[:1], width), *drawn[1:]]
    return lines


def _facts(document: Document) -> Iterator[str]:
    rank, count = document["rank"], document["of"]
    place = "" if rank is None else f", place {rank} of {count}"
    yield f"{plain(document['study'])}, trial {document['trial']}: {document['state']}{place}"
    if document["reason"] is not None:
        yield f"why: {plain(document['reason'])}"
    if document["validation"] is not None:
        yield ", ".join(_scores(document))
    for name, value in (document.get("costs") or {}).items():
        title, show = cost(name)
        yield f"{title}: {show(value)}"
    if trained := list(_training(document)):
        yield f"trained: {', '.join(trained)}"
    if document["state"] in {"complete", "pruned"} and document["train"] is not None:
        kept = "is kept" if document["network_kept"] else "is not kept, only its predictions are"
        yield f"network: {kept}"


def _scores(document: Document) -> Iterator[str]:
    metric = metric_word(document["metric"])
    yield f"{scored_word(document['cv'])} {metric} {score(document['validation'])}"
    if document["train"] is not None:
        yield f"train {metric} {score(document['train'])}"
        yield f"gap {score(document['gap'])}"


def _training(document: Document) -> Iterator[str]:
    epochs, best = document["epochs"], document["best_epoch"]
    if epochs is not None:
        yield f"{epochs} epochs" if epochs != 1 else "1 epoch"
    if best is not None and best != epochs:
        yield f"the best was epoch {best}"
    if document["seconds"] is not None:
        yield f"{document['seconds']:.2f} s"


def _drawn(curves: Document, title: str, kind: str, width: int) -> list[str]:
    """A plot of the training and the validation curve of this kind; nothing if there are none."""
    known = {"validation": curves.get(f"val_{kind}"), "training": curves.get(f"train_{kind}")}
    marks = {"training": TRAINING, "validation": VALIDATION}
    drawn: list[Curve] = [(mark, known[name] or []) for name, mark in marks.items() if known[name]]
    lines = plot(drawn, width, HEIGHT)
    if not lines:
        return []
    legend = ", ".join(f"{mark} {name}" for name, mark in reversed(marks.items()) if known[name])
    return [f"{title} by epoch: {legend}", *lines]
