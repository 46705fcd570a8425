"""A study on the screen, drawn from the document of ``hpo show``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hpo.cli.front import cost
from hpo.cli.leaderboard import scores_alike
from hpo.cli.printing import plain, wrapped
from hpo.cli.tables import Column, Value, text_table
from hpo.cli.words import (
    metric_word,
    parameter,
    parameter_word,
    plus_minus,
    score,
    scored_word,
    searched,
    size,
)
from hpo.data.wording import counted

MOST_COLUMNS = 3
"""Parameters that the table of rounds has columns for."""

_HASH = 12
"""Digits of a hash that a person compares."""

Document = Mapping[str, Any]


def study_lines(document: Document, width: int | None) -> list[str]:
    """All of a study, in lines of at most ``width``."""
    parts = [
        wrapped(_head(document), width),
        _rounds(document, width),
        _best(document, width),
        wrapped(_failures(document), width),
        _winner(document, width),
        wrapped(_ensembles(document), width),
        wrapped(_looks(document), width),
        _commands(document),
    ]
    lines: list[str] = []
    for part in filter(None, parts):
        lines += ["", *part] if lines else part
    return lines


def _head(document: Document) -> Iterator[str]:
    settings, made = document["settings"] or {}, document["made"]
    task = f": {settings['task']}" if "task" in settings else ""
    when = f", made {made[:16].replace('T', ' ')} UTC" if made else ""
    yield f"{plain(document['study'])}{task}{when}"
    if document["data"] is not None:
        yield f"data: {_data(document['data'])}"
    if (document["split"] or {}).get("rows"):
        yield f"split: {_split(document)}"
    if document["network"] is not None:
        layers = "-".join(map(str, document["network"]))
        yield f"networks: {layers}, {document['weights']:,} weights each"
    if settings:
        yield f"settings: {', '.join(_settings(settings))}"
    if document["versions"]:
        versions = (f"{name} {each}" for name, each in document["versions"].items())
        yield f"versions: {plain(', '.join(versions))}"
    yield f"storage: {plain(document['storage'])}"
    counts = [f"{count} {state}" for state, count in document["trials"].items() if count]
    yield f"trials: {', '.join(counts) or 'none yet'}"


def _data(data: Document) -> str:
    facts = [plain(data["source"])]
    if data["rows"] is not None:
        facts.append(counted(data["rows"], "row"))
    if data["columns"] is not None:
        facts.append(counted(len(data["columns"]), "column"))
    if data["target"]:
        facts.append(f"target {plain(data['target'])!r}")
    if data["sha256"]:
        facts.append(f"sha256 {data['sha256'][:_HASH]}")
    return ", ".join(facts)


def _split(document: Document) -> str:
    split = document["split"]
    rows, cv = split["rows"], document["cv"]
    train, test = f"{rows['train']:,} training", f"{rows['test']:,} test rows"
    parts = f"{train}, {rows['validation']:,} validation and {test}"
    if cv is not None:
        parts = f"{train} rows in {cv} folds and {test}"
    test_file = f" of {plain(split['test_file'])}" if split["test_file"] else ""
    return f"{parts}{test_file}, seed {split['seed']}"


def _settings(settings: Document) -> Iterator[str]:
    """Those that say something; ranges and places stand elsewhere."""
    for name, value in settings.items():
        if name in {"space", "task", "header"} or value is None or value in ([], False):
            continue
        if name == "points":
            yield counted(len(value), "point") + " of one's own"
            continue
        shown = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        yield plain(name if value is True else f"{name.replace('_', ' ')} {shown}")


def _scored(document: Document) -> str:
    return f"{scored_word(document['cv'])} {metric_word(document['metric'])}"


def _rounds(document: Document, width: int | None) -> list[str]:
    """A table of the rounds; where it is too wide, ranges stand in one of their own."""
    rounds = document["rounds"]
    if not rounds:
        return []
    columns = [
        Column("round", [each["round"] + 1 for each in rounds], weight=9),
        Column("trials", [each["trials"] for each in rounds], weight=8),
        Column(
            f"best {_scored(document)}",
            [each["best"] for each in rounds],
            scores_alike([each["best"] for each in rounds]),
            weight=7,
        ),
    ]
    names = list(rounds[0]["ranges"])
    ranges = [
        Column(parameter_word(name), [searched(each["ranges"][name]) for each in rounds],
               right=False)
        for name in names
    ]  # fmt: skip
    if len(names) <= MOST_COLUMNS:
        table, hidden = text_table([*columns[:2], *ranges, *columns[2:]], width)
        if not hidden:
            return table
    table, _ = text_table(columns, width)
    return [*table, "", *wrapped(_narrowed(rounds), width)]


def _narrowed(rounds: Sequence[Document]) -> Iterator[str]:
    """For each parameter what the first round searched, and what the last one did."""
    first, last = rounds[0]["ranges"], rounds[-1]["ranges"]
    for name, full in first.items():
        left = "" if last[name] == full else f", at last {searched(last[name])}"
        yield f"{parameter_word(name)}: {searched(full)}{left}"


def _best(document: Document, width: int | None) -> list[str]:
    best = document["best"]
    if not best:
        return []
    shown = scores_alike([each[name] for each in best for name in ("validation", "train")])
    names = dict.fromkeys(name for each in best for name in each["params"])

    def column(title: str, name: str, weight: int) -> Column:
        return Column(title, [each[name] for each in best], shown, weight=weight)

    columns = [
        Column("rank", [each["rank"] for each in best], weight=9),
        Column("trial", [each["trial"] for each in best], weight=8),
        column(_scored(document), "validation", 8),
        column("train", "train", 3),
        column("gap", "gap", 4),
        *_costs(best),
        Column("seconds", [each["seconds"] for each in best], _seconds, weight=2),
        *(
            Column(
                parameter_word(name),
                [each["params"].get(name) for each in best],
                _parameter,
                weight=max(5, 7 - place),
                short=parameter_word(name).rpartition(" ")[2],
            )
            for place, name in enumerate(names)
        ),
    ]
    table, hidden = text_table(columns, width)
    without = [f"no room for {', '.join(hidden)}: --json has all"] if hidden else []
    return [*table, *wrapped(without, width)]


def _costs(best: Sequence[Document]) -> Iterator[Column]:
    """A column for each objective besides the score."""
    for name in best[0].get("costs", {}):
        title, show = cost(name)
        yield Column(title, [each["costs"].get(name) for each in best], show, weight=8)


def _seconds(value: Value) -> str:
    return f"{value:.2f}" if isinstance(value, int | float) else "-"


def _parameter(value: Value) -> str:
    return "-" if value is None else plain(parameter(value))


def _failures(document: Document) -> Iterator[str]:
    for reason, numbers in document["failures"].items():
        which = ", ".join(map(str, numbers[:5])) + (" and others" if len(numbers) > 5 else "")
        trials = f"trials {which}" if len(numbers) > 1 else f"trial {which}"
        yield f"failed: {trials}: {plain(reason)}"


def _winner(document: Document, width: int | None) -> list[str]:
    winner = document["winner"]
    if winner is None:
        return []
    metric = metric_word(document["metric"])
    lines = [f"winner after {winner['of']} trials: trial {winner['trial']}, {_how(winner)}"]
    expected, error = winner["expected"], winner["expected_se"]
    if expected is not None:
        promised = score(expected) if error is None else plus_minus(expected, error)
        lines.append(f"expected on new rows: {metric} {promised}")
    return [*wrapped(lines, width), *_candidates(document, width)]


def _how(winner: Document) -> str:
    candidates = winner["candidates"]
    if not candidates:
        return "by its score alone"
    folds, repeats = winner["folds"], winner["repeats"]
    where = f"over {folds} folds" if folds else f"{repeats} times with other seeds"
    refit = f", then trained on all {winner['refit']:,} rows" if winner["refit"] else ""
    return f"chosen of {len(candidates)} that were trained again {where}{refit}"


def _candidates(document: Document, width: int | None) -> list[str]:
    """What the candidates for the winner scored when they were trained again, best first."""
    winner = document["winner"]
    candidates = winner["candidates"] or []
    if not candidates:
        return []
    values = scores_alike([each["value"] for each in candidates])
    marks = ["*" if each["trial"] == winner["trial"] else "" for each in candidates]
    numbers = [f"{mark}{each['trial']}" for mark, each in zip(marks, candidates, strict=True)]
    table, _ = text_table(
        [
            Column("trial", numbers, weight=9),
            Column(
                f"{_scored(document)} again", [each["value"] for each in candidates], values,
                weight=8, short="again",
            ),
            Column("±", [each["standard_error"] for each in candidates], values, weight=7),
            Column("gap", [each["gap"] for each in candidates], values, weight=6),
        ],
        width,
    )  # fmt: skip
    return ["", *table]


def _ensembles(document: Document) -> Iterator[str]:
    metric = metric_word(document["metric"])
    for each in document["ensembles"]:
        expected, error, members = each["expected"], each["expected_se"], each["members"]
        promised = ""
        if expected is not None and error is not None:
            promised = f", expected {metric} {plus_minus(expected, error)}"
        models = counted(sum(member["models"] for member in members), "model")
        n_bytes = size(sum(member["bytes"] for member in members))
        name = plain(each["name"])
        yield f"ensemble {name!r}: {each['method']} of {models}{promised}, {n_bytes}"


def _looks(document: Document) -> Iterator[str]:
    looks = document["looks"]
    if document["made"] is None:
        return
    times = {0: "nobody has looked at them", 1: "looked at once"}
    yield f"test rows: {times.get(len(looks), f'looked at {len(looks)} times')}"
    for each in looks:
        found = "no finite score" if each["score"] is None else score(each["score"])
        yield f"  look {each['look']}: {found}, {plain(each['why'])}"


def _commands(document: Document) -> list[str]:
    """Whole lines, however long: what is broken cannot be copied."""
    if not document["commands"]:
        return []
    return ["to make it again:", *(f"  {plain(each)}" for each in document["commands"])]
