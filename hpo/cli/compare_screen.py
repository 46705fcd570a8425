"""A comparison as it is shown on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hpo.cli.printing import plain, wrapped
from hpo.cli.tables import Column, text_table
from hpo.cli.words import metric_word, score

Record = Mapping[str, Any]

_HOLDS = {
    "yes": "Here it is so",
    "no": "Not here",
    "partly": "Here it is so in part",
    "untold": "Here the noise between seeds is too large to tell",
}


def comparison_lines(document: Record, width: int | None) -> list[str]:
    """What is shown of the JSON object of ``--json``, in so many columns."""
    table, hidden = text_table(_columns(document), width)
    lines = [*_head(document), "", *table, *_notes(document, hidden), "", document["finding"]]
    if document["textbook"] is not None:
        lines.append(_textbook(document["textbook"]))
    lines.append(f"trained in {document['seconds']:.1f} s")
    return wrapped(lines, width)


def _head(document: Record) -> list[str]:
    rows, hidden = document["rows"], document["network"][1:-1]
    what = document["what"].replace("-", " ")
    common = [f"layers of {','.join(map(str, hidden))}"]
    if document["what"] != "activation":
        common.append(document["activation"])
    if document["what"] != "optimizer":
        common.append(document["optimizer"])
    rates = {each["params"]["learning_rate"] for each in document["choices"]}
    if len(rates) == 1:
        common.append(f"learning rate {rates.pop():g}")
    common += [f"batches of {document['batch_size']}", f"{document['epochs']} epochs"]
    counts = f"{rows['train']} training and {rows['validation']} validation rows"
    return [f"{plain(document['data'])}: {what}, {counts}", ", ".join(common)]


def _columns(document: Record) -> list[Column]:
    titles = {"val_loss": "val loss", "best_val_loss": "best val loss"}
    judged = document["judged_by"]
    (other,) = set(titles) - {judged}
    choices = sorted(document["choices"], key=lambda each: _place(each[judged], each))
    metric = metric_word(document["metric"])
    rates = [each["params"]["learning_rate"] for each in choices]

    def spread(title: str, name: str, weight: int) -> Column:
        return Column(title, [_spread(each[name]) for each in choices], weight=weight)

    columns = [
        Column("choice", [each["choice"] for each in choices], right=False, weight=9),
        spread(titles[judged], judged, 8),
        spread(f"val {metric}", "val_score", 7),
        Column("to level", [_to_level(each) for each in choices], weight=6),
        spread("gap", "gap", 5),
        spread(f"train {metric}", "train_score", 3),
        spread(titles[other], other, 2),
        spread(f"best val {metric}", "best_val_score", 1),
        Column("s", [f"{each['seconds']:.2f}" for each in choices], weight=4),
    ]
    if len(set(rates)) > 1:
        columns.insert(1, Column("lr", [f"{rate:g}" for rate in rates], weight=5))
    if any(each["epochs"]["mean"] < document["epochs"] for each in choices if each["epochs"]):
        columns.insert(2, spread("epochs", "epochs", 6))
    return columns


def _place(loss: Record | None, choice: Record) -> tuple[int, float]:
    """The best first, and those that failed last."""
    return (choice["failed"], float("inf") if loss is None else loss["mean"])


def _spread(found: Record | None) -> str:
    if found is None:
        return "-"
    mean, deviation = found["mean"], found["sd"]
    if deviation is None:
        return score(mean)
    if abs(mean) >= 100 or (0 < abs(mean) < 0.01 and deviation < 0.001):
        return f"{mean:.3g} ± {deviation:.2g}"
    return f"{mean:.3f} ± {deviation:.3f}"


def _to_level(choice: Record) -> str:
    found, count = choice["epochs_to_level"], len(choice["seeds"])
    if not found["reached"]:
        return "never" if count else "-"
    mean = f"{found['mean']:.1f}"
    spread = mean if found["sd"] is None else f"{mean} ± {found['sd']:.1f}"
    return spread if found["reached"] == count else f"{spread} ({found['reached']} of {count})"


def _notes(document: Record, hidden: list[str]) -> list[str]:
    """What the columns mean."""
    seeds = document["n_seeds"]
    notes = [f"± is the standard deviation over {seeds} seeds"] if seeds > 1 else []
    level = f"to level: epochs to a validation loss of {document['level']:g}"
    if not document["level_is_given"]:
        level += (
            f", 90 % of the way from guessing ({score(document['guess'])}) to the lowest mean curve"
        )
    notes.append(level)
    notes.append("gap: training minus validation score; s: seconds for one network")
    if hidden:
        notes.append(f"no room for {', '.join(hidden)}: --json has all")
    return notes


def _textbook(found: Record) -> str:
    said = f"Textbooks: {found['claim']}. {_HOLDS[found['holds']]}"
    return f"{said}: {found['found']}." if found["found"] else f"{said}."
