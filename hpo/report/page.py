"""The report of a search: one page of HTML that loads nothing and runs no script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import Any
from xml.etree.ElementTree import Element

from hpo.report import combining, drawing, tables
from hpo.report.courses import courses, drawn
from hpo.report.markup import Child, document, element
from hpo.report.narrowing import MOST_DOTS, funnel, legend_entries
from hpo.report.records import Study
from hpo.report.story import Section, story
from hpo.report.words import metric_word, plus_minus, score, scored_word

BEST = 20
"""How many trials the table of the best shows, as many as have their curves drawn."""

FAILURES = 20


def report(study: Study) -> str:
    """The whole page."""
    parts = [part for part in _parts(study) if part is not None]
    contents = [
        element("li", element("a", title.text or "", href=f"#{part.get('id')}"))
        for part in parts
        if (title := part.find("h2")) is not None
    ]
    body = element(
        "body",
        element(
            "main",
            _head(study),
            element("nav", element("ul", *contents), aria_label="Contents"),
            *parts,
        ),
    )
    style = files("hpo.report").joinpath("page.css").read_text(encoding="utf-8")
    return document(f"{study.name}: report of a search", style, body)


def _head(study: Study) -> Element:
    made = study.made[:16].replace("T", " ")
    about = f"A search of {study.data.source}, begun {made} UTC, kept in {study.storage}."
    figures = [
        element("div", element("dt", name), element("dd", value)) for name, value in _figures(study)
    ]
    return element(
        "header",
        element("h1", study.name),
        element("p", about, class_="about"),
        element("dl", *figures, class_="figures"),
    )


def _figures(study: Study) -> Iterator[tuple[str, str]]:
    """The numbers that are looked for first."""
    metric = metric_word(study.metric)
    winner = study.winner
    if winner is not None and winner.value is not None:
        yield f"winner's {scored_word(study.cv)} {metric}", score(winner.value)
    found = study.selection.record if study.selection else {}
    if found.get("expected") is not None and found.get("expected_se") is not None:
        yield f"{metric} to expect", plus_minus(found["expected"], found["expected_se"])
    seen = [each for each in study.looks if each.score is not None]
    if seen:
        yield f"test {metric}, look {seen[-1].order}", score(seen[-1].score or 0.0)
    done = [f"{count:,} {state}" for state, count in study.counts.items() if count]
    yield "trials", ", ".join(done) or "none"


def _parts(study: Study) -> Iterator[Element | None]:
    yield _part("story", "The story", *map(_told, story(study)))
    if study.rounds:
        yield _part("rounds", "Rounds", _funnels(study), tables.rounds(study))
    if study.ranked:
        yield _part("trials", "The best trials", _courses(study), tables.best_trials(study, BEST))
    yield _maybe("winner", "How the winner was chosen", tables.candidates(study))
    for place, each in enumerate(study.ensembles):
        yield _ensemble(study, each, place)
    yield _maybe("test", "The test rows", tables.looks(study))
    yield _maybe("failures", "Failed trials", tables.failures(study, FAILURES))
    if study.commands:
        yield _part("again", "To search it again", *_commands(study))
    yield _part("facts", "Settings, versions and data", *_facts(study))


def _part(name: str, title: str, *children: Child) -> Element:
    heading = element("h2", title, id=f"{name}-title")
    return element("section", heading, *children, id=name, aria_labelledby=f"{name}-title")


def _maybe(name: str, title: str, child: Element | None) -> Element | None:
    return None if child is None else _part(name, title, child)


def _told(section: Section) -> Element:
    sentences = element("ul", *(element("li", each) for each in section.sentences))
    warns = "caveats" if section.title.startswith("What not") else None
    return element("div", element("h3", section.title), sentences, class_=warns)


def _figure(caption: str, class_: str, key: Element | None, pictures: Sequence[Element]) -> Element:
    return element(
        "figure", element("figcaption", caption), key, element("div", *pictures, class_=class_)
    )


def _funnels(study: Study) -> Element:
    caption = "What each round searched of each parameter, and where its trials lay."
    if any(each.log for each in study.parameters):
        caption += " Scales are logarithmic where the search was."
    if len(study.trials) > MOST_DOTS:
        caption += f" {MOST_DOTS:,} of the {len(study.trials):,} trials are drawn."
    present = {"band", "good", "other", "winner"} | ({"failed"} if study.failed else set())
    entries = [each for each in legend_entries() if each[0] in present]
    pictures = [
        funnel(study, each) for each in study.parameters if each.name in study.rounds[0].ranges
    ]
    return _figure(caption, "wide", _key(entries), pictures)


def _courses(study: Study) -> Element | None:
    pictures, of = courses(study), drawn(study)
    if of is None:
        return None
    caption = (
        f"{of.says} after each epoch of the best {len(pictures)} trials, all to one scale; "
        "what lies outside of it is drawn at its edge."
    )
    entries = [("validation", "validation"), ("train", "training (dashed)")]
    return _figure(caption, "small", _key(entries), pictures)


def _key(entries: Sequence[tuple[str, str]]) -> Element:
    """What the marks mean."""
    return element(
        "ul", *(element("li", _sample(name), says) for name, says in entries), class_="key"
    )


def _sample(name: str) -> Element:
    mark: Element | None
    if name in {"validation", "train"}:
        mark = drawing.line((0, 7), (24, 7), name)
    elif name == "band":
        mark = drawing.box(2, 2, 22, 12, name)
    elif name == "failed":
        mark = drawing.cross((12, 7), 3, name)
    else:
        mark = drawing.dot((12, 7), 5 if name == "winner" else 3.5, name)
    return element("svg", mark, viewBox="0 0 24 14", aria_hidden="true")


def _ensemble(study: Study, record: Any, place: int) -> Element:
    pictures = [combining.leaderboard(record)]
    pictures += [
        each for each in (combining.size_curve(record), combining.reliability(record))
        if each is not None
    ]  # fmt: skip
    caption = (
        f"{combining.loss_word(record)} of methods (orange) and members (blue), each on rows that "
        "had no part in it; how many members help; how often it is right when it is so sure."
    )
    name = f"ensemble-{place + 1}"
    return _part(
        name,
        f"Ensemble: {record['name']}",
        _figure(caption, "wide", None, pictures),
        tables.methods(record, study.metric),
        tables.members(record, study.metric),
        tables.diversity(record),
    )


def _commands(study: Study) -> Iterator[Element]:
    yield element("p", "The same trials, on one kind of processor and with the same versions:")
    yield element("pre", element("code", "\n".join(study.commands)))


def _facts(study: Study) -> Iterator[Element]:
    data = study.data
    settings = [(name, _shown(value)) for name, value in study.settings.items() if name != "space"]
    yield tables.facts("Settings", settings)
    yield tables.facts("Versions that it began with", list(study.versions.items()))
    prints = [
        ("source", data.source),
        ("rows", f"{data.rows:,}"),
        ("SHA-256 of what was read", data.sha256),
        (f"target {data.target}", data.target_sha256),
    ]
    if data.test_file is not None:
        prints.append(("test rows from", data.test_file))
    yield tables.facts("Data", prints)
    columns = tables.facts("SHA-256 of each column", list(data.columns.items()))
    yield element("details", element("summary", f"{len(data.columns):,} columns"), columns)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_shown, value)) or "none"
    return "none" if value is None else str(value)
