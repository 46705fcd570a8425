"""A study of plain values, made by hand, and a reader of pages that is not ours."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from hpo.report.records import Data, Look, Parameter, Round, Selection, Study, Trial

FULL = [1e-5, 1e-1]
ENSEMBLE: dict[str, Any] = {
    "study": "made",
    "name": "ensemble",
    "method": "greedy",
    "loss": "log_loss",
    "folds": 5,
    "rows": 80,
    "expected": 0.95,
    "expected_se": 0.02,
    "methods": [
        {"method": "best", "loss": 0.4, "score": 0.9},
        {"method": "greedy", "loss": 0.2, "score": 0.95},
    ],
    "members": [
        {"name": "trial 2", "models": 5, "loss": 0.4, "score": 0.9, "weight": 0.75, "adds": 0.1,
         "bytes": 2000},
        {"name": "forest", "models": 5, "loss": 0.5, "score": 0.8, "weight": 0.25, "adds": 0.05,
         "bytes": 4000},
    ],
    "size_curve": [0.4, 0.2, 0.3],
    "reliability": {
        "probability": [None, 0.6, 0.9], "hits": [None, 0.5, 1.0], "rows": [0, 30, 50],
        "error": 0.1,
    },
    "diversity": {
        "measure": "disagreement",
        "names": ["trial 2", "forest"],
        "matrix": [[0.0, 0.25], [0.25, None]],
    },
}  # fmt: skip


def trial(number: int, rank: int | None, value: float | None, **more: Any) -> Trial:
    """A trial of rounds of two."""
    known: dict[str, Any] = {
        "number": number,
        "round": number // 2,
        "state": "failed" if rank is None else "complete",
        "rank": rank,
        "value": value,
        "train": None if value is None else value + 0.05,
        "seconds": 0.25,
        "params": {"learning_rate": 10.0 ** -(number + 1), "kind": "a"},
        "reason": "diverged in epoch 3: the loss was not finite" if rank is None else None,
        "curves": {}
        if rank is None
        else {"train_score": [0.5, 0.9], "val_score": [0.4, 0.8], "val_loss": [1.0, 0.5]},
    }
    return Trial(**{**known, **more})


def made(**changes: Any) -> Study:
    """A study of four trials in two rounds, one of which failed."""
    known: dict[str, Any] = {
        "name": "made",
        "storage": "sqlite:///hpo.db",
        "made": "2026-01-02T03:04:05+00:00",
        "settings": {
            "target": "y", "header": True, "numeric": [], "task": "classification",
            "metric": "accuracy", "optimizer": "adam", "epochs": 2, "seed": 7, "rounds": 2,
            "sampler": "narrowing", "hidden": [64, 64], "space": {}, "cv": None,
            "objectives": ["score"], "group": None, "time": None, "pruner": "none",
        },
        "versions": {"hpo": "0.1.0", "numpy": "2.0.0"},
        "data": Data("/data/made.csv", 200, {"a": "00ff", "b": "11ee"}, "y", "22dd", "33cc",
                     {"train": 64, "validation": 36, "test": 100}, None),
        "network": (2, 64, 64, 2),
        "weights": 4482,
        "trials_per_round": 2,
        "parameters": [
            Parameter("learning_rate", 1e-5, 1e-1, log=True),
            Parameter("kind", choices=("a", "b")),
        ],
        "rounds": [
            Round(0, {"learning_rate": FULL, "kind": {"choices": ["a", "b"]}}, 2, 0.8),
            Round(1, {"learning_rate": [1e-4, 1e-3], "kind": {"choices": ["a"]}}, 2, 0.9),
        ],
        "trials": [trial(2, 1, 0.9), trial(1, 2, 0.88), trial(3, 3, 0.5), trial(0, None, None)],
        "counts": {"complete": 3, "failed": 1},
        "importances": {"learning_rate": 0.75, "kind": 0.25},
        "selection": Selection(2, 5, False, {
            "expected": 0.87, "expected_se": 0.04, "folds": 5, "networks": 5,
            "candidates": [
                {"trial": 2, "values": [0.8, 0.9], "value": 0.85, "standard_error": 0.05,
                 "gap": 0.1},
                {"trial": 1, "values": [0.7, 0.9], "value": 0.8, "standard_error": 0.1,
                 "gap": 0.2},
            ],
        }),
        "edges": {},
        "ensembles": [ENSEMBLE],
        "looks": [Look(1, "winner of the search (trial 2)", 0.9)],
        "commands": ("hpo search made.csv --target y",),
    }  # fmt: skip
    return Study(**{**known, **changes})


class Page(HTMLParser):
    """What a page holds: its elements with their attributes and texts, by a parser of Python's."""

    VOID = ("meta", "br", "hr", "img", "link", "input")

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self._open: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.unbalanced: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        made: tuple[str, dict[str, str | None], list[str]] = (tag, dict(attrs), [])
        self.elements.append(made)
        if tag not in self.VOID:
            self._open.append(made)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop()[0] != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data: str) -> None:
        for _, _, texts in self._open:
            texts.append(data)

    def texts(self, tag: str) -> list[str]:
        """The text of each element of this kind."""
        return ["".join(texts) for name, _, texts in self.elements if name == tag]

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of each element of this kind."""
        return [found for name, found, _ in self.elements if name == tag]

    def table(self, caption: str) -> list[list[str]]:
        """The cells of the table whose caption begins so, row by row."""
        rows: list[list[str]] = []
        inside = False
        for name, _, texts in self.elements:
            if name == "caption":
                inside = "".join(texts).startswith(caption)
            elif inside and name == "tr":
                rows.append([])
            elif inside and name in {"th", "td"}:
                rows[-1].append("".join(texts))
        return rows
