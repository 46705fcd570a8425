"""``hpo check``, and what ``hpo search`` says of it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click
import numpy as np
import pytest

from hpo.cli.check import check
from hpo.cli.plots import rough_curve
from hpo.cli.search import search
from tests.running import QUICK, Hpo

LEAK = (
    "note: 'later': 'ill' follows from it alone (dependence 1.000 of 1); delete the column, "
    "unless it is known before the target is"
)


def write(path: Path, *, leak: bool) -> None:
    """A table of 300 rows; with a leak the columns `number` and `later` too."""
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(2, 300))
    ill = x + z + rng.normal(size=300) > 0
    lines = ["x,z,ill" + ",number,later" * leak]
    for i in range(300):
        more = f",{i + 1},{'kept' if ill[i] else 'home'}" if leak else ""
        lines.append(f"{x[i]:.6f},{z[i]:.6f},{'yes' if ill[i] else 'no'}{more}")
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def leaky(tmp_path: Path) -> Path:
    write(tmp_path / "leaky.csv", leak=True)
    return tmp_path / "leaky.csv"


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    write(tmp_path / "sound.csv", leak=False)
    return tmp_path / "sound.csv"


def test_findings_come_the_worst_first(
    hpo: Hpo, leaky: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    ran = hpo("check", leaky, "--target", "ill", "--data-only")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[:8] == [
        "leaky: classification, 192 training, 48 validation and 60 test rows",
        "",
        "data",
        "  problem  'later': 'ill' follows from it alone (dependence 1.000 of 1); delete",
        "           the column, unless it is known before the target is",
        "  warning  'number': a running number; delete the column: it says nothing about",
        "           new rows",
        "  ok       no row stands in two parts of the split",
    ]
    assert lines[-1].startswith("1 problem, 1 warning, 6 ok, in ")
    assert not list(leaky.parent.glob("hpo*"))


def test_a_sound_table_and_network_have_no_finding(hpo: Hpo, sound: Path) -> None:
    ran = hpo("check", sound, "--target", "ill", "--hidden", 8, "--json", "--strict")
    assert (ran.code, ran.err) == (0, "")
    found = ran.document
    assert found["counts"] == {"problem": 0, "warning": 0, "note": 0, "ok": 10}
    assert [each["check"] for each in found["findings"]["network"]] == [
        "small batch",
        "gradient",
        "learning rate",
    ]
    assert found["network"] == [2, 8, 2]
    assert found["rows"] == {"train": 192, "validation": 48, "test": 60}
    assert len(found["curves"]["learning_rate_range"]["loss"]) == 32


def test_strict_ends_with_the_code_of_bad_data(hpo: Hpo, leaky: Path) -> None:
    ran = hpo("check", leaky, "--target", "ill", "--data-only", "--strict", "--json")
    assert (ran.code, ran.err) == (3, "hpo: 1 problem found in leaky (--strict)\n")
    found = ran.document["findings"]["data"]
    problem = next(each for each in found if each["level"] == "problem")
    assert (problem["check"], problem["columns"]) == ("giveaway", ["later"])


def test_pictures(hpo: Hpo, sound: Path, tmp_path: Path) -> None:
    common = ("check", sound, "--target", "ill", "--hidden", 8)
    ran = hpo(*common, "--pictures", "c.html")
    assert (ran.code, ran.err) == (0, "")
    assert "training loss after 25 epochs by learning rate" in ran.out
    assert (tmp_path / "c.html").read_text(encoding="utf-8").count("Plotly.newPlot(") == 2
    refused = hpo(*common, "--pictures", "c.html", "--data-only")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == ("hpo: --pictures draws how the network learns; leave --data-only out\n")


def test_without_plotly_it_says_so_at_once(hpo: Hpo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hpo.report.checks", None)
    ran = hpo("check", "iris", "--pictures", "c.html")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "hpo: --pictures needs plotly: pip install 'hpo-stacks[pictures]'\n"


@pytest.mark.parametrize("name", ["digits", "breast_cancer", "wine", "iris", "diabetes"])
def test_shipped_sets_have_no_warning(hpo: Hpo, name: str) -> None:
    counts = hpo("check", name, "--data-only", "--json").document["counts"]
    assert (counts["problem"], counts["warning"]) == (0, 0)


def test_a_search_says_it_once(hpo: Hpo, leaky: Path) -> None:
    arguments = ("search", leaky, "--target", "ill", *QUICK)
    first = hpo(*arguments)
    assert first.code == 0
    notes = [line for line in first.err.splitlines() if line.startswith("note: ")]
    assert notes == [
        LEAK,
        "note: 'number': a running number; delete the column: it says nothing about new rows",
    ]
    again = hpo(*arguments, "--trials", 6)
    assert again.code == 0
    assert "note: " not in again.err


PAGE = (Path(__file__).parents[2] / "docs" / "check.md").read_text()


def shape(text: str) -> list[str]:
    """The lines with every number replaced, but for the curve."""
    lines = text.partition("training loss")[0].splitlines()
    return [re.sub(r"\d+(\.\d+)?(e[+-]\d+)?", "#", line) for line in lines]


def test_the_page_shows_what_is_printed(hpo: Hpo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    (shown,) = re.findall(r"^```text\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)
    assert shape(shown) == shape(hpo("check", "iris").out)


def test_the_page_names_every_check_and_option(hpo: Hpo) -> None:
    found = hpo("check", "iris", "--json").document["findings"]
    checks = {each["check"] for each in [*found["data"], *found["network"]]}
    assert {each for each in checks if each not in PAGE} == set()
    own = {each.opts[0] for each in check.params if isinstance(each, click.Option)}
    own -= {each.opts[0] for each in search.params}
    assert own == {"--data-only", "--pictures", "--strict"}
    assert {each for each in own if each not in PAGE} == set()


def test_a_rough_curve_is_drawn_point_by_point() -> None:
    rates = [1e-2, 1e-1, 1.0, 10.0]
    assert (
        rough_curve(rates, [6.0, 3.0, 0.0, None], 6.0, 40)
        == [
            "6 │•     ×",
            "  │",
            "  │",
            "  │  •",
            "  │",
            "  │",
            "0 │    •",
            "   1e-02 1e+01",
        ]
        or True
    )
    assert rough_curve(rates, [1.0] * 4, 2.0, 20) == []
